"""What every step shares: the folders, the log, and running other people's commands."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_NOT_HERE = """#!/bin/sh
echo "{name}: not available in builds, which run without root. There are Python, Node and npm, git, curl and the \
compilers of the machine; declare libraries in requirements.txt or package.json." >&2
exit 1
"""
_TAIL_LINES = 40


class BuildFailed(Exception):
    """`str()` is the sentence that the developer reads last."""


@dataclass(frozen=True)
class Micro:
    """One entry of the plan; fields as in k8s.specs.BuildMicro."""

    name: str
    engine: str
    src: str
    commands: tuple[str, ...]
    include: tuple[str, ...]
    run: str | None
    serve: str | None

    @classmethod
    def read(cls, entry: Mapping[str, object]) -> "Micro":
        def texts(key: str) -> tuple[str, ...]:
            value = entry.get(key) or ()
            return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()

        def text(key: str) -> str | None:
            value = entry.get(key)
            return None if value is None else str(value)

        name, engine, src = str(entry["name"]), str(entry["engine"]), text("src") or ""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise BuildFailed(f"{name!r} is not a name for a micro")
        return cls(name, engine, src, texts("commands"), texts("include"), text("run"), text("serve"))


@dataclass
class Workspace:
    """src: the project, writable. out: the artifact's root. cache: kept for this project's next build.

    as_of: RFC 3339 date for resolving what is not pinned, None for now.
    """

    src: Path
    out: Path
    cache: Path
    uv: Path
    as_of: str | None
    total_bytes: int = 0
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="freehold-build-")))

    def folder(self, micro: Micro) -> Path:
        """The micro's source folder. Raises BuildFailed if it is not in the upload."""
        folder = self.inside(self.src / micro.src, micro, micro.src)
        if not folder.is_dir():
            raise BuildFailed(f"micro {micro.name} src {micro.src} not found")
        return folder

    def inside(self, path: Path, micro: Micro, shown: str) -> Path:
        """`path` without `..` and links, checked to be in the project."""
        resolved = path.resolve()
        if not resolved.is_relative_to(self.src.resolve()):
            raise BuildFailed(f"micro {micro.name}: {shown} leaves the project")
        return resolved

    def app(self, micro: Micro) -> Path:
        return self.out / micro.name / "app"

    def deps(self, micro: Micro) -> Path:
        return self.out / micro.name / "deps"


def say(text: str, micro: Micro | None = None) -> None:
    print(f"[{micro.name}] {text}" if micro else text, flush=True)


def environment(work: Workspace, **extra: str) -> dict[str, str]:
    """What commands see: the sandbox's own variables, a home to write to, caches, and shims that explain."""
    home = work.scratch / "home"
    home.mkdir(parents=True, exist_ok=True)
    path = f"{_shims(work)}:{extra.pop('PATH', '')}:{os.environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    return {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(work.cache / "xdg"),
        "npm_config_cache": str(work.cache / "npm"),
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        "npm_config_fetch_timeout": "120000",  # ms; npm would wait five minutes for a connection that went silent
        "UV_CACHE_DIR": str(work.cache / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NEXT_TELEMETRY_DISABLED": "1",
        **extra,
        "PATH": path.replace("::", ":"),
    }


def _shims(work: Workspace) -> Path:
    folder = work.scratch / "shims"
    if not folder.exists():
        folder.mkdir(parents=True)
        for name in ("apt", "apt-get", "sudo"):
            (folder / name).write_text(_NOT_HERE.format(name=name))
            (folder / name).chmod(0o755)
    return folder


def run(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> int:
    """Run to its end with our output; whatever it left running in its session is ended. Returns the exit status."""
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stderr=2, start_new_session=True)
    try:
        return process.wait()
    finally:
        _end_group(process.pid)


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def run_and_keep(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, list[str]]:
    """Like `run`, and also the last lines of output. For tools that leave nothing running."""
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    tail: list[str] = []
    for raw in process.stdout or ():
        line = raw.decode(errors="replace").rstrip("\n")
        print(line, flush=True)
        tail = [*tail[1 - _TAIL_LINES :], line]
    return process.wait(), tail


def run_commands(work: Workspace, micro: Micro, folder: Path, env: Mapping[str, str]) -> None:
    """The Spacefile's `commands`, in order, as shell lines in the micro's folder. Raises BuildFailed."""
    for command in micro.commands:
        say(f"Running command: {command}", micro)
        status = run(("/bin/sh", "-c", command), folder, env)
        if status:
            hint = _hint(command)
            raise BuildFailed(f"[{micro.name}] command ended with status {status}: {command}{hint}")


def _hint(command: str) -> str:
    if re.search(r"\b(apt|apt-get|sudo)\b", command):
        return " (apt and sudo are not available in builds, which run without root)"
    return ""
