"""/api/v1/collections/ and keys/."""

import pytest

from tenants.models import Collection, DataKey, GateChange
from tests.api.client import Program, error
from tests.worlds import MemoryCluster, active_person, released

pytestmark = pytest.mark.django_db


def test_make_list_rename_and_delete(cluster: MemoryCluster) -> None:
    program = Program(active_person(cluster))
    answer = program("POST", "collections/", {"name": "  my   diary "})
    made = answer.json()
    assert (answer.status_code, made["name"], made["instance"], made["size_bytes"]) == (201, "my diary", None, 0)
    assert set(made["project_id"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
    one = f"collections/{made['id']}/"
    assert program("GET", "collections/").json() == {"results": [made], "next": None}
    assert program("PATCH", one, {"name": "diary"}).json() == {**made, "name": "diary"}
    assert program("DELETE", one).status_code == 204
    assert error(program("GET", one)) == (404, "not_found", None)
    assert program("GET", "collections/").json()["results"] == []


def test_a_key_is_shown_once_and_only_its_hash_is_kept(cluster: MemoryCluster) -> None:
    program = Program(active_person(cluster))
    made = program("POST", "collections/", {"name": "x"}).json()
    keys = f"collections/{made['id']}/keys/"
    answer = program("POST", keys, {"name": "laptop"}, key="once")
    shown = answer.json()
    project, underscore, secret = shown["key"].partition("_")
    assert answer.status_code == 201
    assert (project, underscore, len(secret)) == (made["project_id"], "_", 32)
    assert shown["project_id"] == project
    listed = program("GET", keys)
    assert secret not in listed.content.decode()
    assert [key["id"] for key in listed.json()["results"]] == [shown["id"]]
    assert not DataKey.objects.filter(sha256__contains=secret[:8]).exists()
    assert error(program("POST", keys, {"name": "laptop"}, key="once"))[:2] == (409, "key_shown_already")
    assert DataKey.objects.count() == 1


def test_revoking_tells_the_gate(cluster: MemoryCluster) -> None:
    user = active_person(cluster)
    program = Program(user)
    made = program("POST", "collections/", {"name": "x"}).json()
    key = program("POST", f"collections/{made['id']}/keys/", {"name": "k"}).json()
    GateChange.objects.all().delete()
    assert program("DELETE", f"collections/{made['id']}/keys/{key['id']}/").status_code == 204
    assert list(GateChange.objects.values_list("kind", "key")) == [("data", user.cloud.pk)]
    assert error(program("DELETE", f"collections/{made['id']}/keys/{key['id']}/")) == (404, "not_found", None)


def test_strangers_and_nobody_get_nothing(cluster: MemoryCluster) -> None:
    owner = Program(active_person(cluster))
    made = owner("POST", "collections/", {"name": "x"}).json()
    key = owner("POST", f"collections/{made['id']}/keys/", {"name": "k"}).json()
    one = f"collections/{made['id']}/"
    calls = [
        ("GET", one, None),
        ("PATCH", one, {"name": "y"}),
        ("DELETE", one, None),
        ("GET", f"{one}keys/", None),
        ("POST", f"{one}keys/", {"name": "mine"}),
        ("DELETE", f"{one}keys/{key['id']}/", None),
    ]
    stranger, nobody, reader = Program(active_person(cluster)), Program(), Program(active_person(cluster), ("read",))
    for method, path, body in calls:
        assert error(stranger(method, path, body)) == (404, "not_found", None)
        assert error(nobody(method, path, body))[0] == 401
    assert error(reader("POST", "collections/", {"name": "x"}))[:2] == (403, "forbidden")
    assert stranger("GET", "collections/").json()["results"] == []
    assert (Collection.objects.count(), DataKey.objects.count()) == (1, 1)


@pytest.mark.parametrize("name", ["", " \t ", "x" * 61, "a\u0007b", 7, None, {}])
def test_impossible_names_are_refused_by_field(cluster: MemoryCluster, name: object) -> None:
    program = Program(active_person(cluster))
    made = program("POST", "collections/", {"name": "x"}).json()
    for path in ("collections/", f"collections/{made['id']}/keys/"):
        answer = program("POST", path, {"name": name})
        if name == 7:
            assert answer.status_code == 201  # the framework reads a number as its text
        else:
            status, _, field = error(answer)
            assert (status, field) == (422, "name"), answer.content


def test_the_collection_of_an_app_is_shown_with_it_and_stays_while_it_does(cluster: MemoryCluster) -> None:
    slug, user = released(cluster).app.slug, active_person(cluster)
    program = Program(user)
    instance = program("POST", "instances/", {"app": slug}).json()
    [collection] = program("GET", "collections/").json()["results"]
    assert collection["instance"] == instance["id"]
    assert error(program("DELETE", f"collections/{collection['id']}/")) == (409, "collection_in_use", None)
    answer = program("POST", "instances/", {"app": slug, "collection": collection["id"]})
    assert error(answer) == (422, "collection_in_use", "collection")
    answer = program("POST", "instances/?dry_run=true", {"app": slug, "collection": "colnone"})
    assert error(answer) == (422, "no_collection", "collection")
