import pytest

from k8s.errors import NotFound
from k8s.specs import BuildMicro, BuildSpec, JobPhase, JobStatus
from tests.contract.apps import Tenant, new_id
from tests.contract.lanes import until

PAGE = {"site/index.html": "<h1>hello</h1>"}
STATIC = BuildMicro("site", "static", "site", serve=".")


def finished(tenant: Tenant, spec: BuildSpec) -> JobStatus:
    tenant.lane.cluster.run_build(spec)
    status = lambda: tenant.lane.cluster.build_status(spec.cloud_id, spec.job_id)  # noqa: E731
    until(lambda: status().phase in (JobPhase.SUCCEEDED, JobPhase.FAILED), 120)
    return status()


def test_a_build_ends_in_an_artifact_named_by_its_content(tenant: Tenant) -> None:
    status = finished(tenant, tenant.build(PAGE, STATIC))
    assert status.phase is JobPhase.SUCCEEDED, status.reason
    assert (status.artifact or "").startswith("sha256:")
    assert status.size_bytes > 0
    assert [micro.name for micro in status.micros] == ["site"]


def test_the_same_source_builds_the_same_artifact(tenant: Tenant) -> None:
    first, second = (finished(tenant, tenant.build(PAGE, STATIC)) for _ in range(2))
    assert first.artifact == second.artifact


def test_a_command_that_fails_fails_the_build_with_its_output_in_the_log(tenant: Tenant) -> None:
    failing = BuildMicro("site", "static", "site", serve=".", commands=("echo about to break; exit 4",))
    spec = tenant.build(PAGE, failing)
    status = finished(tenant, spec)
    assert status.phase is JobPhase.FAILED
    assert "exit 4" in status.reason
    assert "about to break" in [line.text for line in tenant.lane.cluster.build_logs(spec.cloud_id, spec.job_id)]


def test_a_build_that_takes_too_long_is_ended(tenant: Tenant) -> None:
    slow = BuildMicro("site", "static", "site", serve=".", commands=("sleep 60",))
    status = finished(tenant, tenant.build(PAGE, slow, timeout_s=2))
    assert status.phase is JobPhase.FAILED
    assert "longer than 2 s" in status.reason


def test_a_build_that_makes_too_much_is_refused(tenant: Tenant) -> None:
    big = BuildMicro("site", "static", "site", serve=".", commands=("head -c 3000000 /dev/urandom > big",))
    status = finished(tenant, tenant.build(PAGE, big, output_limit_mib=1))
    assert status.phase is JobPhase.FAILED


def test_following_a_build_ends_with_the_build(tenant: Tenant) -> None:
    talking = BuildMicro("site", "static", "site", serve=".", commands=("echo one; sleep 0.5; echo two",))
    spec = tenant.build(PAGE, talking)
    tenant.lane.cluster.run_build(spec)
    texts = [line.text for line in tenant.lane.cluster.build_logs(spec.cloud_id, spec.job_id, follow=True)]
    assert texts.index("one") < texts.index("two")


def test_running_a_job_again_does_not_build_again(tenant: Tenant) -> None:
    spec = tenant.build(PAGE, STATIC)
    first = finished(tenant, spec)
    tenant.lane.cluster.run_build(spec)
    assert tenant.lane.cluster.build_status(spec.cloud_id, spec.job_id) == first


def test_a_deleted_build_is_not_found_and_its_artifact_stays(tenant: Tenant) -> None:
    spec = tenant.build(PAGE, STATIC)
    first = finished(tenant, spec)
    tenant.lane.cluster.delete_build(spec.cloud_id, spec.job_id)
    with pytest.raises(NotFound):
        tenant.lane.cluster.build_status(spec.cloud_id, spec.job_id)
    assert finished(tenant, tenant.build(PAGE, STATIC)).artifact == first.artifact


def test_a_running_build_can_be_deleted(tenant: Tenant) -> None:
    spec = tenant.build(PAGE, BuildMicro("site", "static", "site", serve=".", commands=("sleep 600",)))
    tenant.lane.cluster.run_build(spec)
    tenant.lane.cluster.delete_build(spec.cloud_id, spec.job_id)
    with pytest.raises(NotFound):
        tenant.lane.cluster.build_status(spec.cloud_id, spec.job_id)


def test_an_unknown_build_is_not_found_and_may_be_deleted(tenant: Tenant) -> None:
    unknown = new_id()
    tenant.lane.cluster.delete_build(tenant.cloud_id, unknown)
    with pytest.raises(NotFound):
        tenant.lane.cluster.build_status(tenant.cloud_id, unknown)
