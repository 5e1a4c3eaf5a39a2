"""Signing out of the console ends the app sessions that came from it."""

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client

from tenants.models import GateChange, GateChangeKind, RevokedSession, User
from tenants.services.sessions import sid_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/accounts/logout/", "/operator/admin/logout/"])
def test_either_door_out_revokes_the_session_at_the_gate(client: Client, path: str) -> None:
    operator = User.objects.create_superuser("op@example.org", "the-op", "Corr3ct-horse")
    client.force_login(operator)
    sid = sid_of(str(client.session.session_key))
    client.post(path, headers={"host": "freehold.localhost"})
    assert RevokedSession.objects.filter(sid=sid).exists()
    assert GateChange.objects.filter(kind=GateChangeKind.REVOKED, key=sid).exists()


def test_what_the_database_holds_of_a_session_opens_nothing(client: Client) -> None:
    user = User.objects.create_user("ada@example.org", "ada", "Corr3ct-horse")
    client.force_login(user)
    key = str(client.session.session_key)
    (row,) = Session.objects.all()
    assert key not in (row.session_key, row.session_data)
    console = {"host": "freehold.localhost"}
    assert client.get("/settings/", headers=console).status_code == 200
    client.cookies[settings.SESSION_COOKIE_NAME] = row.session_key
    assert client.get("/settings/", headers=console).status_code == 302
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    client.post("/accounts/logout/", headers=console)
    assert not Session.objects.exists()
