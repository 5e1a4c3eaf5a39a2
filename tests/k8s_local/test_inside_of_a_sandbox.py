import subprocess
import sys
from pathlib import Path

import pytest

from k8s.local.layout import NetworkPlan, network_plan
from k8s.specs import Limits
from tests.contract.apps import Tenant
from tests.contract.lanes import LocalLane, until
from tests.k8s_local.conftest import PROBE, Ask, asker, needs_root

pytestmark = needs_root


def test_it_sees_only_its_own_processes(inside: Ask) -> None:
    names = inside("[reads(f'/proc/{p}/comm').strip() for p in os.listdir('/proc') if p.isdigit()]")
    assert set(names) <= {"bwrap", "sh", "python3"}


def test_it_runs_as_its_clouds_own_user_without_capabilities(tenant: Tenant, plan: NetworkPlan) -> None:
    other = Tenant(tenant.lane)
    tenant.lane.cluster.ensure_cloud(other.cloud())
    users = [asker(owner, owner.instance(PROBE))("os.getresuid()") for owner in (tenant, other)]
    assert all(plan.uid_base <= uid[0] < plan.uid_base + 65_536 and len(set(uid)) == 1 for uid in users)
    assert users[0] != users[1]
    inside = asker(tenant, tenant.instance(PROBE))
    status = dict(line.split(":\t") for line in inside("reads('/proc/self/status')").splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Groups"].strip()) == ("1", "2", "")
    tenant.lane.cluster.delete_cloud(other.cloud_id)


def test_it_sees_no_files_of_the_machine_or_of_others(inside: Ask, lane: LocalLane) -> None:
    assert set(inside("os.listdir('/')")) <= {
        "bin", "bundle", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin", "tmp", "usr",
    }  # fmt: skip
    for path in (lane.home, lane.store, Path(__file__), Path("/root"), Path("/etc/shadow"), Path("/run")):
        assert inside(f"os.path.exists({str(path)!r})") is False, path


def test_it_can_write_to_its_tmp_only(inside: Ask) -> None:
    places = ("/tmp", "/", "/bundle", "/usr", "/etc")
    codes = inside(f"[subprocess.run(['touch', p + '/x'], capture_output=True).returncode for p in {places!r}]")
    assert codes[0] == 0
    assert 0 not in codes[1:]
    assert inside("os.environ['HOME']") == "/tmp"


def test_its_tmp_is_limited(inside: Ask) -> None:
    assert inside("os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize") == 512 * 1024 * 1024


def test_no_variable_or_file_descriptor_of_the_agent_reaches_it(inside: Ask, tenant: Tenant) -> None:
    assert not set(inside("list(os.environ)")) & {"DATABASE_URL", "SECRET_KEY", "SSH_AUTH_SOCK", "OLDPWD"}
    targets = inside(
        "[os.readlink(f'/proc/self/fd/{n}') for n in range(3, 12) if os.path.exists(f'/proc/self/fd/{n}')]"
    )
    assert all(target.startswith("socket:") for target in targets)


def test_its_variables_are_in_no_command_line_of_the_machine(tenant: Tenant) -> None:
    secret = "canary-" + tenant.cloud_id
    asker(tenant, tenant.instance(PROBE, micros=(tenant.micro(env={"SECRET": secret}),)))
    lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    assert not any(secret.encode() in line for line in lines)


def test_process_one_tells_it_nothing(inside: Ask) -> None:
    assert inside("reads('/proc/1/environ')") in ("", "PermissionError")


def test_new_namespaces_mounts_and_keyrings_are_refused(inside: Ask) -> None:
    user_namespace = 0x10000000
    calls = {
        f"system_call(272, {user_namespace})": "EPERM",  # unshare
        f"system_call(56, {user_namespace} | 17, 0, 0, 0, 0)": "EPERM",  # clone
        "system_call(435, 0, 0)": "ENOSYS",  # clone3
        "system_call(308, 0, 0)": "EPERM",  # setns
        "system_call(165, 0, 0, 0, 0, 0)": "EPERM",  # mount
        "system_call(250, 0, 0, 0, 0, 0)": "EPERM",  # keyctl
        "system_call(321, 0, 0, 0)": "EPERM",  # bpf
        "system_call(298, 0, 0, 0, 0, 0)": "EPERM",  # perf_event_open
        "system_call(425, 1, 0)": "ENOSYS",  # io_uring_setup
    }
    assert {call: inside(call) for call in calls} == calls


@pytest.mark.parametrize("program", ["unshare --user true", "bwrap --ro-bind / / true"])
def test_sandboxes_inside_the_sandbox_are_refused(inside: Ask, program: str) -> None:
    assert inside(f"subprocess.run({program.split()!r}, capture_output=True).returncode") != 0


def test_threads_and_children_work_all_the_same(inside: Ask) -> None:
    assert inside("subprocess.run(['sh', '-c', 'echo yes | cat'], capture_output=True, text=True).stdout") == "yes\n"
    assert inside("[t.start() or t.join() for t in [threading.Thread(target=print)]]") == [None]


def test_a_fork_bomb_stops_at_its_limit_and_the_machine_goes_on(tenant: Tenant) -> None:
    limits = Limits(cpu_millis=500, memory_mib=256, processes=40)
    inside = asker(tenant, tenant.instance(PROBE, micros=(tenant.micro(limits=limits),)))
    bomb = "for i in $(seq 200); do sleep 5 & done"
    assert "fork" in inside(f"subprocess.run(['sh', '-c', {bomb!r}], stderr=subprocess.PIPE, text=True).stderr")
    subprocess.run(["true"], check=True)
    counted = [len(f.read_text().split()) for f in Path("/sys/fs/cgroup").glob(f"**/{tenant.cloud_id}/*/cgroup.procs")]
    assert max(counted) <= 40


def test_memory_over_the_limit_ends_the_app_and_says_why(tenant: Tenant) -> None:
    spec = tenant.instance(PROBE, micros=(tenant.micro(limits=Limits(cpu_millis=1000, memory_mib=64)),))
    upstream = tenant.run(spec)
    with pytest.raises(OSError):
        tenant.lane.get(upstream, "/?len(b'x'*200_000_000)")
    logs = lambda: [line.text for line in tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id)]  # noqa: E731
    until(lambda: any("ran out of memory (its limit is 64 MiB)" in text for text in logs()))


def test_a_volume_holds_no_more_than_its_size(tenant: Tenant) -> None:
    inside = asker(tenant, tenant.instance(PROBE, volume=tenant.volume()))
    fill = "dd if=/dev/zero of=/data/big bs=1M count=64"
    assert "No space left" in inside(f"subprocess.run({fill.split()!r}, capture_output=True, text=True).stderr")
    assert inside("os.stat('/data').st_uid == os.getuid()") is True


def test_the_certificates_that_variables_name_can_be_read(inside: Ask) -> None:
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")
    assert inside(f"[reads(os.environ[n])[:27] for n in {names!r}]") == ["-----BEGIN CERTIFICATE-----"] * 4


def test_nothing_is_left_on_the_machine_after_stopping_everything(tmp_path: Path) -> None:
    lane = LocalLane(tmp_path)
    tenant = Tenant(lane)
    lane.cluster.ensure_cloud(tenant.cloud())
    tenant.run(tenant.instance(volume=tenant.volume()))
    lane.close()
    left = subprocess.run(
        "ip link; ip netns; nft list tables; cat /proc/mounts", shell=True, capture_output=True, text=True
    )
    key = network_plan(lane.home).key
    assert key not in left.stdout
    assert str(lane.home) not in left.stdout
    assert not list(Path("/sys/fs/cgroup").glob(f"*/freehold-{key}"))


def test_specs_survive_stopping_everything(tmp_path: Path) -> None:
    lane = LocalLane(tmp_path)
    tenant = Tenant(lane)
    lane.cluster.ensure_cloud(tenant.cloud())
    spec = tenant.instance()
    tenant.run(spec)
    lane.close()
    again = LocalLane(tmp_path)
    try:
        until(lambda: again.cluster.observe(spec.cloud_id, spec.instance_id).ready)
        upstream = again.cluster.observe(spec.cloud_id, spec.instance_id).micros[0].upstream
        assert again.get(upstream or "") == "hello"
    finally:
        again.close()


def test_the_agent_refuses_to_share_its_home(lane: LocalLane, tmp_path: Path) -> None:
    paths = ["--home", str(lane.home), "--socket", str(tmp_path / "s"), "--store", str(lane.store)]
    second = subprocess.run(
        [sys.executable, "-m", "k8s.local.agent", *paths], capture_output=True, text=True, timeout=20
    )
    assert second.returncode != 0
    assert "another node agent" in second.stderr
    assert lane.socket.exists()
