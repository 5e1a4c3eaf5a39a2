"""One sandbox from start to clearing: its folder below `run/`, its record, its process tree.

The record is written before anything is made and again when the process runs, so an agent that is killed at any point
leaves either a record to adopt or one to clear. Everything here blocks: the agent calls it in threads.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from k8s.errors import Permanent
from k8s.local import documents, process, sandbox_bwrap
from k8s.local.layout import APP_PORT, NetworkPlan, NodeHome, resolvers
from k8s.local.process import Identity
from k8s.local.sandbox_bwrap import Confinement, Mount
from k8s.local.sandbox_cgroup import Cgroups
from k8s.local.sandbox_network import Network
from k8s.specs import InstanceSpec, Limits

_START_TIMEOUT_S = 10.0
_STARTING_CPU_MILLIS = 1_000  # imports are paid from a whole core; the limit holds from readiness on
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Node:
    """What all sandboxes of one agent share. network is None without root: nothing is isolated then."""

    home: NodeHome
    plan: NetworkPlan
    store: Path
    network: Network | None
    cgroups: Cgroups
    console_host: str
    builder: Path
    runtime: Path | None = None
    uv: Path | None = None
    trusted: Path | None = _SYSTEM_BUNDLE

    @property
    def gate_address(self) -> str:
        return self.plan.gate_address if self.network else "127.0.0.1"


@dataclass(frozen=True)
class Record:
    """A sandbox as it is kept on disk. slot: number of its address (or port). ready: it has accepted a connection.

    kind: "app", "build" or "job" (a command of an instance). owner: the instance's id, a build's own. spec: what an app's
    process was made from (None for the others).
    """

    name: str
    kind: str
    cloud_id: str
    owner: str
    micro: str
    uid: int
    slot: int
    spec: InstanceSpec | None = None
    outer: Identity | None = None
    init: Identity | None = None
    ready: bool = False
    restarts: int = 0


@dataclass(frozen=True)
class Interior:
    """What a sandbox contains. hosts: extra lines of its hosts file, name → address. uid: the cloud's user.

    offline: it reaches the gate alone, where it has a network of its own.
    """

    program: tuple[str, ...]
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    limits: Limits
    uid: int
    hosts: Mapping[str, str] = field(default_factory=dict)
    resolves_names: bool = True
    offline: bool = False
    tmp_bytes: int = 512 * 1024 * 1024
    hostname: str = "app"
    folder: str = "/"


def upstream(node: Node, record: Record) -> tuple[str, int]:
    """Where the app of a sandbox is reached from the machine."""
    if node.network:
        return node.plan.address(record.slot), APP_PORT
    return "127.0.0.1", node.plan.first_port + record.slot


def port(node: Node, record: Record) -> int:
    """The port that the app must listen on."""
    return upstream(node, record)[1]


def prepare(node: Node, record: Record) -> None:
    """Make the sandbox's folder, record and output pipes; what is left of an earlier one of that name is an error."""
    folder = node.home.sandbox(record.name)
    folder.mkdir(parents=True)
    save(node, record)
    for stream in ("out", "err"):
        os.mkfifo(folder / stream, 0o600)


def start(node: Node, record: Record, interior: Interior, *, connected: bool = False) -> Record:
    """Start a prepared sandbox; returns the record with its processes. Raises Permanent when it cannot run here.

    connected: the network of its slot is there already.
    """
    _write_pseudo_etc(node, record, interior)
    if node.network and not connected:
        node.network.connect(record.slot, offline=interior.offline)
    procs = node.cgroups.create(record.cloud_id, record.name, interior.limits)
    starting = max(interior.limits.cpu_millis, _STARTING_CPU_MILLIS)
    node.cgroups.limit_cpu(record.cloud_id, record.name, starting)
    outer = _spawn(node, record, _confine(node, record, interior, procs))
    started = replace(record, outer=outer, init=_await_init(node, record, outer))
    save(node, started)
    return started


def save(node: Node, record: Record) -> None:
    documents.write(node.home.sandbox(record.name) / "record.json", record, durable=False)


def records(node: Node) -> list[Record]:
    """Records of all sandboxes that any agent of this home left."""
    found = (documents.read(file, Record) for file in node.home.run.glob("*/record.json"))
    return [record for record in found if record]


def exit_code(node: Node, record: Record) -> int | None:
    """The app's exit code (128 + n after signal n); None when bwrap could not tell, being killed itself."""
    return _status(node, record).get("exit-code")


def clear(node: Node, record: Record) -> None:
    """Kill whatever is left of the sandbox and remove its groups, network and folder. Safe to repeat."""
    init = record.init or _recover_init(node, record)
    for identity in (init, record.outer):
        if identity:
            identity.signal(signal.SIGKILL)
    node.cgroups.clear(record.cloud_id, record.name)
    if node.network:
        if "memory" not in {h.controller for h in node.cgroups.hierarchies}:
            for pid in node.network.members(record.slot):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        node.network.disconnect(record.slot)
    if record.outer:
        process.reap(record.outer.pid)
    shutil.rmtree(node.home.sandbox(record.name), ignore_errors=True)


def _recover_init(node: Node, record: Record) -> Identity | None:
    """Process 1 of a sandbox whose agent died before it could write it down. Only trusted if it is a namespace's first."""
    pid = _status(node, record).get("child-pid", 0)
    with contextlib.suppress(OSError, StopIteration):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        if next(line for line in status if line.startswith("NSpid:")).split()[-1] == "1" and pid != 1:
            return process.identify(pid)
    return None


def _confine(node: Node, record: Record, interior: Interior, procs: list[Path]) -> Confinement:
    return Confinement(
        program=interior.program,
        env=interior.env,
        mounts=interior.mounts,
        pseudo_etc=node.home.sandbox(record.name),
        trusted=node.trusted,
        uid=interior.uid if node.network else None,
        network=node.plan.link(record.slot) if node.network else None,
        cgroup_files=tuple(procs),
        tmp_bytes=interior.tmp_bytes,
        hostname=interior.hostname,
        folder=interior.folder,
    )


def _spawn(node: Node, record: Record, confinement: Confinement) -> Identity:
    folder = node.home.sandbox(record.name)
    seccomp = sandbox_bwrap.seccomp_file()
    arguments = sandbox_bwrap.memory_file("arguments", sandbox_bwrap.arguments(confinement))
    status = os.open(folder / "bwrap.json", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    # Both ends open: the app must not be told that nobody reads while the agent restarts; it only waits when full.
    out, err = (os.open(folder / name, os.O_RDWR) for name in ("out", "err"))
    passed = [fd for fd in (seccomp, arguments, status) if fd is not None]
    try:
        child = subprocess.Popen(
            sandbox_bwrap.command(confinement, status, arguments, seccomp),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=passed,
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            start_new_session=True,
        )
    finally:
        for descriptor in (*passed, out, err):
            os.close(descriptor)
    # It is reaped by process id like those that an earlier agent started.
    child.returncode = 0
    return process.identify(child.pid) or Identity(child.pid, 0)


def _await_init(node: Node, record: Record, outer: Identity) -> Identity | None:
    """bwrap tells process 1 of the new namespace as soon as it exists; None when it ended before."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        status = _status(node, record)
        if "child-pid" in status:
            return process.identify(status["child-pid"])
        if not outer.alive:
            return None
        time.sleep(0.002)
    raise Permanent("the sandbox did not start within 10 s")


def _status(node: Node, record: Record) -> dict[str, int]:
    """bwrap's JSON lines merged; a line being written is passed over."""
    merged: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in (node.home.sandbox(record.name) / "bwrap.json").read_text().splitlines():
            with contextlib.suppress(ValueError):
                merged |= json.loads(line)
    return merged


def _write_pseudo_etc(node: Node, record: Record, interior: Interior) -> None:
    folder, uid = node.home.sandbox(record.name), interior.uid if node.network else os.getuid()
    nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"
    hosts = {"localhost": "127.0.0.1", interior.hostname: "127.0.0.1", **interior.hosts}
    servers = resolvers() if interior.resolves_names else []
    texts = {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\napp:x:{uid}:{uid}:app:/tmp:/bin/sh\n{nobody}\n",
        "group": f"root:x:0:\napp:x:{uid}:\nnogroup:x:65534:\n",
        "hosts": "".join(f"{address} {name}\n" for name, address in hosts.items()),
        "resolv.conf": "".join(f"nameserver {server}\n" for server in servers),
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    }
    for name, text in texts.items():
        file = folder / name
        file.write_text(text)
        file.chmod(0o644)
    if node.network:
        for stream in ("out", "err"):
            os.chown(folder / stream, interior.uid, interior.uid)
