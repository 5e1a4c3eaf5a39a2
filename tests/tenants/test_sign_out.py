"""Signing out of the console ends the app sessions that came from it."""

import pytest
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
