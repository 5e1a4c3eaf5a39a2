"""The program that turns specs into processes is killed; what it made must live on, and what was asked for must come."""

import contextlib
from dataclasses import replace

from k8s.specs import BuildMicro, JobPhase
from tests.contract.apps import Tenant
from tests.contract.lanes import until
from tests.contract.test_jobs import JOB_S, job


def test_instances_go_on_and_are_taken_over(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    tenant.lane.get(upstream, "/write/before")
    tenant.lane.crash()
    until(lambda: tenant.status(spec).ready)
    assert tenant.status(spec).micros[0].upstream == upstream
    assert tenant.lane.get(upstream, "/read") == "before"


def test_their_logs_go_on_flowing(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    tenant.lane.crash()
    tenant.lane.get(upstream, "/print/afterwards")
    texts = lambda: [line.text for line in tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id)]  # noqa: E731
    until(lambda: "afterwards" in texts())


def test_what_was_taken_over_is_still_started_again_when_it_crashes(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    tenant.lane.crash()
    until(lambda: tenant.status(spec).ready)
    with contextlib.suppress(OSError):
        tenant.lane.get(upstream, "/exit/1")
    until(lambda: tenant.status(spec).micros[0].restarts == 1 and tenant.status(spec).ready)


def test_what_was_taken_over_can_be_removed(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.run(spec)
    tenant.lane.crash()
    tenant.remove(spec)


def test_an_instance_killed_in_the_middle_of_starting_comes_up_once(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.lane.cluster.apply_instance(spec)
    tenant.lane.crash()
    until(lambda: tenant.status(spec).ready)


def test_a_build_that_was_running_is_finished_all_the_same(tenant: Tenant) -> None:
    slow = BuildMicro("site", "static", "site", serve=".", commands=("sleep 1",))
    spec = tenant.build({"site/index.html": "x"}, slow)
    tenant.lane.cluster.run_build(spec)
    status = lambda: tenant.lane.cluster.build_status(spec.cloud_id, spec.job_id)  # noqa: E731
    until(lambda: status().phase is JobPhase.RUNNING)
    tenant.lane.crash()
    until(lambda: status().phase in (JobPhase.SUCCEEDED, JobPhase.FAILED), 60)
    assert status().phase is JobPhase.SUCCEEDED


def test_a_job_that_was_running_is_finished_all_the_same(tenant: Tenant) -> None:
    """Perhaps from its beginning: whatever it is must be able to run twice."""
    spec = tenant.instance(volume=tenant.volume(), micros=(tenant.micro(env={"NOTES": "/data"}),))
    tenant.lane.cluster.apply_instance(replace(spec, replicas=0))
    running = job(spec, "echo -n again > /data/note; sleep 3")
    tenant.lane.cluster.run_job(running)
    phase = lambda: tenant.lane.cluster.job_status(spec.cloud_id, running.job_id).phase  # noqa: E731
    until(lambda: phase() is JobPhase.RUNNING, JOB_S)
    tenant.lane.crash()
    until(lambda: phase() is JobPhase.SUCCEEDED, JOB_S)
    until(lambda: tenant.lane.cluster.delete_jobs(spec.cloud_id, spec.instance_id))
    assert tenant.lane.get(tenant.run(replace(spec, generation=2)), "/read") == "again"
