"""Sharing an instance: `instances/<id>/people/` for its owner, `shared/` for whom they invite."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.utils import timezone
from pytest_django.fixtures import Settings

from tenants.models import Cloud, Event, GateChange, Instance, Share, User
from tenants.reconcile import closing, invitations
from tenants.services import sharing
from tenants.services.closing import close_account
from tenants.services.instances import install_app, remove_instance
from tests.api.client import Program, error
from tests.worlds import MemoryCluster, active_person, new_person, released, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(cluster: MemoryCluster) -> User:
    user = active_person(cluster, "owner")
    install_app(user, app_slug=released(cluster).app.slug)
    settle()
    return user


@pytest.fixture
def instance(owner: User) -> Instance:
    return Instance.objects.get(cloud__owner=owner)


def people(instance: Instance, share: str = "") -> str:
    return f"instances/{instance.pk}/people/{share}"


def invited(owner: User, instance: Instance, email: str) -> Any:
    answer = Program(owner)("POST", people(instance), {"email": email})
    assert answer.status_code == 201
    return answer.json()


def send_mails() -> None:
    for share_id in invitations.due():
        invitations.send(share_id)


def test_from_invitation_to_acceptance_to_its_end(cluster: MemoryCluster, owner: User, instance: Instance) -> None:
    guest = active_person(cluster, "guest")
    share = invited(owner, instance, f" {guest.email.upper()} ")
    assert (share["email"], share["state"], share["handle"]) == (guest.email, "invited", None)
    program = Program(guest)
    (shown,) = program("GET", "shared/").json()["results"]
    assert (shown["id"], shown["state"], shown["owner"], shown["url"]) == (share["id"], "invited", owner.handle, None)
    GateChange.objects.all().delete()
    accepted = program("POST", f"shared/{share['id']}/accept/")
    assert (accepted.status_code, accepted.json()["state"]) == (200, "accepted")
    assert instance.host in accepted.json()["url"]
    assert list(GateChange.objects.values_list("kind", "key")) == [("instance", instance.pk)]
    (row,) = Program(owner)("GET", people(instance)).json()["results"]
    assert (row["state"], row["handle"]) == ("accepted", guest.handle)
    GateChange.objects.all().delete()
    for _ in range(2):
        assert Program(owner)("DELETE", people(instance, f"{share['id']}/")).status_code == 204
    assert list(GateChange.objects.values_list("kind", "key")) == [("instance", instance.pk)]
    assert Program(owner)("GET", people(instance)).json()["results"] == []
    assert program("GET", "shared/").json()["results"] == []
    assert error(program("POST", f"shared/{share['id']}/accept/"))[:2] == (409, "not_invited")
    told = Event.objects.filter(subject=share["id"], cloud_id=owner.cloud.pk).order_by("pk")
    assert list(told.values_list("after", "actor")) == [
        ("invited", owner.pk),
        ("accepted", guest.pk),
        ("ended", owner.pk),
    ]


def test_a_guest_may_decline_or_leave_and_be_asked_again_later(
    cluster: MemoryCluster, owner: User, instance: Instance
) -> None:
    guest = active_person(cluster, "guest")
    share, program = invited(owner, instance, guest.email), Program(guest)
    for _ in range(2):
        assert program("POST", f"shared/{share['id']}/decline/").json()["state"] == "declined"
    assert program("GET", "shared/").json()["results"] == []
    again = Program(owner)("POST", people(instance), {"email": guest.email})
    assert error(again)[:2] == (409, "declined_lately")
    before = timezone.now() - timedelta(days=2)
    Share.objects.update(mailed_at=before, answered_at=before)
    assert invited(owner, instance, guest.email)["id"] == share["id"]
    assert program("POST", f"shared/{share['id']}/accept/").status_code == 200
    assert error(program("POST", f"shared/{share['id']}/decline/"))[:2] == (409, "not_invited")
    assert program("DELETE", f"shared/{share['id']}/").status_code == 204
    assert program("GET", "shared/").json()["results"] == []


def test_nothing_tells_whether_an_address_has_an_account(
    cluster: MemoryCluster, owner: User, instance: Instance
) -> None:
    known = active_person(cluster, "guest")
    answers = [Program(owner)("POST", people(instance), {"email": who}) for who in (known.email, "new@example.net")]
    assert [answer.status_code for answer in answers] == [201, 201]
    first, second = (answer.json() for answer in answers)
    assert {**first, "id": "", "email": "", "invited_at": ""} == {**second, "id": "", "email": "", "invited_at": ""}
    send_mails()
    texts = [str(m.body).replace(m.to[0], "ADDRESS") for m in mail.outbox]
    assert len(texts) == 2 and texts[0] == texts[1] and mail.outbox[0].subject == mail.outbox[1].subject


def test_an_address_without_an_account_is_invited_until_somebody_confirms_it(
    cluster: MemoryCluster, owner: User, instance: Instance, settings: Settings
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    share = invited(owner, instance, "later@example.net")
    claimant = User.objects.create_user("later@example.net", "claimant", "Corr3ct-horse")
    Cloud.objects.create(owner=claimant, cell=owner.cloud.cell, plan=owner.cloud.plan, namespace="fh-claimant")
    address = EmailAddress.objects.create(user=claimant, email="later@example.net", primary=True, verified=False)
    program = Program(claimant)
    assert program("GET", "shared/").json()["results"] == []
    assert error(program("POST", f"shared/{share['id']}/accept/"))[:2] == (404, "not_found")
    address.verified = True
    address.save()
    assert [row["id"] for row in program("GET", "shared/").json()["results"]] == [share["id"]]
    assert program("POST", f"shared/{share['id']}/accept/").status_code == 200


@pytest.mark.parametrize("email", ["", "nobody", "a@b", "a b@example.org", "x@" + "y" * 250 + ".org", 7, None, {}])
def test_impossible_addresses_are_refused_by_field(owner: User, instance: Instance, email: object) -> None:
    status, _, field = error(Program(owner)("POST", people(instance), {"email": email}))
    assert (status, field) == (422, "email")
    assert not Share.objects.exists()


def test_nobody_invites_themselves(owner: User, instance: Instance) -> None:
    answer = Program(owner)("POST", people(instance), {"email": owner.email.upper()})
    assert error(answer) == (422, "own_address", "email")


def test_strangers_and_nobody_get_nothing(cluster: MemoryCluster, owner: User, instance: Instance) -> None:
    guest, stranger = active_person(cluster, "guest"), Program(active_person(cluster, "stranger"))
    share = invited(owner, instance, guest.email)["id"]
    calls = [
        ("GET", people(instance), None),
        ("POST", people(instance), {"email": "x@example.net"}),
        ("DELETE", people(instance, f"{share}/"), None),
        ("POST", f"shared/{share}/accept/", None),
        ("POST", f"shared/{share}/decline/", None),
        ("DELETE", f"shared/{share}/", None),
    ]
    for method, path, body in calls:
        assert error(stranger(method, path, body))[:2] == (404, "not_found")
        assert error(Program()(method, path, body))[0] == 401
    # The invited person is no owner, and the owner does not answer for them.
    assert error(Program(guest)("GET", people(instance)))[0] == 404
    assert error(Program(guest)("DELETE", people(instance, f"{share}/")))[0] == 404
    assert error(Program(owner)("POST", f"shared/{share}/accept/"))[0] == 404
    assert error(Program(guest)("GET", f"instances/{instance.pk}/"))[0] == 404
    assert Share.objects.get().state == "invited"


def test_the_mail_goes_out_once_and_is_tried_again_when_it_could_not(
    owner: User, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = invited(owner, instance, "guest@example.net")
    with monkeypatch.context() as patched:
        patched.setattr(invitations, "send_mail", _no_mail_server)
        send_mails()
    assert mail.outbox == [] and invitations.due() == []
    Share.objects.update(mail_at=timezone.now())
    send_mails()
    invitations.send(share["id"])
    assert [message.to for message in mail.outbox] == [["guest@example.net"]]
    assert invitations.due() == []


def _no_mail_server(*_: object) -> None:
    raise ConnectionRefusedError("mail")


def test_asking_twice_writes_once_until_a_day_is_over(owner: User, instance: Instance) -> None:
    first = invited(owner, instance, "guest@example.net")
    send_mails()
    assert invited(owner, instance, "guest@example.net") == first
    send_mails()
    assert len(mail.outbox) == 1
    Program(owner)("DELETE", people(instance, f"{first['id']}/"))
    assert invited(owner, instance, "guest@example.net")["state"] == "invited"
    send_mails()
    assert len(mail.outbox) == 1
    Share.objects.update(mailed_at=timezone.now() - timedelta(days=2))
    assert invited(owner, instance, "guest@example.net")["id"] == first["id"]
    send_mails()
    assert len(mail.outbox) == 2


def test_nobodys_cloud_writes_to_strangers_without_end(
    owner: User, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MAILS_A_DAY", 2)
    for number in range(2):
        share = invited(owner, instance, f"guest{number}@example.net")
        Program(owner)("DELETE", people(instance, f"{share['id']}/"))
    answer = Program(owner)("POST", people(instance), {"email": "third@example.net"})
    assert error(answer)[:2] == (409, "too_many_invitations")


def test_a_removed_app_and_a_closing_account_share_nothing(
    cluster: MemoryCluster, owner: User, instance: Instance
) -> None:
    guest = active_person(cluster, "guest")
    share, program = invited(owner, instance, guest.email), Program(guest)
    program("POST", f"shared/{share['id']}/accept/")
    Cloud.objects.filter(owner=owner).update(state="closing")
    assert program("GET", "shared/").json()["results"] == []
    Cloud.objects.filter(owner=owner).update(state="active")
    remove_instance(owner, instance)
    assert not Share.objects.exists()


def test_an_erased_account_is_in_nobodys_list(cluster: MemoryCluster, owner: User, instance: Instance) -> None:
    guest = new_person("guest")
    settle()
    guest = User.objects.get(pk=guest.pk)
    share = invited(owner, instance, guest.email)
    Program(guest)("POST", f"shared/{share['id']}/accept/")
    close_account(guest)
    for _ in range(4):
        Cloud.objects.filter(owner=guest).update(erase_at=timezone.now() - timedelta(seconds=1))
        guest.cloud.operations.update(not_before=None)
        closing.look_after()
        settle()
    assert Cloud.objects.get(owner=guest).state == "closed"
    assert not Share.objects.exists()


def test_addresses_are_forgotten_a_month_after_it_ended(owner: User, instance: Instance) -> None:
    share = invited(owner, instance, "guest@example.net")
    Program(owner)("DELETE", people(instance, f"{share['id']}/"))
    invitations.forget_ended()
    assert Share.objects.exists()
    Share.objects.update(mailed_at=timezone.now() - timedelta(days=31))
    invitations.forget_ended()
    assert not Share.objects.exists()
