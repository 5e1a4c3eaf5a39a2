"""What people type into settings is encrypted at rest, and never read back."""

import io
import json

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from provider import env
from tenants.errors import Refused
from tenants.models import Instance
from tenants.models.sealed import Unreadable
from tenants.services.configuration import settings_of
from tenants.services.instances import change_instance, install_app
from tests.api.client import Program
from tests.worlds import SPACEFILE, MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db
CANARY = "canary-7c1f-secret"
PRESETS = SPACEFILE + (
    "    presets:\n      env:\n        - {name: TOKEN, description: From the shop}\n"
    "        - {name: COLOUR, default: hidden-default}\n"
)


def with_secret(cluster: MemoryCluster) -> Instance:
    release, user = released(cluster, PRESETS), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug, config={"TOKEN": CANARY})
    settle()
    return Instance.objects.select_related("revision", "cloud__owner").get(pk=instance.pk)


def everything() -> str:
    """Every row of every table, as a dump would hold them."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        rows = []
        for name in names:
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{name}" t')
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows)


def test_a_secret_reaches_the_app_and_no_table(cluster: MemoryCluster) -> None:
    instance = with_secret(cluster)
    assert cluster.specs[instance.pk].micros[0].env["TOKEN"] == CANARY
    assert instance.pk in everything()
    assert CANARY not in everything()


def test_a_secret_sent_through_the_api_stays_out_of_kept_answers(cluster: MemoryCluster) -> None:
    instance = with_secret(cluster)
    program = Program(instance.cloud.owner)
    answer = program("PATCH", f"instances/{instance.pk}/", {"config": {"TOKEN": CANARY + "2"}}, key="once")
    assert answer.status_code == 202
    assert CANARY not in answer.content.decode() + everything()
    shown = program("GET", f"instances/{instance.pk}/config/")
    assert CANARY not in shown.content.decode() and "hidden-default" not in shown.content.decode()
    assert shown.json()["settings"] == [
        {"name": "TOKEN", "description": "From the shop", "micros": ["main"], "is_set": True, "has_default": False},
        {"name": "COLOUR", "description": "", "micros": ["main"], "is_set": False, "has_default": True},
    ]


def test_settings_are_changed_one_by_one_and_taken_back(cluster: MemoryCluster) -> None:
    instance = with_secret(cluster)
    owner = instance.cloud.owner
    change_instance(owner, instance, config={"COLOUR": "blue"})
    settle()
    assert Instance.objects.get(pk=instance.pk).config == {"TOKEN": CANARY, "COLOUR": "blue"}
    change_instance(owner, instance, config={"COLOUR": None})
    settle()
    assert cluster.specs[instance.pk].micros[0].env["COLOUR"] == "hidden-default"
    assert change_instance(owner, instance, config={"COLOUR": "", "TOKEN": CANARY})[1] is None
    with pytest.raises(Refused):
        change_instance(owner, instance, config={"NOPE": "1"})


def test_the_key_can_be_changed_while_everything_runs(cluster: MemoryCluster, settings: Settings) -> None:
    instance = with_secret(cluster)
    new = Fernet.generate_key().decode()
    old = settings.FIELD_KEYS
    settings.FIELD_KEYS = [new, *old]
    assert Instance.objects.get(pk=instance.pk).config == {"TOKEN": CANARY}
    for said in ("1 encrypted anew", "0 encrypted anew"):
        out = io.StringIO()
        call_command("rotate_field_key", stdout=out)
        assert out.getvalue().startswith(said)
    settings.FIELD_KEYS = [new]
    row = Instance.objects.select_related("revision").get(pk=instance.pk)
    assert (row.config, row.generation) == ({"TOKEN": CANARY}, instance.generation)
    assert settings_of(row)[0].is_set
    settings.FIELD_KEYS = old
    with pytest.raises(Unreadable):
        Instance.objects.get(pk=instance.pk)
    with pytest.raises(CommandError):
        call_command("rotate_field_key")


def test_the_rotation_prints_a_key_that_the_settings_take(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    call_command("rotate_field_key", "--new-key", stdout=out)
    monkeypatch.setenv("KEYS", f"{out.getvalue().strip()}, {Fernet.generate_key().decode()}")
    assert len(env.keys("KEYS")) == 2


@pytest.mark.parametrize("text", ["short", "", ",", json.dumps(["x" * 44]), "Zm9v" * 11])
def test_what_is_no_key_stops_the_start(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KEYS", text)
    with pytest.raises(ImproperlyConfigured, match="KEYS"):
        env.keys("KEYS")
