"""What operators do for people, beside who may (test_operator_matrix.py): what comes of it, and what is refused."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from k8s.specs import MicroPhase
from tenants import operators
from tenants.models import Cloud, Instance, OperatorRole, User
from tenants.services.instances import install_app
from tests.api.client import Program, error
from tests.api.test_operator_matrix import operator_of
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, cloud_of, released, settle

pytestmark = pytest.mark.django_db
WHY = {"reason": "They asked for it."}


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.services.figures.REMEMBER_S", -1.0)


@pytest.mark.parametrize("role", OperatorRole.values)
def test_pages_hold_to_the_same_table(cluster: MemoryCluster, role: str) -> None:
    person, operator = active_person(cluster), operator_of(cluster, role)
    browser = Client()
    browser.force_login(operator)
    page = browser.get(f"/operator/clouds/{person.cloud.pk}/")
    assert page.status_code == 200
    assert ("Suspend the cloud" in page.text) is operators.may(operator, "people")
    assert ("Give it more, or less" in page.text) is operators.may(operator, "plans")
    done = browser.post(f"/operator/clouds/{person.cloud.pk}/support/", {"do": "suspend", "reason": "abuse"})
    assert done.status_code == (302 if operators.may(operator, "people") else 403)
    assert cloud_of(person).state == ("suspended" if operators.may(operator, "people") else "active")
    team = browser.post("/operator/team/", {"email": person.email, "role": "billing", "reason": "They help."})
    assert team.status_code == (302 if role == "admin" else 403)
    assert User.objects.get(pk=person.pk).is_staff is (role == "admin")
    assert browser.get("/operator/mails/").status_code == (200 if role == "admin" else 403)
    assert "abuse" in browser.get("/operator/audit/").text or role == "billing"


def test_a_suspended_cloud_stands_still_and_comes_back_as_it_was(cluster: MemoryCluster) -> None:
    person, operator = active_person(cluster), operator_of(cluster, "support")
    instance, _ = install_app(person, app_slug=released(cluster).app.slug)
    settle()
    program, cloud = Program(operator, ("operator:*",)), person.cloud.pk
    mail.outbox.clear()
    answer = program("POST", f"operator/clouds/{cloud}/suspend/", {"reason": "It sends spam."})
    assert answer.json() == {"id": cloud, "state": "suspended", "state_reason": "It sends spam."}
    settle()
    assert cluster.specs[instance.pk].replicas == 0
    assert Instance.objects.get(pk=instance.pk).state == "stopped"
    assert Program(person)("GET", "cloud/").json()["state_reason"] == "It sends spam."
    assert error(Program(person)("POST", f"instances/{instance.pk}/restart/"))[0] == 409
    assert error(program("POST", f"operator/clouds/{cloud}/suspend/", WHY))[:2] == (409, "not_active")
    assert program("POST", f"operator/clouds/{cloud}/restore/", WHY).json()["state"] == "active"
    settle()
    assert (cluster.specs[instance.pk].replicas, cluster.phase) == (1, MicroPhase.READY)
    assert Instance.objects.get(pk=instance.pk).state == "running"
    assert error(program("POST", f"operator/clouds/{cloud}/restore/", WHY))[:2] == (409, "not_suspended")
    told = program("GET", f"operator/audit/?cloud={cloud}&actor={operator.pk}").json()["results"]
    assert {"It sends spam.", WHY["reason"]} <= {event["reason"] for event in told}


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, None])
def test_an_act_without_a_reason_is_refused(cluster: MemoryCluster, reason: Any) -> None:
    person, operator = active_person(cluster), operator_of(cluster, "admin")
    answer = Program(operator, ("operator:*",))(
        "POST", f"operator/clouds/{person.cloud.pk}/suspend/", {"reason": reason}
    )
    assert error(answer)[::2] == (422, "reason")
    assert cloud_of(person).state == "active"


def test_nobody_changes_their_own_role_or_suspends_their_own_cloud(cluster: MemoryCluster) -> None:
    operator = operator_of(cluster, "admin")
    program = Program(operator, ("operator:*",))
    assert error(program("PUT", f"operator/people/{operator.pk}/role/", {"role": "", **WHY}))[:2] == (409, "own_role")
    assert error(program("POST", f"operator/clouds/{operator.cloud.pk}/suspend/", WHY))[:2] == (409, "own_cloud")
    person = active_person(cluster)
    assert error(program("PUT", f"operator/people/{person.pk}/role/", {"role": "king", **WHY}))[::2] == (422, "role")
    assert program("PUT", f"operator/people/{person.pk}/role/", {"role": "billing", **WHY}).json()["role"] == "billing"
    assert program("PUT", f"operator/people/{person.pk}/role/", {"role": "", **WHY}).json()["role"] == ""
    assert User.objects.get(pk=person.pk).is_staff is False


def test_people_are_found_by_what_operators_know_of_them(cluster: MemoryCluster) -> None:
    person, operator = active_person(cluster), operator_of(cluster, "support")
    program = Program(operator, ("operator:read",))
    for asked in (person.handle[:8], person.email, person.pk, person.cloud.namespace, person.cloud.pk):
        found = program("GET", f"operator/people/?q={asked}").json()["results"]
        assert person.pk in [row["id"] for row in found]
    assert program("GET", "operator/people/?q=%00%27--").json()["results"] == []


def test_cells_tell_their_load_and_plans_what_they_bring_in(cluster: MemoryCluster) -> None:
    person, operator = active_person(cluster), operator_of(cluster, "billing")
    install_app(person, app_slug=released(cluster).app.slug)
    offer("paid", price_minor=500, currency="eur")
    Cloud.objects.filter(pk=person.cloud.pk).update(plan_id="paid")
    (load,) = Program(operator, ("operator:read",))("GET", "operator/cells/").json()
    row = Instance.objects.get()
    there = Cloud.objects.exclude(state="closed").count()
    assert (load["clouds"], load["awake"], load["installed"]) == (there, 1, 1)
    assert (load["cpu_millis"], load["memory_mib"]) == (row.cpu_millis, row.memory_mib)
    browser = Client()
    browser.force_login(operator)
    assert "5.00 EUR a month" in browser.get("/operator/").text
