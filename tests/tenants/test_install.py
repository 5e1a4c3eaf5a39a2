"""Installing, from the click to the address."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection
from django.http import Http404

from k8s.errors import Permanent, Temporary
from k8s.specs import MicroPhase
from tenants.data_secrets import calls_key
from tenants.errors import QuotaExceeded, Refused
from tenants.models import Event, GateChange, Instance, InstanceMicro, Operation
from tenants.reconcile import instances as reconciler
from tenants.reconcile.specs import derived_key
from tenants.services import clouds
from tenants.services.instances import Size, install_app
from tenants.services.quota import use_of
from tenants.states import InstanceState, WorkState
from tests.worlds import MemoryCluster, active_person, cloud_of, new_person, released, settle

pytestmark = pytest.mark.django_db

TWO_MICROS = """
v: 0
micros:
  - {name: main, src: ., engine: python3.9, primary: true, public_routes: ["/share/*"],
     presets: {env: [{name: COLOUR, default: red}, {name: EMPTY, default: ""}]}}
  - {name: pages, src: site, engine: static, serve: ., path: web}
"""


def step_states(operation: Operation) -> dict[str, str]:
    return {step.name: step.state for step in operation.steps.all()}


def test_an_install_ends_running_with_every_step_done(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    instance, operation = install_app(user, app_slug=release.app.slug)
    assert step_states(operation)["reserve"] == "succeeded"
    assert instance.state == InstanceState.INSTALLING
    settle()
    instance.refresh_from_db()
    operation.refresh_from_db()
    assert (instance.state, operation.state) == (InstanceState.RUNNING, WorkState.SUCCEEDED)
    assert set(step_states(operation).values()) == {"succeeded"}
    assert all(step.started_at and step.finished_at for step in operation.steps.all())
    assert instance.observed_generation == instance.generation
    assert InstanceMicro.objects.get(instance=instance).upstream == "10.0.0.1:8080"
    assert GateChange.objects.filter(key=instance.pk).count() >= 2


def test_reconciling_twice_makes_no_second_call_and_writes_nothing(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug)
    settle()
    calls, events, changes = list(cluster.calls), Event.objects.count(), GateChange.objects.count()
    for _ in range(50):
        reconciler.reconcile(instance.pk)
    assert cluster.calls == calls
    assert (Event.objects.count(), GateChange.objects.count()) == (events, changes)


def test_what_the_cluster_gets_is_what_rows_and_manifest_say(cluster: MemoryCluster) -> None:
    release, user = released(cluster, TWO_MICROS, version="2.0"), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug, alias="mine", config={"COLOUR": "blue"})
    settle()
    spec = cluster.specs[instance.pk]
    main, pages = spec.micros
    assert main.env == {
        "COLOUR": "blue",
        "DETA_SPACE_APP": "true",
        "DETA_SPACE_APP_VERSION": "2.0",
        "DETA_SPACE_APP_HOSTNAME": f"{instance.host}:8000",
        "DETA_SPACE_APP_MICRO_NAME": "main",
        "DETA_SPACE_APP_MICRO_TYPE": "primary",
        "DETA_PROJECT_KEY": derived_key(instance.collection),
        "DETA_API_KEY": calls_key(settings.DATA_KEY, instance.cloud_id, instance.pk, 1),
        "DETA_BASE_HOST": settings.DATA_HOST,
        "DETA_DRIVE_HOST": settings.DATA_HOST,
    }
    assert (main.limits.cpu_millis, main.limits.memory_mib) == (200, 512)
    assert (pages.kind, pages.env) == ("static", {})
    assert instance.host.startswith("localhost-mine-")
    assert instance.host.endswith(".apps.localhost")
    rows = {micro.name: micro for micro in instance.micros.all()}
    assert (rows["main"].mount, rows["main"].public_routes) == ("", ["/share/*"])
    assert (rows["pages"].mount, rows["pages"].serve.split("/")[0]) == ("web", release.revision.digest)


def test_no_app_is_told_of_data_where_no_server_would_answer(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DATA_SERVERS", False)
    release, user = released(cluster, TWO_MICROS), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug)
    settle()
    names = cluster.specs[instance.pk].micros[0].env.keys()
    assert not names & {"DETA_PROJECT_KEY", "DETA_BASE_HOST", "DETA_DRIVE_HOST"}


def test_a_data_address_of_the_installations_own_is_known_inside_of_apps(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DATA_HOST", "data.apps.example:444")
    release, user = released(cluster, TWO_MICROS), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug)
    settle()
    assert cluster.specs[instance.pk].micros[0].env["DETA_BASE_HOST"] == "data.apps.example:444"
    assert cluster.specs[instance.pk].gate_hosts == ("data.apps.example",)


def test_static_micros_take_no_compute(cluster: MemoryCluster) -> None:
    release, user = released(cluster, TWO_MICROS), active_person(cluster)
    install_app(user, app_slug=release.app.slug)
    use = use_of(cloud_of(user))
    assert (use.cpu_millis, use.memory_mib, use.storage_mib, use.instances) == (200, 512, 500, 1)


def test_a_volume_counts_with_its_size_and_reaches_the_cluster(cluster: MemoryCluster) -> None:
    micro = "micros:\n  - {name: main, src: ., engine: python3.9, primary: true}\n"
    spacefile = "v: 1\nvolume: {path: /data, size_mib: 64}\n" + micro
    release, user = released(cluster, spacefile), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug)
    settle()
    volume = cluster.specs[instance.pk].volume
    assert use_of(cloud_of(user)).storage_mib == 64
    assert volume is not None
    assert (volume.path, volume.size_mib) == ("/data", 64)


@pytest.mark.parametrize("resource", ["cpu_millis", "memory_mib", "storage_mib", "instances"])
def test_over_quota_nothing_is_written(cluster: MemoryCluster, resource: str) -> None:
    release, user = released(cluster), active_person(cluster)
    limits = {"cpu_millis": None, "memory_mib": None, "storage_mib": None, "instances": None}
    clouds.set_quota(None, user.cloud, **{**limits, resource: 0})
    with pytest.raises(QuotaExceeded) as refusal:
        install_app(user, app_slug=release.app.slug)
    assert refusal.value.detail["resource"] == resource
    assert not Instance.objects.exists()
    assert not Operation.objects.filter(kind="install").exists()


def test_a_quota_changed_by_an_operator_holds_at_once_and_reaches_the_cluster(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    clouds.set_quota(None, user.cloud, cpu_millis=None, memory_mib=None, storage_mib=None, instances=1)
    install_app(user, app_slug=release.app.slug)
    with pytest.raises(QuotaExceeded):
        install_app(user, app_slug=release.app.slug)
    settle()
    assert cluster.clouds[user.cloud.pk].instances == 1


@pytest.mark.parametrize("alias", ["", "Upper", "-a", "a-", "a--b", "ümlaut", "a" * 64, "a.b", "a/b"])
def test_an_alias_that_is_no_part_of_a_host_name_is_refused(cluster: MemoryCluster, alias: str) -> None:
    release, user = released(cluster), active_person(cluster)
    with pytest.raises(Refused) as refusal:
        install_app(user, app_slug=release.app.slug, alias=alias)
    assert refusal.value.field == "alias"


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"release_id": "relnothing"}, "release"),
        ({"channel": "nightly"}, "channel"),
        ({"config": {"NOPE": "1"}}, "config"),
        ({"size": Size(cpu_millis=1)}, "size"),
        ({"size": Size(memory_mib=1)}, "size"),
    ],
)
def test_wishes_that_cannot_be_met_name_the_field(cluster: MemoryCluster, wish: dict[str, object], field: str) -> None:
    release, user = released(cluster), active_person(cluster)
    with pytest.raises(Refused) as refusal:
        install_app(user, app_slug=release.app.slug, **wish)  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_an_app_that_was_never_released_is_not_there_for_others(cluster: MemoryCluster) -> None:
    from tenants.services.publish import create_project

    app = create_project(new_person(), "Secret")
    with pytest.raises(Http404):
        install_app(active_person(cluster), app_slug=app.slug)


def test_an_install_waits_for_its_cloud(cluster: MemoryCluster) -> None:
    release, user = released(cluster), new_person()
    instance, _ = install_app(user, app_slug=release.app.slug)
    reconciler.reconcile(instance.pk)
    assert instance.pk not in cluster.specs
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.RUNNING


def test_an_app_that_never_listens_fails_visibly_with_its_last_lines(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    cluster.phase = MicroPhase.FAILED
    instance, operation = install_app(user, app_slug=release.app.slug)
    settle()
    instance.refresh_from_db()
    operation.refresh_from_db()
    assert instance.state == InstanceState.FAILED
    assert "listen" in instance.state_reason
    assert "ValueError" in instance.log_tail
    assert operation.state == WorkState.FAILED
    assert step_states(operation) == {
        "reserve": "succeeded",
        "prepare": "succeeded",
        "start": "failed",
        "address": "cancelled",
    }


def test_a_refusing_cluster_fails_the_install(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    cluster.break_before["apply_instance"] = [Permanent("no such engine here")]
    instance, operation = install_app(user, app_slug=release.app.slug)
    settle()
    instance.refresh_from_db()
    operation.refresh_from_db()
    assert instance.state == InstanceState.FAILED
    assert instance.state_reason.startswith("No such engine here.")
    assert operation.error == "no such engine here"


def test_a_cluster_out_of_reach_is_tried_again_later(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    cluster.break_before["apply_instance"] = [Temporary("the node agent does not answer")]
    instance, operation = install_app(user, app_slug=release.app.slug)
    settle()
    operation.refresh_from_db()
    assert (operation.state, operation.attempts) == (WorkState.RUNNING, 1)
    assert operation.not_before is not None
    Operation.objects.filter(pk=operation.pk).update(not_before=None)
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.RUNNING


@pytest.mark.parametrize("verb", ["observe", "apply_instance"])
def test_whoever_waits_for_a_cluster_out_of_reach_reads_why(cluster: MemoryCluster, verb: str) -> None:
    release, user = released(cluster), active_person(cluster)
    cluster.break_before[verb] = [Temporary("the node agent does not answer")]
    _, operation = install_app(user, app_slug=release.app.slug)
    settle()
    step = operation.steps.get(state=WorkState.RUNNING)
    assert (step.name, step.detail) == ("prepare", "Will be tried again: the node agent does not answer")


def test_it_is_not_tried_for_ever(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    cluster.break_before["apply_instance"] = [Temporary("the node agent does not answer")] * 100
    instance, operation = install_app(user, app_slug=release.app.slug)
    for _ in range(20):
        Operation.objects.filter(pk=operation.pk).update(not_before=None)
        reconciler.reconcile(instance.pk)
    instance.refresh_from_db()
    assert instance.state == InstanceState.FAILED
    assert "does not answer" in instance.state_reason


class Killed(BaseException):
    """As if the worker had been killed at this point."""


@pytest.mark.parametrize("moment", ["break_before", "break_after"])
def test_a_worker_killed_around_a_call_leaves_work_that_another_ends(cluster: MemoryCluster, moment: str) -> None:
    release, user = released(cluster), active_person(cluster)
    getattr(cluster, moment)["apply_instance"] = [Killed()]
    instance, operation = install_app(user, app_slug=release.app.slug)
    with pytest.raises(Killed):
        reconciler.reconcile(instance.pk)
    settle()
    instance.refresh_from_db()
    operation.refresh_from_db()
    assert (instance.state, operation.state) == (InstanceState.RUNNING, WorkState.SUCCEEDED)
    assert len(cluster.specs) == 1


def test_a_lost_namespace_is_made_again(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    cluster.clouds.clear()
    instance, _ = install_app(user, app_slug=release.app.slug)
    settle()
    instance.refresh_from_db()
    assert instance.state == InstanceState.RUNNING
    assert user.cloud.pk in cluster.clouds


def test_what_the_gate_may_use_follows_what_is_seen(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug)
    settle()
    cluster.phase = MicroPhase.STARTING
    reconciler.reconcile(instance.pk)
    assert InstanceMicro.objects.get(instance=instance).upstream == ""
    cluster.phase = MicroPhase.FAILED
    reconciler.reconcile(instance.pk)
    instance.refresh_from_db()
    assert instance.state == InstanceState.FAILED
    cluster.phase = MicroPhase.READY
    reconciler.reconcile(instance.pk)
    instance.refresh_from_db()
    assert (instance.state, instance.state_reason) == (InstanceState.RUNNING, "")


def test_two_installs_at_once_for_the_last_room_make_one(races: None, cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    clouds.set_quota(None, user.cloud, cpu_millis=None, memory_mib=None, storage_mib=None, instances=3)

    def attempt(_: int) -> bool:
        try:
            install_app(user, app_slug=release.app.slug)
            return True
        except QuotaExceeded:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(attempt, range(24)))
    assert sum(made) == 3
    assert Instance.objects.count() == 3


def test_many_workers_at_one_instance_make_one(races: None, cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    instance, operation = install_app(user, app_slug=release.app.slug)

    def work(_: int) -> None:
        try:
            reconciler.reconcile(instance.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(50)))
    operation.refresh_from_db()
    assert cluster.calls.count("apply_instance") == 1
    assert operation.state == WorkState.SUCCEEDED


def test_a_process_has_the_size_that_its_spacefile_says(cluster: MemoryCluster) -> None:
    spacefile = (
        "v: 1\nmicros:\n"
        "  - {name: main, src: ., engine: python3.11, primary: true, size: {memory_mib: 1024}}\n"
        "  - {name: other, src: ., engine: python3.11}\n"
        "  - {name: small, src: ., engine: python3.11, size: {cpu_millis: 50, memory_mib: 64}}\n"
    )
    release, user = released(cluster, spacefile), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug, size=Size(cpu_millis=300, memory_mib=256))
    settle()
    limits = {micro.name: micro.limits for micro in cluster.specs[instance.pk].micros}
    assert {name: (limit.cpu_millis, limit.memory_mib) for name, limit in limits.items()} == {
        "main": (300, 1024),
        "other": (300, 256),
        "small": (50, 64),
    }
    use = use_of(cloud_of(user))
    assert (use.cpu_millis, use.memory_mib) == (650, 1344)
