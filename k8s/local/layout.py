"""What follows from the node home's absolute path: names, addresses, ports, users and folders.

Several homes may live side by side on one machine (tests beside a live one), so nothing here is a constant. The network
plan is computed once, by whoever asks first, and kept in the home: a route that appears later must not move the gate.
"""

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

APP_PORT = 8080  # what every micro with a network of its own listens on
_UID_RANGE = 65_536
_KUBERNETES_DEFAULTS = (IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16"))


@dataclass(frozen=True)
class NetworkPlan:
    """One home's names and numbers on this machine.

    key: 8 hex digits of the home's path. subnet: a /20 for the sandboxes; its lower half is for apps, its upper half for
    builds, so that one rule tells them apart. gate_address: the bridge's own address, where the gate and nothing else
    listens. egress_port: the builds' CONNECT proxy on that address. first_port, last_port: a port per micro where there
    are no network namespaces. uid_base: the first of 65,536 user ids, one per cloud.
    """

    key: str
    subnet: IPv4Network
    egress_port: int
    first_port: int
    last_port: int
    uid_base: int

    @property
    def bridge(self) -> str:
        return f"fh{self.key}"

    @property
    def table(self) -> str:
        """Name of the packet filter's `inet` table."""
        return f"freehold_{self.key}"

    @property
    def cgroup(self) -> str:
        return f"freehold-{self.key}"

    @property
    def gate_address(self) -> str:
        return str(self.subnet[1])

    @property
    def builds(self) -> IPv4Network:
        return list(self.subnet.subnets(prefixlen_diff=1))[1]

    @property
    def app_slots(self) -> range:
        """Numbers of the addresses that apps may have; `address(slot)` is the address."""
        return range(2, self.subnet.num_addresses // 2)

    @property
    def build_slots(self) -> range:
        return range(self.subnet.num_addresses // 2, self.subnet.num_addresses - 1)

    def address(self, slot: int) -> str:
        return str(self.subnet[slot])

    def link(self, slot: int) -> str:
        """Name of the network namespace and of the host's end of its cable (at most 15 characters)."""
        return f"fv{self.key}-{slot:x}"


@dataclass(frozen=True)
class NodeHome:
    """Folders and files below the node home. Only paths; nothing is made."""

    root: Path

    @property
    def clouds(self) -> Path:
        return self.root / "clouds"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def run(self) -> Path:
        return self.root / "run"

    def cloud(self, cloud_id: str) -> Path:
        return self.clouds / cloud_id

    def cloud_document(self, cloud_id: str) -> Path:
        return self.cloud(cloud_id) / "cloud.json"

    def cloud_lock(self, cloud_id: str) -> Path:
        return self.clouds / f".{cloud_id}.lock"

    def instances(self, cloud_id: str) -> Path:
        return self.cloud(cloud_id) / "instances"

    def instance_document(self, cloud_id: str, instance_id: str) -> Path:
        return self.instances(cloud_id) / f"{instance_id}.json"

    def instance_status(self, cloud_id: str, instance_id: str) -> Path:
        return self.root / "status" / cloud_id / "instances" / f"{instance_id}.json"

    def builds(self, cloud_id: str) -> Path:
        return self.cloud(cloud_id) / "builds"

    def build_document(self, cloud_id: str, job_id: str) -> Path:
        return self.builds(cloud_id) / f"{job_id}.json"

    def build_status(self, cloud_id: str, job_id: str) -> Path:
        return self.root / "status" / cloud_id / "builds" / f"{job_id}.json"

    def jobs(self, cloud_id: str) -> Path:
        return self.cloud(cloud_id) / "jobs"

    def job_document(self, cloud_id: str, job_id: str) -> Path:
        return self.jobs(cloud_id) / f"{job_id}.json"

    def job_status(self, cloud_id: str, job_id: str) -> Path:
        return self.root / "status" / cloud_id / "jobs" / f"{job_id}.json"

    def job_log(self, cloud_id: str, job_id: str) -> Path:
        return self.logs(cloud_id) / "jobs" / f"{job_id}.log"

    def status(self, cloud_id: str) -> Path:
        return self.root / "status" / cloud_id

    def logs(self, cloud_id: str) -> Path:
        return self.root / "logs" / cloud_id

    def micro_log(self, cloud_id: str, instance_id: str, micro: str) -> Path:
        return self.logs(cloud_id) / "instances" / instance_id / f"{micro}.log"

    def build_log(self, cloud_id: str, job_id: str) -> Path:
        return self.logs(cloud_id) / "builds" / f"{job_id}.log"

    def volumes(self, cloud_id: str) -> Path:
        return self.root / "volumes" / cloud_id

    def volume(self, cloud_id: str, instance_id: str) -> Path:
        return self.volumes(cloud_id) / instance_id

    def copies(self, cloud_id: str) -> Path:
        """Copies of volumes while updates are tried, a folder per instance."""
        return self.root / "copies" / cloud_id

    def cache(self, cloud_id: str) -> Path:
        """What builds of one cloud keep from one to the next; never shared between clouds (it could be poisoned)."""
        return self.root / "cache" / cloud_id

    def pieces(self, cloud_id: str) -> Path:
        """Parts of the archives made of this cloud's builds, compressed: written by the agent alone, unlike the cache."""
        return self.root / "pieces" / cloud_id

    def work(self, cloud_id: str, job_id: str) -> Path:
        """A running build's own disk."""
        return self.root / "work" / cloud_id / job_id

    def sandbox(self, name: str) -> Path:
        return self.run / name


def network_plan(home: Path) -> NetworkPlan:
    """The plan kept in `home`, made on the first call. Safe to call from several processes at once."""
    file = home.resolve() / "network.json"
    if not file.exists():
        _keep_first(file, _choose_plan(str(home.resolve())))
    data = json.loads(file.read_text())
    return NetworkPlan(**{**data, "subnet": IPv4Network(data["subnet"])})


def _keep_first(file: Path, plan: NetworkPlan) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".network.{os.getpid()}.json")
    draft.write_text(json.dumps({**plan.__dict__, "subnet": str(plan.subnet)}))
    try:
        os.link(draft, file)  # fails where another process was first: its plan counts
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _choose_plan(path: str) -> NetworkPlan:
    digest = hashlib.sha256(path.encode()).digest()
    number = int.from_bytes(digest[:6], "big")
    first_port = 20_000 + number % 12 * 1_000  # all below where Linux begins to give out ports by itself
    return NetworkPlan(
        key=digest.hex()[:8],
        subnet=_free_subnet(number),
        egress_port=3128 + number % 1_000,
        first_port=first_port,
        last_port=first_port + 999,
        uid_base=100_000_000 + number % 20_000 * _UID_RANGE,
    )


def _free_subnet(number: int) -> IPv4Network:
    taken = [*_KUBERNETES_DEFAULTS, *_routed(), *(IPv4Network(r) for r in resolvers())]
    candidates = list(IPv4Network("10.128.0.0/9").subnets(new_prefix=20))
    for step in range(len(candidates)):
        candidate = candidates[(number + step) % len(candidates)]
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise RuntimeError("every /20 below 10.128.0.0/9 is already routed on this machine")


def _routed() -> list[IPv4Network]:
    """Networks this machine already has a route to, the default route aside; empty where `ip` is missing."""
    try:
        answer = subprocess.run(["ip", "-4", "-j", "route", "show", "table", "all"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    found = (route.get("dst", "default") for route in json.loads(answer.stdout or b"[]"))
    return [IPv4Network(dst, strict=False) for dst in found if dst != "default"]


def resolvers(file: Path = Path("/etc/resolv.conf")) -> list[str]:
    """IPv4 addresses of the machine's name servers; those behind systemd's local stub where that is what is listed."""
    found = _nameservers(file)
    if found and all(IPv4Address(address).is_loopback for address in found):
        return _nameservers(Path("/run/systemd/resolve/resolv.conf")) or found
    return found


def _nameservers(file: Path) -> list[str]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [w[1] for w in words if len(w) > 1 and w[0] == "nameserver" and ":" not in w[1]]
