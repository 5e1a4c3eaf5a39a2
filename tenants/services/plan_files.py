"""Plans as a file, so that an installation's offer can be kept in version control and brought to another one."""

import json
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from tenants.errors import Refused
from tenants.models import Plan, User
from tenants.services.plans import TERMS, archive_plan, create_plan, edit_plan

FORMAT = 1
SIZE_LIMIT = 1024 * 1024
MOST = 200
Document = dict[str, Any]


@dataclass(frozen=True)
class Imported:
    """Slugs of plans: made, changed, and those that were so already. What a file does not name stays as it is."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def export_plans() -> Document:
    """All of them; imported again it changes nothing."""
    return {"freehold_plans": FORMAT, "plans": [plan_entry(plan) for plan in Plan.objects.order_by("slug")]}


def plan_entry(plan: Plan) -> Document:
    terms = {name: getattr(plan, name) for name in TERMS}
    return {"slug": plan.slug, **terms, "archived": plan.archived_at is not None}


def parse(text: bytes | str) -> Any:
    """Raises Refused (field file) for what is no JSON or too large."""
    if len(text) > SIZE_LIMIT:
        raise Refused("too_large", "A file of plans has at most 1 MiB.", field="file")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused("malformed", "This is not a file of plans: it is no JSON.", field="file") from error


def import_plans(actor: User | None, document: Any, *, dry_run: bool = False) -> Imported:
    """Make and change plans as the file says, all or nothing. dry_run: only say what would become of them.

    Raises Refused naming the place, such as plans[2].memory_mib. Again: everything is unchanged.
    """
    entries = _entries(document)
    with transaction.atomic():
        done = [_import(actor, number, entry) for number, entry in enumerate(entries)]
        if dry_run:
            transaction.set_rollback(True)
    slugs = [entry["slug"] for entry in entries]
    of = {what: tuple(slug for slug, was in zip(slugs, done, strict=True) if was == what) for what in set(done)}
    return Imported(of.get("created", ()), of.get("changed", ()), of.get("unchanged", ()))


def _entries(document: Any) -> list[Document]:
    if not isinstance(document, dict) or document.get("freehold_plans") != FORMAT:
        raise Refused("malformed", f'A file of plans says "freehold_plans": {FORMAT}.', field="freehold_plans")
    if unknown := sorted(set(document) - {"freehold_plans", "plans"}):
        raise Refused("malformed", "There is no such field.", field=unknown[0][:40])
    entries = document.get("plans")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST:
        raise Refused("malformed", f"plans is a list of 1 to {MOST}.", field="plans")
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("slug"), str):
            raise Refused("malformed", "A plan has a slug.", field=f"plans[{number}].slug")
        if entry["slug"] in seen:
            raise Refused("malformed", "The same plan is there twice.", field=f"plans[{number}].slug")
        if not isinstance(entry.get("archived", False), bool):
            raise Refused("malformed", "archived is true or false.", field=f"plans[{number}].archived")
        seen.add(entry["slug"])
    return entries


def _import(actor: User | None, number: int, entry: Document) -> str:
    slug = entry["slug"]
    terms = {name: value for name, value in entry.items() if name not in ("slug", "archived")}
    known = Plan.objects.filter(pk=slug).first() if slug.isprintable() else None
    before = plan_entry(known) if known else None
    try:
        plan = edit_plan(actor, slug, terms) if known else create_plan(actor, slug, terms)
        if "archived" in entry:
            plan = archive_plan(actor, slug, archived=entry["archived"])
    except Refused as refusal:
        place = f"plans[{number}].{refusal.field}" if refusal.field else f"plans[{number}]"
        raise Refused(refusal.code, str(refusal), field=place) from refusal
    if before is None:
        return "created"
    return "unchanged" if plan_entry(plan) == before else "changed"
