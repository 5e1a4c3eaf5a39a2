"""What the machine itself holds for a home beside processes: networks, packet filters, disks, groups."""

import subprocess
from pathlib import Path

from k8s.local.layout import NetworkPlan, network_plan
from k8s.local.sandbox_cgroup import Cgroups


def of(home: Path) -> list[str]:
    """Everything, in words; empty after an ordinary stop."""
    plan = network_plan(home / "node")
    return [*networks(home), *_bridge(plan), *disks(str(home)), *_groups(plan)]


def networks(home: Path) -> list[str]:
    """Network namespaces of the home's sandboxes, and their cables that lost one."""
    prefix = network_plan(home / "node").link(0)[:-1]
    places = (Path("/run/netns"), Path("/sys/class/net"))
    return [str(entry) for place in places if place.exists() for entry in place.glob(f"{prefix}*")]


def disks(word: str) -> list[str]:
    """Loop devices, mounted or not, whose file has `word` in its path; those of deleted files too."""
    backing = [file for file in Path("/sys/block").glob("loop*/loop/backing_file") if word in _text(file)]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if word in line.split()[1]]
    return [*(f"{file.parent.parent.name} {_text(file)}" for file in backing), *mounts]


def _bridge(plan: NetworkPlan) -> list[str]:
    link = Path("/sys/class/net") / plan.bridge
    tables = subprocess.run(("nft", "list", "tables"), capture_output=True, text=True, check=True).stdout.splitlines()
    return [*([str(link)] if link.exists() else []), *(line for line in tables if line.endswith(f" {plan.table}"))]


def _groups(plan: NetworkPlan) -> list[str]:
    folders = {hierarchy.root / plan.cgroup for hierarchy in Cgroups.find(plan.cgroup).hierarchies}
    return [str(folder) for folder in folders if folder.exists()]


def _text(file: Path) -> str:
    """A device may be gone before it is read."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""
