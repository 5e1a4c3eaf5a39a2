"""Commands of an instance that run once to their end: migrations."""

from dataclasses import replace

import pytest

from k8s.errors import NotFound, Permanent
from k8s.specs import InstanceSpec, JobPhase, JobSpec, JobStatus, JobTask, Limits
from tests.contract.apps import Tenant, new_id
from tests.contract.lanes import LocalLane, until

ENDED = (JobPhase.SUCCEEDED, JobPhase.FAILED)
JOB_S = 120.0  # a pod of its own, with its bundle fetched


def job(spec: InstanceSpec, command: str, **changes: object) -> JobSpec:
    return replace(JobSpec(new_id(), spec, spec.micros[0].name, command), **changes)


def finished(tenant: Tenant, spec: JobSpec) -> JobStatus:
    cluster = tenant.lane.cluster
    cluster.run_job(spec)
    until(lambda: cluster.job_status(tenant.cloud_id, spec.job_id).phase in ENDED, JOB_S)
    return cluster.job_status(tenant.cloud_id, spec.job_id)


def forgotten(tenant: Tenant, spec: InstanceSpec) -> bool:
    return tenant.lane.cluster.delete_jobs(spec.cloud_id, spec.instance_id)


def test_a_job_has_the_code_the_environment_and_the_volume_of_its_micro(tenant: Tenant) -> None:
    micro = tenant.micro(env={"NOTES": "/data", "WORD": "p'r e$c"})
    spec = tenant.instance(volume=tenant.volume(), micros=(micro,))
    tenant.lane.cluster.apply_instance(replace(spec, replicas=0))
    until(lambda: tenant.is_at(spec) and tenant.status(spec).stopped)
    status = finished(tenant, job(spec, 'grep -q HTTPServer main.py && printf "%s" "$WORD" > /data/note'))
    assert status.phase is JobPhase.SUCCEEDED, status
    until(lambda: forgotten(tenant, spec))
    assert tenant.lane.get(tenant.run(replace(spec, generation=2)), "/read") == "p'r e$c"


def test_a_job_that_fails_says_its_code_and_its_last_lines(tenant: Tenant) -> None:
    spec = tenant.instance()
    status = finished(tenant, job(spec, "echo looking; echo 'no such table' >&2; exit 3"))
    assert (status.phase, status.reason) == (JobPhase.FAILED, "exited with code 3")
    assert "looking" in status.log_tail and "no such table" in status.log_tail


def test_a_job_that_takes_too_long_is_ended(tenant: Tenant) -> None:
    spec = tenant.instance()
    status = finished(tenant, job(spec, "echo waiting; sleep 600", timeout_s=3))
    assert (status.phase, status.reason) == (JobPhase.FAILED, "took longer than 3 s")
    assert "waiting" in status.log_tail


def test_a_job_over_its_memory_is_ended_and_the_reason_says_so(tenant: Tenant) -> None:
    micro = tenant.micro(limits=Limits(cpu_millis=1000, memory_mib=64))
    status = finished(tenant, job(tenant.instance(micros=(micro,)), "python3 -c 'x = bytearray(300_000_000)'"))
    assert (status.phase, status.reason) == (JobPhase.FAILED, "ran out of memory (its limit is 64 MiB)")


def test_a_job_runs_once_however_often_it_is_asked_for(tenant: Tenant) -> None:
    micro = tenant.micro(env={"NOTES": "/data"})
    spec = tenant.instance(volume=tenant.volume(), micros=(micro,))
    tenant.lane.cluster.apply_instance(replace(spec, replicas=0))
    once = job(spec, "echo -n once >> /data/note")
    assert finished(tenant, once).phase is JobPhase.SUCCEEDED
    assert finished(tenant, once).phase is JobPhase.SUCCEEDED
    until(lambda: forgotten(tenant, spec))
    assert tenant.lane.get(tenant.run(replace(spec, generation=2)), "/read") == "once"


def test_a_running_instance_goes_on_beside_its_job(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    newer = replace(tenant.instance("raise SystemExit(7)"), instance_id=spec.instance_id)
    assert finished(tenant, job(newer, "python3 main.py")).reason == "exited with code 7"
    assert tenant.lane.get(upstream) == "hello"
    assert tenant.status(spec).ready and tenant.status(spec).generation == 1
    assert tenant.lane.cluster.apply_instance(spec) is False


def test_jobs_are_stopped_and_forgotten_with_their_instance(tenant: Tenant) -> None:
    spec = tenant.instance(volume=tenant.volume())
    tenant.run(spec)
    running = job(spec, "sleep 600")
    cluster = tenant.lane.cluster
    cluster.run_job(running)
    until(lambda: cluster.job_status(tenant.cloud_id, running.job_id).phase is JobPhase.RUNNING, JOB_S)
    tenant.remove(spec)
    with pytest.raises(NotFound):
        cluster.job_status(tenant.cloud_id, running.job_id)
    assert forgotten(tenant, spec)


def test_jobs_of_one_instance_are_forgotten_and_not_anothers(tenant: Tenant) -> None:
    one, other = tenant.instance(), tenant.instance()
    ours, theirs = job(one, "sleep 600"), job(other, "true")
    tenant.lane.cluster.run_job(ours)
    assert finished(tenant, theirs).phase is JobPhase.SUCCEEDED
    until(lambda: forgotten(tenant, one))
    with pytest.raises(NotFound):
        tenant.lane.cluster.job_status(tenant.cloud_id, ours.job_id)
    assert tenant.lane.cluster.job_status(tenant.cloud_id, theirs.job_id).phase is JobPhase.SUCCEEDED


def test_a_job_of_what_is_not_there_is_refused(tenant: Tenant) -> None:
    spec = tenant.instance()
    with pytest.raises(Permanent, match="no micro"):
        tenant.lane.cluster.run_job(job(spec, "true", micro="ghost"))
    with pytest.raises(NotFound):
        tenant.lane.cluster.run_job(job(replace(spec, cloud_id=new_id()), "true"))
    with pytest.raises(NotFound):
        tenant.lane.cluster.job_status(tenant.cloud_id, new_id())


def test_a_copy_of_a_volume_is_given_back_once_as_it_was(tenant: Tenant) -> None:
    micro = tenant.micro(env={"NOTES": "/data"})
    spec = tenant.instance(volume=tenant.volume(), micros=(micro,))
    keep, back, forget = (job(spec, "", task=task, copy_id="one") for task in list(JobTask)[1:])
    if not isinstance(tenant.lane, LocalLane):
        with pytest.raises(Permanent, match="no copies"):
            tenant.lane.cluster.run_job(keep)
        return

    def done(task: JobSpec) -> None:
        status = finished(tenant, replace(task, job_id=new_id()))
        assert status.phase is JobPhase.SUCCEEDED, status

    def content() -> str:
        status = finished(tenant, job(spec, "cat /data/note; ls -lR --time-style=full-iso /data >&2; exit 1"))
        return status.log_tail

    tenant.lane.cluster.apply_instance(replace(spec, replicas=0))
    done(job(spec, "head -c 3000000 /dev/urandom > /data/much; ln -s note /data/link; echo first > /data/note"))
    before = content()
    done(keep)
    done(job(spec, "rm -r /data/*; echo second > /data/note"))
    done(keep)  # begun anew where a machine failed: what is whole stays
    done(back)
    assert content() == before
    done(job(spec, "echo third > /data/note"))
    done(back)
    assert content().startswith("third")
    done(keep)
    done(forget)
    done(job(spec, "echo fourth > /data/note"))
    done(back)
    assert content().startswith("fourth")
