import shutil
from pathlib import Path

from k8s.local.layout import NetworkPlan
from k8s.specs import BuildMicro, JobPhase, Limits
from tests.contract.apps import Tenant
from tests.contract.lanes import until
from tests.contract.test_builds import PAGE, finished
from tests.k8s_local.conftest import needs_root
from tests.k8s_local.test_network_of_a_sandbox import listener

pytestmark = needs_root
PROBE = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)
    print("reached", *sys.argv[1:])
except OSError:
    print("closed")
"""


def output(tenant: Tenant, *commands: str) -> list[str]:
    spec = tenant.build(
        {**PAGE, "site/probe.py": PROBE}, BuildMicro("site", "static", "site", serve=".", commands=commands)
    )
    status = finished(tenant, spec)
    assert status.phase is JobPhase.SUCCEEDED, status.reason
    return [line.text for line in tenant.lane.cluster.build_logs(spec.cloud_id, spec.job_id)]


def test_a_build_reaches_neither_the_gate_nor_any_address_directly(tenant: Tenant, plan: NetworkPlan) -> None:
    with listener(plan.gate_address, 18000), listener("0.0.0.0") as port:
        lines = output(tenant, *(f"python3 probe.py {plan.gate_address} {number}" for number in (18000, port)))
    assert lines.count("closed") == 2
    assert not any(line.startswith("reached") for line in lines)


def test_the_way_out_refuses_hosts_that_are_no_registry_and_says_so_in_the_log(tenant: Tenant) -> None:
    fetch = "curl --silent --max-time 5 https://stranger.invalid/ || echo refused here"
    lines = output(tenant, fetch)
    assert "refused here" in lines
    assert "refused: builds reach package registries only, not stranger.invalid:443" in lines


def test_a_build_cannot_fill_the_machine(tenant: Tenant) -> None:
    lines = output(tenant, "df --output=size -B1M /src /out /tmp /cache | tail -4")
    assert all(int(line) < 8_192 for line in lines if line.strip().isdigit())


def test_a_build_that_fills_its_disk_fails_and_the_machines_is_not_touched(tenant: Tenant) -> None:
    before = shutil.disk_usage(tenant.lane.home).free  # type: ignore[attr-defined]
    lines = output(tenant, "for place in /src /out /tmp; do fallocate -l 20G $place/big || echo full; done")
    assert lines.count("full") == 3
    assert before - shutil.disk_usage(tenant.lane.home).free < 10 * 1024**3  # type: ignore[attr-defined]


def test_a_build_that_forks_without_end_stops_at_its_limit(tenant: Tenant) -> None:
    bomb = BuildMicro("site", "static", "site", serve=".", commands=("for i in $(seq 300); do sleep 30 & done; wait",))
    limits = Limits(cpu_millis=1000, memory_mib=512, processes=60)
    status = finished(tenant, tenant.build(PAGE, bomb, limits=limits, timeout_s=60))
    assert status.phase is JobPhase.FAILED
    assert not _processes_of(tenant)


def test_a_build_that_waits_for_an_answer_gets_none_and_what_it_leaves_running_is_ended(tenant: Tenant) -> None:
    lines = output(tenant, "cat; echo nobody answered", "nohup sleep 600 > /dev/null 2>&1 & echo left it")
    assert {"nobody answered", "left it"} <= set(lines)
    assert not _processes_of(tenant)


def _processes_of(tenant: Tenant) -> list[str]:
    return [f.read_text() for f in Path("/sys/fs/cgroup").glob(f"**/{tenant.cloud_id}/*/cgroup.procs") if f.read_text()]


def test_nothing_of_a_finished_build_stays_but_log_and_status(tenant: Tenant) -> None:
    output(tenant, "true")
    work = tenant.lane.home / "work"  # type: ignore[attr-defined]
    until(lambda: not list(work.glob("*/*")), 60)  # its disk goes when the result has been told


def test_pieces_of_archives_are_out_of_the_builds_reach_and_go_with_the_cloud(tenant: Tenant) -> None:
    output(tenant, "head -c 100000 /dev/urandom > noise")
    pieces = tenant.lane.home / "pieces" / tenant.cloud_id  # type: ignore[attr-defined]
    assert list(pieces.iterdir())
    lines = output(tenant, "find / -name pieces -type d 2>/dev/null | sed 's/^/seen /'; echo looked")
    assert "looked" in lines and not [line for line in lines if line.startswith("seen")]
    tenant.lane.cluster.delete_cloud(tenant.cloud_id)
    until(lambda: not pieces.exists(), 60)
