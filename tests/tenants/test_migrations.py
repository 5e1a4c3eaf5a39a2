"""Commands that a version wants to have run before it takes over: once, and only its success lets it."""

import contextlib
from typing import Any

import pytest

from k8s.errors import Temporary
from k8s.specs import JobPhase
from tenants.models import Instance, InstanceMicro, Operation, User
from tenants.reconcile import instances as reconciler
from tenants.services.instances import change_instance, install_app, remove_instance, restart_instance
from tenants.services.updates import rollback_instance, update_instance
from tests.tenants.test_updates import another, fresh, installed
from tests.worlds import MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db
PLAIN = "v: 1\nmicros:\n  - {name: main, src: ., engine: python3.11, primary: true"
FIRST = f"{PLAIN}, presets: {{env: [{{name: COLOUR}}]}}}}\n"
MIGRATES = f"{PLAIN}, migrate: ./migrate --now, presets: {{env: [{{name: COLOUR}}]}}}}\n"
KEEPS = "volume: /data\n"
TWO = MIGRATES + "  - {name: api, src: ., engine: python3.11, migrate: ./second}\n"


def updated(cluster: MemoryCluster, to: str = MIGRATES, first: str = FIRST) -> tuple[User, Instance, Operation]:
    """An instance whose update has begun and has been looked at."""
    user, instance = installed(cluster, first)
    another(instance.app, to, version="2")
    operation = update_instance(user, instance, consent=("memory:1024",))
    settle()
    operation.refresh_from_db()
    return user, fresh(instance), operation


def steps(operation: Operation) -> dict[str, str]:
    return {step.name: str(step.state) for step in operation.steps.all()}


def test_it_runs_before_the_first_start_with_the_settings_and_the_volume(cluster: MemoryCluster) -> None:
    release = released(cluster, MIGRATES + KEEPS)
    user = active_person(cluster)
    instance, operation = install_app(user, app_slug=release.app.slug, config={"COLOUR": "red"})
    cluster.command_phase = JobPhase.RUNNING
    settle()
    (job,) = cluster.commands.values()
    assert (job.command, job.micro, job.instance.micros[0].env["COLOUR"]) == ("./migrate --now", "main", "red")
    assert job.instance.volume is not None and cluster.specs[instance.pk].replicas == 0
    assert (fresh(instance).state, steps(operation)["migrate"]) == ("installing", "running")
    cluster.command_phase = JobPhase.SUCCEEDED
    settle()
    operation.refresh_from_db()
    assert (fresh(instance).state, operation.state, steps(operation)["migrate"]) == (
        "running",
        "succeeded",
        "succeeded",
    )
    assert (cluster.commands, cluster.ran) == ({}, [("./migrate --now", 0)])


def test_without_a_volume_the_older_version_serves_until_it_has_run(cluster: MemoryCluster) -> None:
    cluster.command_phase = JobPhase.RUNNING
    _, instance, operation = updated(cluster)
    assert cluster.specs[instance.pk].micros[0].env["DETA_SPACE_APP_VERSION"] == "1"
    assert InstanceMicro.objects.get(instance=instance).upstream != ""
    cluster.command_phase = JobPhase.SUCCEEDED
    settle()
    operation.refresh_from_db()
    assert operation.state == "succeeded"
    assert cluster.specs[instance.pk].micros[0].env["DETA_SPACE_APP_VERSION"] == "2"
    assert cluster.ran == [("./migrate --now", 1)]


def test_with_a_volume_the_older_version_is_stopped_first_and_nobody_is_led_to_it(cluster: MemoryCluster) -> None:
    cluster.command_phase = JobPhase.RUNNING
    _, instance, _ = updated(cluster, MIGRATES + KEEPS, FIRST + KEEPS)
    assert cluster.ran == [("./migrate --now", 0)]
    assert InstanceMicro.objects.get(instance=instance).upstream == ""
    cluster.command_phase = JobPhase.SUCCEEDED
    settle()
    assert (fresh(instance).state, cluster.specs[instance.pk].replicas) == ("running", 1)
    assert InstanceMicro.objects.get(instance=instance).upstream != ""


@pytest.mark.parametrize("volume", ["", KEEPS])
def test_one_that_fails_leaves_the_older_version_with_the_reason_and_the_log(
    cluster: MemoryCluster, volume: str
) -> None:
    cluster.command_phase = JobPhase.FAILED
    _, instance, operation = updated(cluster, MIGRATES + volume, FIRST + volume)
    said = "Its migration (./migrate --now) exited with code 1."
    assert (operation.state, operation.error, steps(operation)["migrate"]) == ("failed", said, "failed")
    assert (instance.state, instance.release and instance.release.version) == ("running", "1")
    assert (instance.update_error, instance.log_tail, instance.migration) == (said, "no such table", "")
    assert cluster.specs[instance.pk].micros[0].env["DETA_SPACE_APP_VERSION"] == "1"
    assert cluster.specs[instance.pk].replicas == 1 and cluster.commands == {}
    assert InstanceMicro.objects.get(instance=instance).upstream != ""


def test_one_that_fails_at_the_first_install_is_tried_again_by_retry(cluster: MemoryCluster) -> None:
    release = released(cluster, MIGRATES)
    user = active_person(cluster)
    cluster.command_phase = JobPhase.FAILED
    instance, operation = install_app(user, app_slug=release.app.slug)
    settle()
    reconciler.reconcile(instance.pk)
    operation.refresh_from_db()
    failed = fresh(instance)
    assert (failed.state, operation.state, failed.log_tail) == ("failed", "failed", "no such table")
    assert failed.state_reason == "Its migration (./migrate --now) exited with code 1."
    assert instance.pk not in cluster.specs and len(cluster.ran) == 1
    cluster.command_phase = JobPhase.SUCCEEDED
    restart_instance(user, failed)
    settle()
    assert (fresh(instance).state, len(cluster.ran)) == ("running", 2)


def test_those_of_several_micros_run_one_after_the_other(cluster: MemoryCluster) -> None:
    cluster.command_phase = JobPhase.RUNNING
    _, instance, _ = updated(cluster, TWO)
    assert [command for command, _ in cluster.ran] == ["./migrate --now"]
    cluster.command_phase = JobPhase.SUCCEEDED
    settle()
    assert [command for command, _ in cluster.ran] == ["./migrate --now", "./second"]
    assert fresh(instance).state == "running"


@pytest.mark.parametrize("moment", ["break_before", "break_after"])
@pytest.mark.parametrize("error", [Temporary("busy"), KeyboardInterrupt()])
def test_a_worker_that_is_killed_around_its_start_lets_it_run_once(
    cluster: MemoryCluster, moment: str, error: BaseException
) -> None:
    user, instance = installed(cluster, FIRST)
    another(instance.app, MIGRATES, version="2")
    operation = update_instance(user, instance)
    getattr(cluster, moment)["run_job"] = [error]
    with contextlib.suppress(KeyboardInterrupt):
        reconciler.reconcile(instance.pk)
    Operation.objects.filter(pk=operation.pk).update(not_before=None)
    settle()
    assert (fresh(instance).state, cluster.ran) == ("running", [("./migrate --now", 1)])


def test_a_worker_that_is_killed_after_it_was_noted_starts_the_version_all_the_same(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> bool:
        raise KeyboardInterrupt

    user, instance = installed(cluster, FIRST)
    another(instance.app, MIGRATES, version="2")
    update_instance(user, instance)
    reconciler.reconcile(instance.pk)
    with monkeypatch.context() as patched:
        patched.setattr(reconciler.migrations, "clear", killed)
        with pytest.raises(KeyboardInterrupt):
            reconciler.reconcile(instance.pk)
    assert len(cluster.commands) == 1
    settle()
    assert (fresh(instance).state, len(cluster.ran)) == ("running", 1)
    another(instance.app, MIGRATES, version="3")
    update_instance(user, fresh(instance))
    settle()
    assert (fresh(instance).state, len(cluster.ran), cluster.commands) == ("running", 2, {})


def test_neither_the_way_back_nor_new_settings_run_it_again(cluster: MemoryCluster) -> None:
    user, instance, _ = updated(cluster)
    change_instance(user, instance, config={"COLOUR": "blue"})
    settle()
    rollback_instance(user, fresh(instance))
    settle()
    assert (fresh(instance).state, len(cluster.ran)) == ("running", 1)


def test_going_forward_again_runs_it_again(cluster: MemoryCluster) -> None:
    user, instance, _ = updated(cluster)
    rollback_instance(user, instance)
    settle()
    update_instance(user, fresh(instance))
    settle()
    assert (fresh(instance).state, len(cluster.ran)) == ("running", 2)


def test_removing_it_meanwhile_ends_it(cluster: MemoryCluster) -> None:
    cluster.command_phase = JobPhase.RUNNING
    user, instance, _ = updated(cluster)
    remove_instance(user, instance)
    settle()
    assert (fresh(instance).state, cluster.commands) == ("removed", {})


def test_what_has_none_asks_the_cluster_nothing(cluster: MemoryCluster) -> None:
    updated(cluster, FIRST)
    assert "run_job" not in cluster.calls


def test_health_and_closed_doors_reach_the_cluster(cluster: MemoryCluster) -> None:
    text = f"{PLAIN}, health: /up, egress: none}}\n  - {{name: api, src: ., engine: nodejs20, egress: [e.org]}}\n"
    _, instance = installed(cluster, text)
    micros = {micro.name: micro for micro in cluster.specs[instance.pk].micros}
    assert (micros["main"].health, micros["main"].offline) == ("/up", True)
    assert (micros["api"].health, micros["api"].offline) == (None, False)


def test_an_update_of_what_has_a_volume_keeps_a_copy_first_and_deletes_it_once_it_runs(cluster: MemoryCluster) -> None:
    cluster.command_phase = JobPhase.RUNNING
    _, instance, operation = updated(cluster, MIGRATES + KEEPS, FIRST + KEEPS)
    assert (cluster.copied, cluster.ran) == ([("keep", 0)], [("./migrate --now", 0)])
    assert (steps(operation)["keep"], steps(operation)["migrate"]) == ("succeeded", "running")
    cluster.command_phase = JobPhase.SUCCEEDED
    settle()
    assert cluster.copied == [("keep", 0), ("forget", 1)]
    assert (fresh(instance).state, fresh(instance).copy_id, cluster.commands) == ("running", "", {})


@pytest.mark.parametrize("to", [MIGRATES, FIRST])
@pytest.mark.parametrize("how", ["migration", "start"])
def test_an_update_that_fails_gives_the_copy_back_before_the_older_version_starts(
    cluster: MemoryCluster, to: str, how: str
) -> None:
    if how == "migration":
        cluster.command_phase = JobPhase.FAILED
        to = MIGRATES
    else:
        cluster.broken.add("2")
    _, instance, operation = updated(cluster, to + KEEPS, FIRST + KEEPS)
    assert cluster.copied == [("keep", 0), ("give_back", 0)]
    assert (operation.state, instance.state, instance.release and instance.release.version) == (
        "failed",
        "running",
        "1",
    )
    assert (instance.copy_id, instance.copy_returns, cluster.specs[instance.pk].replicas) == ("", False, 1)
    assert instance.update_error != "" and cluster.commands == {}


def test_an_update_without_room_for_the_copy_changes_nothing_and_says_so(cluster: MemoryCluster) -> None:
    cluster.copies_fail.add("keep")
    _, instance, operation = updated(cluster, MIGRATES + KEEPS, FIRST + KEEPS)
    said = "A copy of its data could not be made: the machine has no room. Nothing was changed."
    assert (operation.error, instance.state, instance.update_error, cluster.ran) == (said, "running", said, [])


def test_what_could_not_be_given_back_does_not_start_and_is_tried_again_by_retry(cluster: MemoryCluster) -> None:
    cluster.copies_fail.add("give_back")
    cluster.command_phase = JobPhase.FAILED
    user, instance, _ = updated(cluster, MIGRATES + KEEPS, FIRST + KEEPS)
    reconciler.reconcile(instance.pk)
    assert (fresh(instance).state, cluster.specs[instance.pk].replicas) == ("failed", 0)
    assert "could not be given back" in fresh(instance).state_reason
    assert cluster.copied == [("keep", 0), ("give_back", 0)]
    cluster.copies_fail.clear()
    restart_instance(user, fresh(instance))
    settle()
    assert (fresh(instance).state, cluster.specs[instance.pk].replicas) == ("running", 1)
    assert cluster.copied[2:] == [("give_back", 0)]


def test_a_copy_of_an_earlier_update_is_never_given_back(cluster: MemoryCluster) -> None:
    """A worker is killed before the first update's copy is deleted; then going back fails at its start."""
    user, instance = installed(cluster, FIRST + KEEPS)
    another(instance.app, FIRST + KEEPS, version="2")
    update_instance(user, instance)
    cluster.copies_fail.add("forget")
    settle()
    first = fresh(instance)
    assert (first.state, cluster.copied) == ("running", [("keep", 0), ("forget", 1)]) and first.copy_id
    cluster.broken.add("1")
    rollback_instance(user, first)
    named = fresh(instance).copy_id
    assert named and named != first.copy_id
    settle()
    assert fresh(instance).state == "running"


@pytest.mark.parametrize("moment", ["break_before", "break_after"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_worker_that_is_killed_around_any_job_of_an_update_that_fails_ends_where_it_would_have(
    cluster: MemoryCluster, moment: str, after: int
) -> None:
    user, instance = installed(cluster, FIRST + KEEPS)
    another(instance.app, MIGRATES + KEEPS, version="2")
    update_instance(user, instance)
    cluster.command_phase = JobPhase.FAILED
    for _ in range(8):
        jobs = cluster.calls.count("run_job")
        if jobs == after and not getattr(cluster, moment).get("run_job"):
            getattr(cluster, moment)["run_job"] = [KeyboardInterrupt()]
            after = -1
        with contextlib.suppress(KeyboardInterrupt):
            reconciler.reconcile(instance.pk)
    assert after == -1 and not getattr(cluster, moment)["run_job"]
    settle()
    assert (cluster.copied, cluster.ran) == ([("keep", 0), ("give_back", 0)], [("./migrate --now", 0)])
    assert (fresh(instance).state, fresh(instance).copy_id, cluster.specs[instance.pk].replicas) == ("running", "", 1)
