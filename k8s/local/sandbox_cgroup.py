"""Limits of memory, processes and cpu through cgroups, version 1 and 2 alike: whichever holds each controller.

Groups nest as `<installation>/<cloud>/<sandbox>`: the cloud's level keeps counting when its sandboxes are gone. Never
RLIMIT_AS, which kills Node. No systemd: its absence is normal in containers.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from k8s.specs import Limits

_PERIOD_US = 100_000
_MIB = 1024 * 1024
_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")


@dataclass(frozen=True)
class Hierarchy:
    """Where one controller lives. unified: version 2."""

    controller: str
    root: Path
    unified: bool


@dataclass(frozen=True)
class Cgroups:
    """All groups of one node home. `hierarchies` is empty where nothing may be limited (without root)."""

    base: str
    hierarchies: tuple[Hierarchy, ...]

    @classmethod
    def find(cls, base: str) -> "Cgroups":
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        found = [h for m in mounts if m[2] in ("cgroup", "cgroup2") for h in _controllers(m)]
        return cls(base, tuple(h for h in found if _usable(h)))

    def missing(self) -> list[str]:
        """Controllers that limits need and this machine does not offer."""
        return sorted({"memory", "pids", "cpu"} - {h.controller for h in self.hierarchies})

    def create(self, cloud_id: str, name: str, limits: Limits) -> list[Path]:
        """Make the sandbox's groups with memory and process limits; returns their `cgroup.procs` files."""
        for hierarchy in self.hierarchies:
            folder = self._folder(hierarchy, cloud_id, name)
            _delegate(hierarchy, folder)
            folder.mkdir(parents=True, exist_ok=True)
            _limit(hierarchy, folder, limits)
        return self._procs(cloud_id, name)

    def limit_cpu(self, cloud_id: str, name: str, millis: int) -> None:
        """Thousandths of a core from now on; a group that is gone is passed over."""
        quota = max(1_000, millis * _PERIOD_US // 1_000)
        for hierarchy in self._of("cpu"):
            folder = self._folder(hierarchy, cloud_id, name)
            if hierarchy.unified:
                _write(folder / "cpu.max", f"{quota} {_PERIOD_US}")
            else:
                _write(folder / "cpu.cfs_period_us", str(_PERIOD_US))
                _write(folder / "cpu.cfs_quota_us", str(quota))

    def ran_out_of_memory(self, cloud_id: str, name: str) -> bool:
        """Whether the kernel ended a process of this sandbox for its memory limit."""
        for hierarchy in self._of("memory"):
            file = "memory.events" if hierarchy.unified else "memory.oom_control"
            if _counters(self._folder(hierarchy, cloud_id, name) / file).get("oom_kill", 0):
                return True
        return False

    def members(self, cloud_id: str, name: str) -> set[int]:
        found: set[int] = set()
        for file in self._procs(cloud_id, name):
            with contextlib.suppress(OSError):
                found |= {int(word) for word in file.read_text().split()}
        return found

    def clear(self, cloud_id: str, name: str, timeout_s: float = 5.0) -> None:
        """Kill whatever is left in the sandbox's groups and remove them. Gone already is success."""
        deadline = time.monotonic() + timeout_s
        while (left := self.members(cloud_id, name)) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        for hierarchy in self.hierarchies:
            _remove(self._folder(hierarchy, cloud_id, name), deadline)

    def remove_cloud(self, cloud_id: str) -> None:
        for hierarchy in self.hierarchies:
            _remove(hierarchy.root / self.base / cloud_id, time.monotonic() + 1)

    def remove(self) -> None:
        """Remove what is empty below the installation's group, then the group itself."""
        for hierarchy in self.hierarchies:
            for cloud in sorted((hierarchy.root / self.base).glob("*/")):
                _remove(cloud, time.monotonic() + 1)
            _remove(hierarchy.root / self.base, time.monotonic() + 1)

    def sandboxes(self) -> set[tuple[str, str]]:
        """(cloud_id, name) of every group there is, whoever made it."""
        folders = [f for h in self.hierarchies for f in (h.root / self.base).glob("*/*/")]
        return {(folder.parent.name, folder.name) for folder in folders}

    def usage(self, cloud_id: str, name: str = "") -> tuple[float, int]:
        """(seconds of cpu since its beginning, bytes of memory now without the page cache) of a cloud or of one sandbox."""
        seconds, memory = 0.0, 0
        for hierarchy in self.hierarchies:
            folder = self._folder(hierarchy, cloud_id, name)
            if hierarchy.controller == "memory":
                memory = _memory(folder, unified=hierarchy.unified)
            elif hierarchy.controller == "cpuacct":
                seconds = int(_text(folder / "cpuacct.usage") or 0) / 1e9
            elif hierarchy.controller == "cpu" and hierarchy.unified:
                seconds = _counters(folder / "cpu.stat").get("usage_usec", 0) / 1e6
        return seconds, memory

    def _of(self, controller: str) -> list[Hierarchy]:
        return [h for h in self.hierarchies if h.controller == controller]

    def _folder(self, hierarchy: Hierarchy, cloud_id: str, name: str) -> Path:
        return hierarchy.root / self.base / cloud_id / name

    def _procs(self, cloud_id: str, name: str) -> list[Path]:
        folders = dict.fromkeys(self._folder(h, cloud_id, name) for h in self.hierarchies)
        return [folder / "cgroup.procs" for folder in folders]


def _controllers(mount: list[str]) -> list[Hierarchy]:
    root, unified = Path(mount[1]), mount[2] == "cgroup2"
    offered = (_text(root / "cgroup.controllers") or "").split() if unified else mount[3].split(",")
    return [Hierarchy(name, root, unified) for name in offered if name in _CONTROLLERS]


def _usable(hierarchy: Hierarchy) -> bool:
    if not os.access(hierarchy.root, os.W_OK):
        return False
    if not hierarchy.unified:
        return True
    _write(hierarchy.root / "cgroup.subtree_control", f"+{hierarchy.controller}")
    return hierarchy.controller in (_text(hierarchy.root / "cgroup.subtree_control") or "").split()


def _delegate(hierarchy: Hierarchy, folder: Path) -> None:
    """Version 2 hands controllers down one level at a time."""
    if not hierarchy.unified:
        return
    for parent in (folder.parent.parent, folder.parent):
        parent.mkdir(parents=True, exist_ok=True)
        _write(parent / "cgroup.subtree_control", f"+{hierarchy.controller}")


def _limit(hierarchy: Hierarchy, folder: Path, limits: Limits) -> None:
    size = str(limits.memory_mib * _MIB)
    if hierarchy.controller == "pids":
        _write(folder / "pids.max", str(limits.processes))
    elif hierarchy.controller == "memory" and hierarchy.unified:
        _write(folder / "memory.max", size)
        _write(folder / "memory.swap.max", "0")
    elif hierarchy.controller == "memory":
        _write(folder / "memory.limit_in_bytes", size)
        _write(folder / "memory.memsw.limit_in_bytes", size)


def _memory(folder: Path, *, unified: bool) -> int:
    counters = _counters(folder / "memory.stat")
    if unified:
        return counters.get("anon", 0) + counters.get("shmem", 0) + counters.get("kernel_stack", 0)
    return counters.get("total_rss", 0) + counters.get("total_shmem", 0)


def _counters(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in (_text(file) or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _text(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None


def _write(file: Path, text: str) -> None:
    """Some kernels lack single files (swap accounting, for one): a limit less is no reason not to start."""
    with contextlib.suppress(OSError):
        file.write_text(text)


def _remove(folder: Path, deadline: float) -> None:
    """A group stays busy for a moment after its last process ended."""
    while folder.exists():
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)
