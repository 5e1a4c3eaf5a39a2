"""Operator roles × every address and method below `operator/` of the API, and the line in the record that each act leaves.

The addresses come from the URL patterns: one without an entry here fails.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from tenants import operators as roles
from tenants.api.urls import urlpatterns
from tenants.models import OperatorRole, User
from tests import operators
from tests.api.client import Program, error
from tests.offers import TERMS, offer
from tests.worlds import MemoryCluster, active_person

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")
WHY = {"reason": "They asked for it."}
Ready = tuple[dict[str, str], Any]  # what the address names, and the body


@dataclass(frozen=True)
class Act:
    """area: whose roles may. ready: makes what it acts on. kind: of the record line's subject."""

    area: str
    kind: str
    ready: Callable[[User], Ready]


def _cloud(person: User, body: Any = WHY) -> Ready:
    return {"cloud_id": person.cloud.pk}, body


def _suspended(person: User) -> Ready:
    operators.suspend(person)
    return _cloud(person)


def _mail(person: User) -> Ready:
    operators.forget_confirmation(person)
    return {"user_id": person.pk}, WHY


def _other_plan(person: User) -> Ready:
    offer("large")
    return _cloud(person, {"plan": "large", **WHY})


def _plan(body: Any) -> Callable[[User], Ready]:
    def ready(_person: User) -> Ready:
        offer("spare")
        return {"slug": "spare"}, body

    return ready


def _override(person: User) -> Ready:
    return {"cloud_id": person.cloud.pk, "override_id": operators.given_override(person).pk}, WHY


def _pending(body: Any) -> Callable[[User], Ready]:
    return lambda person: ({"release_id": operators.release(person, review="pending").pk}, body)


FILE = {"freehold_plans": 1, "plans": [{"slug": "filed", **TERMS}]}
NEED_MORE = {"figures": {"memory_mib": 99_000}, **WHY}
ACTS = {
    "POST operator/people/<user_id>/confirmation/": Act("people", "user", _mail),
    "PUT operator/people/<user_id>/role/": Act(
        "operators", "user", lambda person: ({"user_id": person.pk}, {"role": "support", **WHY})
    ),
    "POST operator/clouds/<cloud_id>/suspend/": Act("people", "cloud", _cloud),
    "POST operator/clouds/<cloud_id>/restore/": Act("people", "cloud", _suspended),
    "POST operator/operations/<operation_id>/retry/": Act(
        "people", "operation", lambda person: ({"operation_id": operators.failed_operation(person).pk}, WHY)
    ),
    "POST operator/apps/reviews/<release_id>/approve/": Act("apps", "release", _pending({})),
    "POST operator/apps/reviews/<release_id>/refuse/": Act("apps", "release", _pending({"note": "It has no name."})),
    "POST operator/apps/reports/<report_id>/close/": Act(
        "apps", "appreport", lambda person: ({"report_id": operators.report(person).pk}, {})
    ),
    "POST operator/apps/<slug>/unlist/": Act(
        "apps", "app", lambda person: ({"slug": operators.release(person).app.slug}, {"note": "It mines coins."})
    ),
    "POST operator/plans/": Act("plans", "plan", lambda _person: ({}, {"slug": "spare", **TERMS})),
    "PATCH operator/plans/<slug>/": Act("plans", "plan", _plan({"memory_mib": 2048})),
    "DELETE operator/plans/<slug>/": Act("plans", "plan", _plan(None)),
    "POST operator/plan-file/": Act("plans", "plan", lambda _person: ({}, FILE)),
    "POST operator/clouds/<cloud_id>/plan/": Act("plans", "cloud", _other_plan),
    "POST operator/clouds/<cloud_id>/overrides/": Act("plans", "cloud", lambda person: _cloud(person, NEED_MORE)),
    "DELETE operator/clouds/<cloud_id>/overrides/<override_id>/": Act("plans", "cloud", _override),
}
# Every operator may look at these.
LOOKS = {
    *("people/", "people/<user_id>/", "audit/", "cells/", "overview/", "operations/"),
    *("apps/reviews/", "apps/reports/", "plans/", "plans/<slug>/", "plan-file/"),
    *(
        "clouds/full/",
        "clouds/<cloud_id>/",
        "clouds/<cloud_id>/usage/",
        "clouds/<cloud_id>/plan/",
        "clouds/<cloud_id>/overrides/",
    ),
}


def routes() -> set[str]:
    """“METHOD path” of all that is below operator/, as the URL patterns say."""
    found = set()
    for pattern in urlpatterns:
        path = re.sub(r"<\w+:", "<", str(pattern.pattern))
        if path.startswith("operator/"):
            view = pattern.callback.cls  # type: ignore[attr-defined]
            found |= {f"{method.upper()} {path}" for method in METHODS if hasattr(view, method)}
    return found


def path_of(route: str, names: dict[str, str]) -> str:
    return re.sub(r"<(\w+)>", lambda match: names[match[1]], route.partition(" ")[2])


def operator_of(cluster: MemoryCluster, role: str) -> User:
    user = active_person(cluster, role)
    user.is_staff, user.operator_role = True, role
    user.save()
    return user


def outsiders(cluster: MemoryCluster, person: User) -> dict[str, Program]:
    former = operator_of(cluster, OperatorRole.ADMIN)
    token = Program(former, ("operator:*",))
    User.objects.filter(pk=former.pk).update(is_staff=False)
    return {"nobody": Program(), "a person": Program(person), "an operator no more": token}


def test_every_address_and_method_has_an_entry() -> None:
    assert routes() == set(ACTS) | {f"GET operator/{path}" for path in LOOKS}


@pytest.mark.parametrize("route", sorted(ACTS))
def test_roles_may_what_the_table_says_and_each_act_leaves_one_line(cluster: MemoryCluster, route: str) -> None:
    act, method = ACTS[route], route.partition(" ")[0]
    person = active_person(cluster)
    allowed = [role for role in OperatorRole.values if role in roles.AREAS[act.area]]
    assert 0 < len(allowed) < len(OperatorRole.values)
    names, body = act.ready(person)
    for who, program in outsiders(cluster, person).items():
        assert error(program(method, path_of(route, names), body))[0] == (401 if who == "nobody" else 403), who
    for role in OperatorRole.values:
        operator = operator_of(cluster, role)
        reader = Program(operator, ("operator:read",))
        assert error(reader(method, path_of(route, names), body))[0] == 403
        before = transaction.savepoint()
        answer = Program(operator, ("operator:*",))(method, path_of(route, names), body)
        lines = operators.acts_of(operator)
        transaction.savepoint_rollback(before)  # the next one does it too
        if role not in allowed:
            assert error(answer)[:2] == (403, "forbidden") and lines == []
            continue
        assert answer.status_code in (200, 201, 202, 204), answer.content
        (line,) = lines
        assert (line.kind, bool(line.subject), bool(line.after), bool(line.reason)) == (act.kind, True, True, True)
        if isinstance(body, dict) and "reason" in body:
            assert body["reason"] in line.reason


@pytest.mark.parametrize("look", sorted(LOOKS))
def test_every_role_may_look_and_nobody_else(cluster: MemoryCluster, look: str) -> None:
    person = active_person(cluster)
    offer("spare")
    names = {"user_id": person.pk, "cloud_id": person.cloud.pk, "slug": "spare"}
    path = path_of(f"GET operator/{look}", names)
    for who, program in outsiders(cluster, person).items():
        assert error(program("GET", path))[0] == (401 if who == "nobody" else 403), who
    for role in OperatorRole.values:
        operator = operator_of(cluster, role)
        assert Program(operator, ("operator:read",))("GET", path).status_code == 200
        assert error(Program(operator)("GET", path))[0] == 403, "`*` never includes operator:*"
        assert operators.acts_of(operator) == []


def test_taking_an_app_off_for_a_report_is_a_line_for_each_of_both(cluster: MemoryCluster) -> None:
    report, operator = operators.report(active_person(cluster)), operator_of(cluster, "support")
    sent = {"unlist": True, "note": "It mines coins."}
    program, path = Program(operator, ("operator:*",)), f"operator/apps/reports/{report.pk}/close/"
    assert program("POST", path, sent).status_code == 200
    assert program("POST", path, sent).status_code == 200
    told = {(line.kind, line.before, line.after, line.reason) for line in operators.acts_of(operator)}
    assert told == {("app", "listed", "unlisted", sent["note"]), ("appreport", "open", "closed", sent["note"])}
    assert len(operators.acts_of(operator)) == 2
