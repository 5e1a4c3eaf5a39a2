"""Operator roles × every page below `/operator/`, by GET and POST, and the line in the record that each act leaves.

The pages come from the URL patterns: one without an entry here fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, reverse

from provider.pages.urls import urlpatterns
from tenants import operators as roles
from tenants.models import OperatorRole, User
from tests import operators
from tests.offers import TERMS, offer
from tests.pages.conftest import Person

WHY = {"reason": "They asked for it."}
Ready = tuple[dict[str, str], dict[str, Any]]  # what the address names, and the form
PLAN = {name: value for name, value in TERMS.items() if value is not None} | {
    "price_minor": 0,
    "currency": "eur",
    "interval": "month",
    "trial_days": 0,
    "builds": 1,
    "domains": 0,
    "backups_kept": 0,
    "rate_class": "standard",
}


@dataclass(frozen=True)
class Page:
    """reads, changes: areas whose roles may; "": every operator; None: the page has no such method.
    ready: makes what a change acts on. kind: of the record line's subject."""

    reads: str | None
    changes: str | None = None
    kind: str = ""
    ready: Callable[[User], Ready] = lambda person: ({}, {})


def _cloud(form: dict[str, Any]) -> Callable[[User], Ready]:
    return lambda person: ({"cloud_id": person.cloud.pk}, form)


def _plan(person: User) -> Ready:
    offer("spare")
    return {"slug": "spare"}, PLAN | {"memory_mib": 2048}


def _other_plan(person: User) -> Ready:
    offer("large")
    return {"cloud_id": person.cloud.pk}, {"plan": "large", "why": "A gift", "idempotency_key": "k"}


def _file(person: User) -> Ready:
    from django.core.files.uploadedfile import SimpleUploadedFile

    text = b'{"freehold_plans": 1, "plans": [{"slug": "filed", "name": "F", "cpu_millis": 100, "memory_mib": 128, '
    return {}, {"file": SimpleUploadedFile("plans.json", text + b'"storage_mib": 100, "instances": 1}]}')}


PAGES = {
    "operator": Page(""),
    "operator_clouds": Page(""),
    "operator_audit": Page(""),
    "operator_catalog": Page(""),
    "operator_plans": Page(""),
    "mails": Page("operators"),
    "mail": Page("operators"),
    "operator_review": Page(
        None,
        "apps",
        "release",
        lambda person: ({"release_id": operators.release(person, review="pending").pk}, {"do": "approve"}),
    ),
    "operator_report": Page(
        None, "apps", "appreport", lambda person: ({"report_id": operators.report(person).pk}, {"do": "close"})
    ),
    "operator_unlist": Page(
        None, "apps", "app", lambda person: ({}, {"slug": operators.release(person).app.slug, "note": "It mines."})
    ),
    "operator_plan": Page("", "plans", "plan", _plan),
    "operator_plan_new": Page("", "plans", "plan", lambda person: ({}, PLAN | {"slug": "spare"})),
    "operator_plan_file": Page("", "plans", "plan", _file),
    "operator_cloud": Page("", "plans", "cloud", _cloud({"memory_mib": "99000", "idempotency_key": "k", **WHY})),
    "operator_cloud_plan": Page(None, "plans", "cloud", _other_plan),
    "override_end": Page(
        None,
        "plans",
        "cloud",
        lambda person: ({"cloud_id": person.cloud.pk, "override_id": operators.given_override(person).pk}, WHY),
    ),
    "operator_support": Page(None, "people", "cloud", _cloud({"do": "suspend", **WHY})),
    "operator_retry": Page(
        None, "people", "operation", lambda person: ({"operation_id": operators.failed_operation(person).pk}, WHY)
    ),
    "operator_team": Page(
        "", "operators", "user", lambda person: ({}, {"email": person.email, "role": "support", **WHY})
    ),
}


def patterns() -> dict[str, URLPattern]:
    return {str(one.name): one for one in urlpatterns if str(one.pattern).startswith("operator/")}


def operator_of(person: Callable[..., Person], role: str) -> Person:
    made = person(f"{role}-keeper", operator=True)
    User.objects.filter(pk=made.user.pk).update(operator_role=role)
    return made


def _may(role: str, area: str) -> bool:
    return not area or role in roles.AREAS[area]


def test_every_page_has_an_entry() -> None:
    assert set(patterns()) == set(PAGES)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_pages_answer_each_role_as_the_table_says_and_each_act_leaves_one_line(
    name: str, ada: Person, person: Callable[..., Person], settings: Any, tmp_path: Any
) -> None:
    page, settings.EMAIL_FILE_PATH = PAGES[name], tmp_path
    keepers = {role: operator_of(person, role) for role in OperatorRole.values}
    names, form = page.ready(ada.user)
    path = reverse(f"console:{name}", kwargs={"name": "none.log:0"} if name == "mail" else names)
    for stranger in (Client(), ada.browser):
        assert stranger.get(path).status_code == stranger.post(path, form).status_code == 404
    for role, operator in keepers.items():
        found = 404 if name == "mail" else 200  # none was sent
        looked = operator.browser.get(path).status_code
        assert looked == (405 if page.reads is None else found if _may(role, page.reads) else 403)
        before = transaction.savepoint()
        if "file" in form:
            form["file"].seek(0)
        answer, lines = operator.browser.post(path, form), operators.acts_of(operator.user)
        transaction.savepoint_rollback(before)  # the next one does it too
        if page.changes is None:
            assert answer.status_code in (405, 403) and lines == []
        elif not _may(role, page.changes):
            assert answer.status_code == 403 and lines == []
        else:
            assert answer.status_code == 302, answer.content
            (line,) = lines
            assert (line.kind, bool(line.subject), bool(line.after), bool(line.reason)) == (page.kind, True, True, True)


@pytest.mark.parametrize("do", ["suspend", "restore", "confirm"])
def test_support_on_the_page_wants_a_reason_and_keeps_it(do: str, ada: Person, operator: Person) -> None:
    if do == "restore":
        operators.suspend(ada.user)
    operators.forget_confirmation(ada.user)
    path = f"/operator/clouds/{ada.cloud.pk}/support/"
    operator.browser.post(path, {"do": do, "reason": "  "})
    assert operators.acts_of(operator.user) == []
    operator.browser.post(path, {"do": do, **WHY})
    (line,) = operators.acts_of(operator.user)
    assert line.reason == WHY["reason"]


def test_what_the_administration_changes_is_written_down_too(ada: Person, operator: Person) -> None:
    failed = operators.failed_operation(ada.user)
    operator.browser.post("/operator/admin/tenants/operation/", {"action": "retry", "_selected_action": failed.pk})
    operator.browser.post(f"/operator/admin/tenants/user/{ada.user.pk}/change/", {"_save": "Save"})
    out, again = operators.acts_of(operator.user)
    assert (out.subject, out.before, out.after) == (ada.user.pk, "in use", "out of use")
    assert (again.subject, again.after) == (failed.pk, "tried again")
    assert not User.objects.get(pk=ada.user.pk).is_active
