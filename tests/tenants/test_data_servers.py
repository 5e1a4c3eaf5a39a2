"""A cloud's data server runs and knows what rows say, whatever is killed on the way. The server is the real program."""

import json
import subprocess
from typing import Any

import httpx
import pytest
from django.core import mail
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from k8s.specs import MicroPhase
from tenants.errors import Conflict, Refused
from tenants.models import Collection, DataServer, Drain, DrainAnswer, Gate, User
from tenants.reconcile import alert_mails, data_servers, fullness
from tenants.reconcile.specs import data_server_spec, derived_key
from tenants.services import collections, contents, data_sleep, sleeping, transfers, waking
from tenants.services.clouds import set_quota
from tenants.services.instances import install_app, remove_instance, restart_instance
from tenants.services.quota import use_of
from tenants.states import DataServerState
from tests.free_ports import free_port
from tests.tenants.machine import PROGRAM, Machine, cluster
from tests.worlds import active_person, cloud_of, released, settle

pytestmark = pytest.mark.django_db
__all__ = ["cluster"]


@pytest.fixture
def owner(cluster: Machine) -> User:
    return active_person(cluster)


def server_of(user: User) -> DataServer:
    return DataServer.objects.select_related("cloud__plan").get(cloud__owner=user)


def put(user: User, collection: Collection, text: str, **item: Any) -> httpx.Response:
    address = f"http://{server_of(user).upstream}/v1/{collection.project_id}/base/items"
    return httpx.put(address, headers={"X-API-Key": text}, json={"items": [item]}, trust_env=False)


def test_a_collection_brings_the_clouds_one_server_up(owner: User, cluster: Machine) -> None:
    first, second = (collections.create_collection(owner, name) for name in ("one", "two"))
    assert DataServer.objects.count() == 1
    settle()
    server = server_of(owner)
    assert (server.state, server.program) == (DataServerState.RUNNING, PROGRAM)
    assert server.observed_generation == server.generation == second.generation > first.generation
    spec = cluster.specs[server.pk]
    assert (spec.replicas, spec.artifact, spec.volume and spec.volume.path) == (1, PROGRAM, "/data")


def test_a_namespace_of_an_older_version_gets_room_and_policies_before_its_first_data_server(
    owner: User, cluster: Machine
) -> None:
    before = len(cluster.calls)
    collections.create_collection(owner, "one")
    settle()
    calls = cluster.calls[before:]
    assert calls.index("ensure_cloud") < calls.index("apply_instance")


def test_reconciling_twice_makes_no_second_call_and_writes_nothing(owner: User, cluster: Machine) -> None:
    collections.create_collection(owner, "one")
    settle()
    before, calls = server_of(owner).__dict__, list(cluster.calls)
    assert data_servers.reconcile(server_of(owner).pk)
    after = server_of(owner).__dict__
    assert {k: v for k, v in after.items() if k != "_state"} == {k: v for k, v in before.items() if k != "_state"}
    assert cluster.calls == calls
    assert list(data_servers.unsettled()) == []


def test_a_key_opens_its_own_collection_until_it_is_revoked(owner: User, cluster: Machine) -> None:
    mine, other = (collections.create_collection(owner, name) for name in ("mine", "other"))
    key, text = collections.create_key(owner, mine, "laptop")
    settle()
    assert put(owner, mine, text, key="a", n=1).status_code == 207
    assert put(owner, other, text, key="a", n=1).status_code == 401
    collections.revoke_key(owner, mine, key)
    settle()
    assert put(owner, mine, text, key="b", n=1).status_code == 401


def test_an_instances_derived_key_is_known_and_stored_nowhere(owner: User, cluster: Machine) -> None:
    release = released(cluster)
    instance, _ = install_app(owner, app_slug=release.app.slug)
    settle()
    given = cluster.specs[instance.pk].micros[0].env["DETA_PROJECT_KEY"]
    assert put(owner, instance.collection, given, key="a").status_code == 207
    stored = " ".join(str(value) for row in Collection.objects.values_list() for value in row)
    assert given.partition("_")[2] not in stored


def test_clouds_share_no_secret(owner: User, cluster: Machine) -> None:
    neighbour = active_person(cluster)
    for user in (owner, neighbour):
        collections.create_collection(user, "x")
    one, two = (data_server_spec(server_of(user), PROGRAM).micros[0].env for user in (owner, neighbour))
    assert set(one) == {"FREEHOLD_DATA_MASTER", "FREEHOLD_DATA_GATE", "FREEHOLD_DATA_ADMIN"}
    assert not set(one.values()) & set(two.values())


def test_a_server_that_comes_back_elsewhere_has_everything(owner: User, cluster: Machine) -> None:
    mine = collections.create_collection(owner, "mine")
    _, text = collections.create_key(owner, mine, "laptop")
    settle()
    put(owner, mine, text, key="a", n=1)
    server = server_of(owner)
    cluster.kill(server.pk)
    assert data_servers.reconcile(server.pk)
    moved = server_of(owner)
    assert moved.upstream != server.upstream
    address = f"http://{moved.upstream}/v1/{mine.project_id}/base/items/a"
    assert httpx.get(address, headers={"X-API-Key": text}, trust_env=False).json() == {"key": "a", "n": 1}


def test_what_does_not_answer_is_asked_again(owner: User, cluster: Machine) -> None:
    collections.create_collection(owner, "mine")
    server = server_of(owner)
    cluster.servers[server.pk] = (subprocess.Popen(("sleep", "60")), free_port())
    assert not data_servers.reconcile(server.pk)
    assert server.pk in data_servers.unsettled().values_list("pk", flat=True)
    cluster.kill(server.pk)
    settle()
    assert server_of(owner).state == DataServerState.RUNNING


def test_one_that_failed_is_tried_again_when_it_is_time(owner: User, cluster: Machine) -> None:
    collections.create_collection(owner, "mine")
    cluster.phase = MicroPhase.FAILED
    settle()
    failed = server_of(owner)
    assert (failed.state, failed.upstream) == (DataServerState.FAILED, "")
    assert failed.state_reason == "It does not listen on its port."
    assert list(data_servers.unsettled()) == []
    cluster.phase = MicroPhase.READY
    DataServer.objects.update(retry_at=timezone.now())
    settle()
    assert server_of(owner).state == DataServerState.RUNNING
    assert cluster.specs[failed.pk].generation > failed.generation


def test_an_upgrade_reaches_every_server(owner: User, cluster: Machine, settings: Settings) -> None:
    collections.create_collection(owner, "mine")
    settle()
    newer = "sha256:" + "e" * 64
    settings.DATA_PROGRAM.write_text(json.dumps({"digest": newer}))
    settle()
    assert cluster.specs[server_of(owner).pk].artifact == server_of(owner).program == newer


def test_removing_an_app_keeps_its_data_unless_told_otherwise(owner: User, cluster: Machine) -> None:
    release = released(cluster)
    kept, gone = (install_app(owner, app_slug=release.app.slug)[0] for _ in range(2))
    settle()
    keys = {instance: derived_key(instance.collection) for instance in (kept, gone)}
    assert put(owner, kept.collection, keys[kept], key="a").status_code == 207
    remove_instance(owner, kept)
    remove_instance(owner, gone, delete_data=True)
    settle()
    [left] = Collection.objects.filter(cloud__owner=owner)
    assert (left.pk, left.instance) == (kept.collection.pk, None)
    assert put(owner, left, keys[kept], key="b").status_code == 401

    again, _ = install_app(owner, app_slug=release.app.slug, collection_id=left.pk)
    settle()
    assert again.collection.project_id == left.project_id
    fresh = derived_key(again.collection)
    assert fresh != keys[kept]
    assert put(owner, again.collection, fresh, key="b").status_code == 207


def test_only_ones_own_unused_collection_can_be_given_to_an_app(owner: User, cluster: Machine) -> None:
    slug = released(cluster).app.slug
    used = install_app(owner, app_slug=slug)[0].collection
    foreign = collections.create_collection(active_person(cluster), "theirs")
    for collection in (used, foreign):
        with pytest.raises(Refused) as refusal:
            install_app(owner, app_slug=slug, collection_id=collection.pk)
        assert refusal.value.field == "collection"
    with pytest.raises(Conflict):
        collections.remove_collection(owner, used)


def test_the_quota_is_the_servers_limit_and_its_owner_is_told_before(owner: User, cluster: Machine) -> None:
    mine = collections.create_collection(owner, "mine")
    _, text = collections.create_key(owner, mine, "laptop")
    set_quota(None, cloud_of(owner), cpu_millis=None, memory_mib=None, storage_mib=1, instances=None)
    settle()
    assert server_of(owner).limit_bytes == 1024 * 1024
    for number in range(3):
        assert put(owner, mine, text, key=f"k{number}", words="x" * 300_000).status_code == 207
    fullness.measure()
    fullness.measure()
    [due] = alert_mails.due()
    alert_mails.send(due)
    assert [(message.to, message.subject) for message in mail.outbox] == [
        ([owner.email], "Your cloud's storage is 85 % full")
    ]
    refused = put(owner, mine, text, key="more", words="x" * 300_000)
    assert refused.status_code == 507, refused.text
    assert use_of(cloud_of(owner)).storage_mib == 1


def test_apps_from_before_there_were_collections_get_one_once(owner: User, cluster: Machine) -> None:
    slug = released(cluster).app.slug
    old, gone = (install_app(owner, app_slug=slug)[0] for _ in range(2))
    settle()
    remove_instance(owner, gone, delete_data=True)
    settle()
    Collection.objects.all().delete()
    generation = cluster.specs[old.pk].generation
    assert (collections.give_missing_collections(), collections.give_missing_collections()) == (1, 0)
    settle()
    [given] = Collection.objects.all()
    assert (given.instance, given.state, cluster.specs[old.pk].generation) == (old, "active", generation)
    restart_instance(owner, old)
    settle()
    assert put(owner, given, cluster.specs[old.pk].micros[0].env["DETA_PROJECT_KEY"], key="a").status_code == 207


def test_when_a_key_was_used_is_written_down_by_the_measuring(owner: User, cluster: Machine) -> None:
    mine = collections.create_collection(owner, "mine")
    (used, text), (unused, _) = (collections.create_key(owner, mine, name) for name in ("used", "unused"))
    settle()
    assert put(owner, mine, text, key="a").status_code == 207
    assert put(owner, mine, f"{text}x", key="a").status_code == 401
    fullness.measure()
    used.refresh_from_db()
    unused.refresh_from_db()
    assert used.last_used_at is not None and abs((timezone.now() - used.last_used_at).total_seconds()) < 60
    assert unused.last_used_at is None
    before = used.last_used_at
    cluster.kill(server_of(owner).pk)  # it forgets, the row does not
    DataServer.objects.update(generation=F("generation") + 1)
    settle()
    fullness.measure()
    used.refresh_from_db()
    assert used.last_used_at == before


def let_go(server: DataServer) -> None:
    DrainAnswer.objects.create(drain=Drain.objects.get(subject=server.pk), gate_id="g", open=0)


def test_it_sleeps_when_nothing_of_the_cloud_is_awake_and_wakes_with_the_first_that_is(
    owner: User, cluster: Machine
) -> None:
    Gate.objects.create(id="g", cell_id=owner.cloud.cell_id, seen_at=timezone.now())
    instance, _ = install_app(owner, app_slug=released(cluster).app.slug)
    settle()
    put(owner, instance.collection, derived_key(instance.collection), key="k", value=1)
    assert sleeping.look_for_sleepers() == 0  # the app is awake
    sleeping.fall_asleep(instance.pk)
    DrainAnswer.objects.create(drain=Drain.objects.get(), gate_id="g", open=0)
    sleeping.finish_drains()
    settle()
    assert sleeping.look_for_sleepers() == 1
    server = server_of(owner)
    drain = Drain.objects.get()
    assert (drain.subject, drain.keys) == (server.pk, [instance.collection.project_id])
    let_go(server)
    sleeping.finish_drains()
    assert server_of(owner).upstream == ""  # nobody is led there before it is stopped
    settle()
    server = server_of(owner)
    assert (server.awake, server.state, cluster.specs[server.pk].replicas) == (False, DataServerState.STOPPED, 0)
    cluster.kill(server.pk)
    settle()
    assert server_of(owner).state == DataServerState.STOPPED
    waking.wake(instance.pk)
    settle()
    server = server_of(owner)
    assert (server.state, cluster.specs[server.pk].replicas) == (DataServerState.RUNNING, 1)
    address = f"http://{server.upstream}/v1/{instance.collection.project_id}/base/items/k"
    found = httpx.get(address, headers={"X-API-Key": derived_key(instance.collection)}, trust_env=False)
    assert found.json()["value"] == 1


@pytest.mark.parametrize("need", ["key", "page", "export", "gate"])
def test_whatever_needs_it_wakes_it_and_keeps_it_awake(owner: User, cluster: Machine, need: str) -> None:
    Gate.objects.create(id="g", cell_id=owner.cloud.cell_id, seen_at=timezone.now())
    collection = collections.create_collection(owner, "one")
    settle()
    assert sleeping.look_for_sleepers() == 1
    let_go(server_of(owner))
    sleeping.finish_drains()
    settle()
    assert not server_of(owner).awake
    if need == "key":
        collections.create_key(owner, collection, "mine")
    elif need == "page":
        with pytest.raises(contents.Away):
            contents.upstream_of(collection)
    elif need == "export":
        transfers.start_export(owner, collection)
    else:
        data_sleep.rouse_for(collection.project_id)
    settle()
    assert server_of(owner).state == DataServerState.RUNNING
    assert sleeping.look_for_sleepers() == (1 if need == "key" else 0)
    data_sleep.rouse(owner.cloud.pk)
    assert not Drain.objects.exists()
    assert contents.upstream_of(collection) == server_of(owner).upstream


def test_one_that_is_used_from_outside_stays_awake(owner: User, cluster: Machine) -> None:
    collections.create_collection(owner, "one")
    settle()
    DataServer.objects.update(used_at=timezone.now())
    assert sleeping.look_for_sleepers() == 0
