"""/api/v1/instances/<id>/keys/: keys that programs show to an app."""

import hashlib

import pytest

from tenants.models import AppKey, Event, GateChange, Instance, User
from tenants.services.instances import install_app, remove_instance
from tests.api.client import Program, error
from tests.worlds import MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db
SPACEFILE = """
v: 0
micros:
  - {name: main, src: ./, engine: python3.11, run: x, primary: true}
  - {name: api, src: ./, engine: python3.11, run: x, presets: {api_keys: true}}
  - {name: hooks, src: ./, engine: python3.11, run: x, presets: {api_keys: true}}
"""


def installed(cluster: MemoryCluster, spacefile: str = SPACEFILE) -> tuple[User, Instance]:
    user = active_person(cluster)
    instance, _ = install_app(user, app_slug=released(cluster, spacefile).app.slug)
    settle()
    return user, instance


def test_a_key_is_shown_once_and_only_its_hash_is_kept(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    program, keys = Program(user), f"instances/{instance.pk}/keys/"
    answer = program("POST", keys, {"name": " my  script ", "micro": "api"}, key="once")
    shown = answer.json()
    text = shown.pop("key")
    assert answer.status_code == 201
    assert (shown["name"], shown["micro"], shown["last_used_at"], shown["expires_at"]) == (
        "my script",
        "api",
        None,
        None,
    )
    listed = program("GET", keys)
    assert listed.json() == {"results": [shown], "next": None}
    assert text.startswith(shown["prefix"]) and text not in listed.content.decode()
    key = AppKey.objects.get()
    assert key.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert error(program("POST", keys, {"name": " my  script ", "micro": "api"}, key="once"))[:2] == (
        409,
        "key_shown_already",
    )
    assert AppKey.objects.count() == 1
    assert Event.objects.filter(subject=key.pk, cloud_id=user.cloud.pk, after="made", actor=user.pk).exists()


def test_without_a_micro_it_is_for_all_that_take_keys(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    made = Program(user)("POST", f"instances/{instance.pk}/keys/", {"name": "all"})
    assert (made.status_code, made.json()["micro"]) == (201, None)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": "x", "micro": "main"}, "no_such_micro", "micro"),
        ({"name": "x", "micro": "nothing"}, "no_such_micro", "micro"),
        ({"name": " "}, None, "name"),
        ({"name": "a\u0007b"}, None, "name"),
        ({}, None, "name"),
        ({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, "invalid_expiry", "expires_at"),
        ({"name": "x", "expires_at": "soon"}, None, "expires_at"),
        ({"name": "x", "sha256": "0" * 64}, None, "sha256"),
    ],
    ids=str,
)
def test_impossible_keys_are_refused_by_field(
    cluster: MemoryCluster, body: dict[str, str], code: str | None, field: str
) -> None:
    user, instance = installed(cluster)
    status, said, named = error(Program(user)("POST", f"instances/{instance.pk}/keys/", body))
    assert (status, named) == (422, field) and code in (None, said)
    assert not AppKey.objects.exists()


def test_an_app_that_takes_no_keys_gets_none(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster, "v: 0\nmicros:\n  - {name: main, src: ./, engine: python3.11, run: x}\n")
    answer = Program(user)("POST", f"instances/{instance.pk}/keys/", {"name": "x"})
    assert error(answer)[:2] == (409, "takes_no_keys")


def test_revoking_tells_the_gate_once(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    program = Program(user)
    key = program("POST", f"instances/{instance.pk}/keys/", {"name": "k"}).json()
    GateChange.objects.all().delete()
    one = f"instances/{instance.pk}/keys/{key['id']}/"
    assert program("DELETE", one).status_code == 204
    assert list(GateChange.objects.values_list("kind", "key")) == [("instance", instance.pk)]
    assert error(program("DELETE", one))[:2] == (404, "not_found")
    assert Event.objects.filter(subject=key["id"], after="revoked").count() == 1


def test_strangers_and_nobody_get_nothing(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    keys = f"instances/{instance.pk}/keys/"
    key = Program(user)("POST", keys, {"name": "k"}).json()
    stranger = Program(active_person(cluster, "stranger"))
    calls = [("GET", keys, None), ("POST", keys, {"name": "mine"}), ("DELETE", f"{keys}{key['id']}/", None)]
    for method, path, body in calls:
        assert error(stranger(method, path, body))[:2] == (404, "not_found")
        assert error(Program()(method, path, body))[0] == 401
    assert error(Program(user, ("read",))("POST", keys, {"name": "x"}))[:2] == (403, "forbidden")
    assert AppKey.objects.count() == 1


def test_the_key_between_micros_is_renewed_by_a_restart(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    program, renew = Program(user), f"instances/{instance.pk}/keys/renew/"
    before = _own_keys(cluster, instance)
    GateChange.objects.all().delete()
    answer = program("POST", renew)
    assert (answer.status_code, answer.json()["kind"]) == (202, "restart")
    assert ("instance", instance.pk) in GateChange.objects.values_list("kind", "key")
    assert error(program("POST", renew))[:2] == (409, "instance_busy")
    settle()
    after = _own_keys(cluster, instance)
    assert len(before) == len(after) == 1 and before != after
    assert error(Program(active_person(cluster, "stranger"))("POST", renew))[0] == 404


def _own_keys(cluster: MemoryCluster, instance: Instance) -> set[str]:
    """What its micros are given: all the same."""
    return {micro.env["DETA_API_KEY"] for micro in cluster.specs[instance.pk].micros}


def test_a_removed_app_has_no_keys(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    program, keys = Program(user), f"instances/{instance.pk}/keys/"
    program("POST", keys, {"name": "k"})
    remove_instance(user, instance)
    assert not AppKey.objects.exists()
    assert error(program("POST", keys, {"name": "k"}))[:2] == (409, "instance_removed")
