"""Dependencies of Python micros: requirements.txt into a folder, by uv."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from . import kept
from .work import BuildFailed, Micro, Workspace, environment, run, run_and_keep, say

# The name is another project's on the registry today; the platform brings a module of its own.
_OVERRIDES = "deta ; python_version < '3'\n"
_ASYNC_DETA = re.compile(r"^\s*deta\s*\[[^\]]*\basync\b", re.MULTILINE | re.IGNORECASE)
_PYTHON = "/usr/bin/python3"
RETIRED_DATE = "2024-09-30"


def is_retired(engine: str) -> bool:
    return engine in ("python3.8", "python3.9", "nodejs14", "nodejs16")


def install(work: Workspace, micro: Micro, folder: Path) -> tuple[str, ...]:
    """Into the micro's deps folder. Returns notes for the developer. Raises BuildFailed."""
    work.deps(micro).mkdir(parents=True, exist_ok=True)
    requirements = folder / "requirements.txt"
    if not requirements.is_file():
        unread = [name for name in ("Pipfile", "pyproject.toml", "setup.py") if (folder / name).is_file()]
        return (f"{unread[0]} is not read; list dependencies in requirements.txt.",) if unread else ()
    key = _key(work, micro, requirements)
    if kept.unpack(work, key, work.deps(micro)):
        say("Dependencies are as before: taken from the cache", micro)
        return ()
    say("Installing dependencies with uv", micro)
    failure = _resolve(work, micro, requirements)
    if failure:
        raise BuildFailed(f"[{micro.name}] requirements.txt could not be installed: {failure}")
    _settle_scripts(work.deps(micro) / "bin")
    (work.deps(micro) / ".lock").unlink(missing_ok=True)
    _compile(work, work.deps(micro))
    kept.keep(work, key, work.deps(micro))
    return ()


def _key(work: Workspace, micro: Micro, requirements: Path) -> str | None:
    """None without a date: what is not pinned may be another version tomorrow. Bytecode names the micro's folder."""
    date = _date(work, micro)
    return kept.key_of(("uv, compiled", sys.version, date, micro.name), [requirements]) if date else None


def _date(work: Workspace, micro: Micro) -> str | None:
    return work.as_of or (RETIRED_DATE if is_retired(micro.engine) else None)


def _resolve(work: Workspace, micro: Micro, requirements: Path) -> str:
    """Try in turn what may work; the reason of the first failure, or "" for success."""
    date = _date(work, micro)
    wheels = ("--only-binary", ":all:")
    attempts = [(date, wheels, ""), (date, (), "Not everything has a wheel; trying once more from source")]
    if date and not work.as_of:
        attempts.append((None, wheels, f"Nothing fits as of {date}; trying with the packages of today"))
    first_reason = ""
    for as_of, options, why in attempts:
        if why:
            say(why, micro)
        status, tail = run_and_keep(_command(work, micro, requirements, as_of, options), work.src, environment(work))
        if status == 0:
            return ""
        first_reason = first_reason or _reason(tail)
    return first_reason


def _command(
    work: Workspace, micro: Micro, requirements: Path, as_of: str | None, options: tuple[str, ...]
) -> tuple[str, ...]:
    overrides = work.scratch / "overrides.txt"
    overrides.write_text(_OVERRIDES)
    extra = ("aiohttp>=3,<4",) if _ASYNC_DETA.search(requirements.read_text(errors="replace")) else ()
    newest = ("--exclude-newer", as_of) if as_of else ()
    target = ("--target", str(work.deps(micro)), "--python", _PYTHON, "--link-mode", "copy", "--no-progress")
    listed = ("-r", str(requirements), *extra, "--override", str(overrides))
    return (str(work.uv), "pip", "install", *target, *listed, *newest, *options)


def _reason(tail: list[str]) -> str:
    """uv's own explanation, from its mark on, as one line."""
    marks = [index for index, line in enumerate(tail) if line.lstrip().startswith(("×", "error:"))]
    lines = tail[marks[0] :] if marks else tail[-1:]
    text = " ".join(line.strip(" ×╰─▶│├") for line in lines).strip()
    return text.removeprefix("error: ")[:600] or "the installer gave no reason"


def _settle_scripts(folder: Path) -> None:
    """Console scripts name the Python of this sandbox; where they will run it may be another path."""
    for script in sorted(folder.iterdir()) if folder.is_dir() else ():
        content = script.read_bytes()
        first, newline, rest = content.partition(b"\n")
        if first.startswith(b"#!") and b"python" in first:
            script.write_bytes(b"#!/usr/bin/env python3" + newline + rest)


def precompile(work: Workspace, micro: Micro) -> None:
    """What is not compiled yet. Commands may have changed dependencies, whose bytecode would be believed unseen."""
    _compile(work, work.app(micro), *((work.deps(micro),) if micro.commands else ()))


def _compile(work: Workspace, *folders: Path) -> None:
    """Bytecode for everything, valid without looking at times: read-only files start fast, twice built are equal."""
    mode = ("--invalidation-mode", "unchecked-hash", "-s", str(work.out))
    command = (sys.executable, "-m", "compileall", "-qq", "-j", "2", *mode, *map(str, folders))
    run(command, work.out, {"PATH": "/usr/bin:/bin"})


def command_environment(work: Workspace, micro: Micro) -> Mapping[str, str]:
    deps = work.deps(micro)
    return environment(work, PYTHONPATH=str(deps), PATH=f"{deps / 'bin'}")
