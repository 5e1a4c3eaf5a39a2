"""Use-cases of operators: the plans that there are. Every change of one reaches all clouds that have it."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.models.deletion import ProtectedError
from django.utils import timezone

from tenants import currencies
from tenants.errors import Conflict, Refused
from tenants.models import Cloud, Event, Plan, User
from tenants.models.plans import FIGURES
from tenants.reconcile import alerts, limits
from tenants.tasks import enqueue_cloud

TERMS = ("name", "description", "price_minor", "currency", "interval", "trial_days", *FIGURES, "is_visible")
ENQUEUED = 200  # of the clouds on a changed plan; the sweep has all others in its rounds


def hold_plan(slug: str) -> None:
    """Nobody edits or deletes it until the caller's transaction ends, so that a cloud which comes to it now gets all of
    it; several clouds may come at once. Missing is no error. Plans are locked before clouds, everywhere."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {Plan._meta.db_table} WHERE slug = %s FOR SHARE", [slug])  # noqa: S608


@transaction.atomic
def create_plan(actor: User | None, slug: str, terms: Mapping[str, Any]) -> Plan:
    """A new plan. terms: of TERMS, at least name and the four quotas. Raises Refused naming the field."""
    plan = Plan(slug=_text("slug", slug))
    _set(plan, terms)
    require_sound(plan)
    try:
        with transaction.atomic():
            plan.save(force_insert=True)
    except IntegrityError as error:
        raise Refused("slug_taken", "There is a plan of this name already.", field="slug") from error
    Event.record(plan, before="", after="offered", actor=_id(actor), reason=_said(plan, {}))
    return plan


@transaction.atomic
def edit_plan(actor: User | None, slug: str, terms: Mapping[str, Any]) -> Plan:
    """Other terms for everybody who has it. A quota below what a cloud uses removes nothing, it only refuses more.

    Raises Refused naming the field. Again: changes nothing.
    """
    plan = Plan.objects.select_for_update(no_key=True).get(pk=slug)
    before = {name: getattr(plan, name) for name in TERMS}
    allowance = plan.allowance
    _set(plan, terms)
    require_sound(plan)
    changed = [name for name in TERMS if getattr(plan, name) != before[name]]
    if changed:
        plan.save(update_fields=changed)
        Event.record(plan, before="offered", after="offered", actor=_id(actor), reason=_said(plan, before))
    if plan.allowance.quota != allowance.quota:
        _bring_in_line(plan)
    if plan.traffic_bytes != allowance.traffic_bytes:
        alerts.mark(list(Cloud.objects.filter(plan=plan).values_list("pk", flat=True)))
    return plan


@transaction.atomic
def archive_plan(actor: User | None, slug: str, *, archived: bool) -> Plan:
    """Nobody chooses an archived one; whoever has it keeps it. Again: changes nothing."""
    plan = Plan.objects.select_for_update(no_key=True).get(pk=slug)
    if archived and slug == settings.DEFAULT_PLAN:
        raise Conflict("default_plan", "Newcomers get this plan: it cannot be archived.")
    if (plan.archived_at is not None) != archived:
        plan.archived_at = timezone.now() if archived else None
        plan.save(update_fields=["archived_at"])
        before, after = ("offered", "archived") if archived else ("archived", "offered")
        told = "Whoever has it keeps it; nobody chooses it." if archived else "It may be chosen again."
        Event.record(plan, before=before, after=after, actor=_id(actor), reason=told)
    return plan


@transaction.atomic
def delete_plan(actor: User | None, slug: str) -> None:
    """Only one that no cloud has, not even a closed one; others are archived. Raises Conflict. Missing is success."""
    plan = Plan.objects.select_for_update(no_key=True).filter(pk=slug).first()
    if plan is None:
        return
    if slug == settings.DEFAULT_PLAN:
        raise Conflict("default_plan", "Newcomers get this plan: it cannot be deleted.")
    was, terms = "archived" if plan.archived_at else "offered", _said(plan, {})
    Event.record(plan, before=was, after="deleted", actor=_id(actor), reason=f"No cloud had it. It said: {terms}")
    try:
        plan.delete()
    except ProtectedError as error:
        raise Conflict("plan_in_use", "Clouds have or had this plan: archive it instead.") from error


def require_sound(plan: Plan) -> None:
    """Raises Refused naming the field that is out of its bounds."""
    try:
        plan.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, sentences = next(iter(error.message_dict.items()))
        raise Refused("invalid_plan", f"{field}: {sentences[0]}", field=field) from error
    if plan.currency not in currencies.KNOWN:
        raise Refused("invalid_plan", "currency: There is no such currency in ISO 4217.", field="currency")
    if plan.price_minor % currencies.step(plan.currency):
        said = f"price_minor: In this currency it is a multiple of {currencies.step(plan.currency)}."
        raise Refused("invalid_plan", said, field="price_minor")
    if plan.slug == settings.DEFAULT_PLAN and plan.price_minor:
        raise Refused("invalid_plan", "Newcomers get this plan: it is free.", field="price_minor")
    if plan.trial_days and not plan.price_minor:
        raise Refused("invalid_plan", "What is free has no trial.", field="trial_days")


def _set(plan: Plan, terms: Mapping[str, Any]) -> None:
    for name, value in terms.items():
        if name not in TERMS:
            raise Refused("invalid_plan", f"A plan has no “{name[:40]}”.", field=name[:40])
        setattr(plan, name, _typed(name, value))


def _typed(name: str, value: Any) -> Any:
    """Of the column's own kind: JSON has no bounds, and true is not 1."""
    column = Plan._meta.get_field(name)
    if value is None and getattr(column, "null", False):
        return None
    if isinstance(column, models.BooleanField):
        if not isinstance(value, bool):
            raise Refused("invalid_plan", f"{name} is true or false.", field=name)
        return value
    if isinstance(column, models.CharField):
        return _text(name, value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("invalid_plan", f"{name} is a whole number.", field=name)
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise Refused("invalid_plan", f"{name} is text in one line.", field=name)
    return value.strip()


def _bring_in_line(plan: Plan) -> None:
    ids = list(Cloud.objects.filter(plan=plan).values_list("pk", flat=True))
    limits.touch(ids)
    for cloud_id in ids[:ENQUEUED]:
        enqueue_cloud(cloud_id)


def _said(plan: Plan, before: Mapping[str, Any]) -> str:
    """What became what, for the record; of a new plan what it says."""
    now = {name: getattr(plan, name) for name in TERMS}
    if not before:
        return ", ".join(f"{name} {value}" for name, value in now.items() if value not in ("", None))
    return ", ".join(f"{name} {before[name]} → {value}" for name, value in now.items() if before[name] != value)


def _id(actor: User | None) -> str:
    return actor.pk if actor else ""
