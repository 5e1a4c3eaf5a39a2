"""Dependencies of Node micros, by whichever package manager the project's lock file is of."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import kept
from .python_deps import RETIRED_DATE, is_retired
from .work import BuildFailed, Micro, Workspace, environment, run, say

_LOCKS = ("pnpm-lock.yaml", "yarn.lock", "package-lock.json", "npm-shrinkwrap.json")
_PNPM, _YARN = ("npx", "--yes", "pnpm@9"), ("npx", "--yes", "yarn@1.22.22")


def package(folder: Path) -> dict[str, Any]:
    """package.json, {} where there is none. Raises BuildFailed where it is not JSON."""
    path = folder / "package.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise BuildFailed(f"package.json is not valid JSON: {error}") from None
    return content if isinstance(content, dict) else {}


def install(work: Workspace, micro: Micro, folder: Path) -> None:
    """Everything, devDependencies too: commands need them. Raises BuildFailed."""
    if not (folder / "package.json").is_file():
        return
    manager, command = _installer(work, micro, folder)
    key = _key(command, folder)
    if kept.unpack(work, key, folder / "node_modules"):
        say(f"Dependencies of {manager} are as before: taken from the cache", micro)
        return
    say(f"Installing dependencies with {manager}", micro)
    status = run(command, folder, command_environment(work, folder))
    undated = tuple(word for word in command if not word.startswith("--before="))
    if status and undated != command and not work.as_of:
        say(f"Nothing fits as of {RETIRED_DATE}; trying with the packages of today", micro)
        key, status = None, run(undated, folder, command_environment(work, folder))
    if status:
        raise BuildFailed(f"[{micro.name}] {manager} could not install the dependencies (status {status}, see above)")
    kept.keep(work, key, folder / "node_modules")


def _key(command: tuple[str, ...], folder: Path) -> str | None:
    """None where tomorrow's install may differ from today's: neither a lock file nor a date."""
    locks = [name for name in _LOCKS if (folder / name).is_file()]
    dated = any(word.startswith("--before=") for word in command)
    if not locks and not dated:
        return None
    node = subprocess.run(("node", "--version"), capture_output=True, text=True, check=False).stdout
    return kept.key_of((*command, node), [folder / name for name in ("package.json", ".npmrc", ".yarnrc", *locks)])


def _installer(work: Workspace, micro: Micro, folder: Path) -> tuple[str, tuple[str, ...]]:
    if (folder / "pnpm-lock.yaml").is_file():
        return "pnpm", (*_PNPM, "install", "--frozen-lockfile", "--prod=false")
    if (folder / "yarn.lock").is_file():
        return "yarn", (*_YARN, "install", "--frozen-lockfile", "--production=false", "--non-interactive")
    options = ("--include=dev", "--no-progress", "--loglevel=error")
    if (folder / "package-lock.json").is_file() or (folder / "npm-shrinkwrap.json").is_file():
        return "npm", ("npm", "ci", *options)
    date = work.as_of or (RETIRED_DATE if is_retired(micro.engine) else None)
    return "npm", ("npm", "install", "--no-package-lock", *options, *((f"--before={date}",) if date else ()))


def prune(work: Workspace, micro: Micro, folder: Path) -> None:
    """Leave what only the build needed behind. A package that cannot be pruned stays whole."""
    if not package(folder).get("devDependencies") or not (folder / "node_modules").is_dir():
        return
    if (folder / "pnpm-lock.yaml").is_file() or (folder / "yarn.lock").is_file():
        return
    command = ("npm", "prune", "--omit=dev", "--ignore-scripts", "--no-progress", "--loglevel=error")
    if run(command, folder, command_environment(work, folder)):
        say("Could not leave out development dependencies; they are shipped too", micro)


def command_environment(work: Workspace, folder: Path) -> Mapping[str, str]:
    return environment(work, PATH=str(folder / "node_modules" / ".bin"))
