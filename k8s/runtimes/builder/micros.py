"""One micro, by its engine: dependencies, commands, what is shipped, how it is started."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from . import node_deps, python_deps
from .tree import check_size, copy_included, copy_into, restore_modes
from .work import BuildFailed, Micro, Workspace, environment, run_commands, say

Entry = dict[str, object]
_OUTPUTS = ("dist", "build", "public")
_LEFT_OUT = "folders named build, dist and target are not uploaded unless .spaceignore has a line such as !dist"
_KEPT_WITH_INCLUDE = ("package.json", "node_modules")


def build_micro(work: Workspace, micro: Micro) -> Entry:
    """Build into /out/<micro> and return its entry of the manifest. Raises BuildFailed."""
    folder = work.folder(micro)
    restore_modes(folder)
    builder = _BUILDERS.get(micro.engine) or _by_language(micro)
    entry = builder(work, micro, folder)
    check_size(work, micro)
    for note in entry["notes"] if isinstance(entry["notes"], list) else ():
        say(f"Note: {note}", micro)
    return entry


def _by_language(micro: Micro) -> Callable[[Workspace, Micro, Path], Entry]:
    if micro.engine.startswith("python3."):
        return _python
    if micro.engine.startswith("nodejs"):
        return _node
    raise BuildFailed(f"[{micro.name}] there is no engine {micro.engine}")


def _entry(micro: Micro, *, command: str | None = None, notes: tuple[str, ...] = (), deps: bool = False) -> Entry:
    """command None: a static micro."""
    root = f"{micro.name}/app"
    return {
        "name": micro.name,
        "kind": "static" if command is None else "process",
        "engine": micro.engine,
        "root": root,
        "command": command,
        "serve": root if command is None else None,
        "python_path": [f"{micro.name}/deps"] if deps else [],
        "notes": list(notes),
    }


def _python(work: Workspace, micro: Micro, folder: Path) -> Entry:
    here = f"python3.{sys.version_info.minor}"
    notes: tuple[str, ...] = (
        () if micro.engine == here else (f"{micro.engine} runs on {here}, the Python of this machine.",)
    )
    notes += python_deps.install(work, micro, folder)
    run_commands(work, micro, folder, python_deps.command_environment(work, micro))
    say("Packing code", micro)
    copy_included(work, micro, folder)
    command = micro.run or _python_command(micro, work.app(micro))
    python_deps.precompile(work, micro)
    return _entry(micro, command=command, notes=notes, deps=True)


def _python_command(micro: Micro, app: Path) -> str:
    main = app / "main.py"
    if not main.is_file():
        raise BuildFailed(f"[{micro.name}] there is no main.py in {micro.src or 'the project'}, and no run line")
    try:
        tree = ast.parse(main.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise BuildFailed(f"[{micro.name}] main.py is not valid Python: {error}") from None
    if not _defines_app(tree):
        raise BuildFailed(f"[{micro.name}] main.py defines no app, and there is no run line that starts something else")
    return "python3 -m freehold_server main:app"


def _defines_app(tree: ast.Module) -> bool:
    """Whether a name `app` may come into being anywhere in the module; a star import may bring it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "app" and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == "app":
            return True
        if isinstance(node, ast.alias) and (node.asname or node.name.split(".")[0]) in ("app", "*"):
            return True
    return False


def _node(work: Workspace, micro: Micro, folder: Path) -> Entry:
    node_deps.install(work, micro, folder)
    run_commands(work, micro, folder, node_deps.command_environment(work, folder))
    node_deps.prune(work, micro, folder)
    say("Packing code", micro)
    copy_included(work, micro, folder, keep=_KEPT_WITH_INCLUDE)
    if not micro.run and not (work.app(micro) / "index.js").is_file():
        raise BuildFailed(f"[{micro.name}] there is no index.js in {micro.src or 'the project'}, and no run line")
    return _entry(micro, command=micro.run or "node index.js", notes=_node_notes(micro))


def _node_notes(micro: Micro) -> tuple[str, ...]:
    version = subprocess.run(("node", "--version"), capture_output=True, text=True, check=False).stdout.strip()
    major = version.lstrip("v").split(".")[0]
    same = micro.engine.removeprefix("nodejs") == major
    return () if same or not major else (f"{micro.engine} runs on Node {major}, the one of this machine.",)


def _static(work: Workspace, micro: Micro, folder: Path) -> Entry:
    env: Mapping[str, str] = environment(work)
    if micro.commands:
        node_deps.install(work, micro, folder)
        env = node_deps.command_environment(work, folder)
    run_commands(work, micro, folder, env)
    return _served(work, micro, work.inside(folder / (micro.serve or "."), micro, micro.serve or "."))


def _served(work: Workspace, micro: Micro, serve: Path) -> Entry:
    if not serve.is_dir():
        reason = "does not exist after the build" if micro.commands else f"is not in the upload ({_LEFT_OUT})"
        raise BuildFailed(f"[{micro.name}] the folder to serve, {micro.serve or serve.name}, {reason}")
    say("Packing files", micro)
    copy_into(serve, work.app(micro), skip=frozenset(("node_modules",)))
    return _entry(micro)


def _frontend(work: Workspace, micro: Micro, folder: Path) -> Entry:
    """react, vue, svelte: a Node build whose output is served. Without commands, the package's own build script."""
    micro = _with_build_script(micro, folder)
    node_deps.install(work, micro, folder)
    run_commands(work, micro, folder, node_deps.command_environment(work, folder))
    if micro.serve:
        return _served(work, micro, work.inside(folder / micro.serve, micro, micro.serve))
    outputs = [folder / name for name in _OUTPUTS if (folder / name).is_dir()]
    if not outputs:
        raise BuildFailed(f"[{micro.name}] the build left none of {', '.join(_OUTPUTS)}; name its output with serve")
    return _served(work, micro, outputs[0])


def _with_build_script(micro: Micro, folder: Path) -> Micro:
    scripts = node_deps.package(folder).get("scripts")
    has_build = isinstance(scripts, dict) and "build" in scripts
    return replace(micro, commands=("npm run build",)) if has_build and not micro.commands else micro


@dataclass(frozen=True)
class _Framework:
    """With a server of its own. server: what its build leaves, started by Node. ships: what of the folder that needs, where
    the Spacefile says neither `run` nor `include`. lacking: what to do where a build leaves no such server."""

    server: str
    ships: tuple[str, ...]
    lacking: str


def _fullstack(work: Workspace, micro: Micro, folder: Path) -> Entry:
    micro, framework = _with_build_script(micro, folder), _FRAMEWORKS[micro.engine]
    node_deps.install(work, micro, folder)
    run_commands(work, micro, folder, node_deps.command_environment(work, folder))
    server = _next_server(work, folder) if micro.engine == "next" else framework.server
    if not micro.run and not (folder / server).is_file():
        raise BuildFailed(f"[{micro.name}] the build left no {framework.server}: {framework.lacking}")
    needs_packages = bool(micro.run) or "node_modules" in framework.ships
    if needs_packages:
        node_deps.prune(work, micro, folder)
    say("Packing code", micro)
    usual = () if micro.run else tuple(name for name in framework.ships if (folder / name).exists())
    keep = _KEPT_WITH_INCLUDE if needs_packages else ()
    copy_included(work, replace(micro, include=micro.include or usual), folder, keep=keep)
    return _entry(micro, command=micro.run or f"node {server}", notes=_node_notes(micro))


def _next_server(work: Workspace, folder: Path) -> str:
    """Where Next left it: in folders of the project's own names where Next took the project's root for a workspace's.

    Its assets lie beside the standalone server, and whoever ships it is expected to bring them together.
    """
    output = Path(".next/standalone")
    if not (folder / output / "server.js").is_file():
        output /= folder.relative_to(work.src)
    if (folder / output / "server.js").is_file():
        for source, target in ((".next/static", ".next/static"), ("public", "public")):
            if (folder / source).is_dir():
                shutil.copytree(folder / source, folder / output / target, dirs_exist_ok=True)
    return f"{output}/server.js"


def _custom(work: Workspace, micro: Micro, folder: Path) -> Entry:
    if not micro.run:
        raise BuildFailed(f"[{micro.name}] engine custom needs a run line")
    run_commands(work, micro, folder, environment(work, PATH=str(folder / "node_modules/.bin")))
    say("Packing code", micro)
    copy_included(work, micro, folder)
    return _entry(micro, command=micro.run)


_FRAMEWORKS = {
    "next": _Framework(
        ".next/standalone/server.js",
        (".next/standalone", "package.json"),
        "next.config must say output: 'standalone', or the Spacefile run",
    ),
    "nuxt": _Framework(
        ".output/server/index.mjs",
        (".output", "package.json"),
        "Nuxt must build with the preset node-server, which is its own default",
    ),
    "svelte-kit": _Framework(
        "build/index.js",
        ("build", "package.json", "node_modules"),  # what is listed under dependencies is not in the bundle
        "svelte.config.js must use @sveltejs/adapter-node",
    ),
}
_BUILDERS: dict[str, Callable[[Workspace, Micro, Path], Entry]] = {
    "static": _static,
    **dict.fromkeys(("react", "vue", "svelte"), _frontend),
    **dict.fromkeys(_FRAMEWORKS, _fullstack),
    "custom": _custom,
}
