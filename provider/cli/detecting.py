"""What a folder of code is made of: engines found by the files that are there, and a Spacefile that says so."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHON, NODE = "python3.11", "nodejs20"
_PYTHON_FILES = ("requirements.txt", "Pipfile", "setup.py", "pyproject.toml", "main.py")
# In this order: a SvelteKit project also has Svelte's plugin, a Nuxt one also has Vue.
_FRAMEWORKS = (
    ("svelte-kit", ("@sveltejs/kit",)),
    ("next", ("next",)),
    ("nuxt", ("nuxt", "nuxt3", "nuxt-edge", "nuxt3-edge")),
    ("react", ("react-scripts", "react-dev-utils", "@vitejs/plugin-react", "@vitejs/plugin-react-swc")),
    ("svelte", ("@sveltejs/vite-plugin-svelte",)),
    ("vue", ("@vue/cli-service", "@vitejs/plugin-vue")),
)
_SKIPPED = frozenset(("node_modules", "venv", "dist", "build", "target", "__pycache__"))
MOST_MICROS = 5


@dataclass(frozen=True)
class Found:
    """One micro as it is to be written. src is relative to the project's root."""

    name: str
    src: str
    engine: str
    more: tuple[tuple[str, Any], ...] = ()


def micros(root: Path) -> tuple[Found, ...]:
    """The root itself if something is there, else its direct subfolders; nothing where nothing is recognised."""
    whole = detect(root, ".", _name(root.name))
    if whole is not None:
        return (whole,)
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not _is_skipped(path.name))
    found = (detect(path, f"./{path.name}", _name(path.name)) for path in folders)
    return tuple(micro for micro in found if micro is not None)[:MOST_MICROS]


def detect(folder: Path, src: str, name: str) -> Found | None:
    if any((folder / file).is_file() for file in _PYTHON_FILES):
        return Found(name, src, PYTHON)
    if (folder / "package.json").is_file():
        return Found(name, src, _node_engine(folder / "package.json"))
    if (folder / "go.mod").is_file():
        built = (("commands", ["go build -o server"]), ("include", ["server"]), ("run", "./server"))
        return Found(name, src, "custom", built)
    if (folder / "index.html").is_file():
        return Found(name, src, "static", (("serve", "./"),))
    return None


def spacefile(found: tuple[Found, ...]) -> str:
    """The first micro is the primary. Without micros a file that only begins."""
    lines = ["# How a Spacefile is written: docs/developers/spacefile.md", "v: 1"]
    if found:
        lines.append("micros:")
    for number, micro in enumerate(found):
        lines += [f"  - name: {micro.name}", f"    src: {_text(micro.src)}", f"    engine: {micro.engine}"]
        if number == 0:
            lines.append("    primary: true")
        for key, value in micro.more:
            if isinstance(value, list):
                lines += [f"    {key}:", *(f"      - {_text(item)}" for item in value)]
            else:
                lines.append(f"    {key}: {_text(value)}")
    return "\n".join(lines) + "\n"


def _node_engine(file: Path) -> str:
    try:
        package = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return NODE
    package = package if isinstance(package, dict) else {}
    needed: set[str] = set()
    for key in ("dependencies", "devDependencies"):
        needed |= set(package[key]) if isinstance(package.get(key), dict) else set()
    return next((engine for engine, names in _FRAMEWORKS if needed.intersection(names)), NODE)


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED


def _name(folder: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", folder).strip("-")[:63] or "app"


def _text(value: str) -> str:
    """A YAML scalar that is text whatever it looks like."""
    return (
        value if re.fullmatch(r"[A-Za-z./][A-Za-z0-9./_ -]*", value) and value == value.strip() else json.dumps(value)
    )
