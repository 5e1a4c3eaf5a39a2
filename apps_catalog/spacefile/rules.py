"""What keys mean together. Works on the raw data, so that these problems are told beside those of single values."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from apps_catalog.spacefile import engines, paths
from apps_catalog.spacefile.document import Path
from apps_catalog.spacefile.model import RESERVED_MOUNT, mount_of

MAX_ACTIONS_PER_MICRO = 5
_MOUNT = re.compile(r"[A-Za-z0-9_.~@-]{1,100}")
_V1_ROOT = ("volume",)
_V1_MICRO = ("health", "migrate", "size", "egress", "image")
_LEFT_OUT = "folders named build, dist and target stay behind unless .spaceignore has a line such as !dist"

Found = tuple[Path, str]


@dataclass(frozen=True)
class Draft:
    """Raw data under inspection. files: names in the upload, None if not at hand. folders: all their parents."""

    root: dict[str, Any]
    files: Collection[str] | None
    folders: frozenset[str]

    def micros(self) -> Iterator[tuple[int, dict[str, Any]]]:
        micros = self.root.get("micros")
        if isinstance(micros, list):
            yield from ((index, micro) for index, micro in enumerate(micros) if isinstance(micro, dict))


def draft(root: dict[str, Any], files: Collection[str] | None) -> Draft:
    folders = {""}
    for name in files or ():
        parent = name.rpartition("/")[0]
        while parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    return Draft(root, files, frozenset(folders))


def _unique_names(file: Draft) -> Iterator[Found]:
    seen: set[str] = set()
    for index, micro in file.micros():
        name = micro.get("name")
        if isinstance(name, str) and name in seen:
            yield ("micros", index, "name"), f"micro names have to be unique, duplicate micro `{name}` found"
        if isinstance(name, str):
            seen.add(name)


def _one_primary(file: Draft) -> Iterator[Found]:
    primaries = [index for index, micro in file.micros() if micro.get("primary") is True]
    for index in primaries[1:]:
        yield ("micros", index, "primary"), "multiple primary micros present"
    if not primaries and sum(1 for _ in file.micros()) > 1:
        yield ("micros",), "no primary micro present; write primary: true in one of them"


def _mounts(file: Draft) -> Iterator[Found]:
    seen: dict[str, object] = {}
    for index, micro in file.micros():
        written = micro.get("path") or micro.get("name")
        if micro.get("primary") is True or not isinstance(written, str):
            continue
        key = "path" if "path" in micro else "name"
        mount = mount_of(written)
        if mount == RESERVED_MOUNT:
            yield ("micros", index, key), f"{RESERVED_MOUNT} is reserved"
        elif not _MOUNT.fullmatch(mount) or not mount.strip("."):
            yield ("micros", index, key), "must begin with a segment of letters, digits and _ . ~ @ -"
        elif mount in seen:
            yield ("micros", index, key), f"/{mount} already leads to micro {seen[mount]}; routing sees one segment"
        seen.setdefault(mount, micro.get("name"))


def _serve_and_include(file: Draft) -> Iterator[Found]:
    for index, micro in file.micros():
        engine = _text(micro.get("engine"))
        if engine == "static" and "serve" not in micro:
            yield ("micros", index, "serve"), "is required for engine static: the folder to serve"
        if engine in engines.SERVES_FILES and "include" in micro:
            yield ("micros", index, "include"), f"is not allowed for engine {engine}; it ships what it serves"
        if engine in engines.FAMILIES and engine not in engines.SERVES_FILES and "serve" in micro:
            yield ("micros", index, "serve"), f"is not allowed for engine {engine}"


def _public_or_routes(file: Draft) -> Iterator[Found]:
    for index, micro in file.micros():
        if "public" in micro and "public_routes" in micro:
            yield ("micros", index, "public"), "must not stand beside public_routes; keep one of the two"


def _unique_items(file: Draft) -> Iterator[Found]:
    for index, micro in file.micros():
        for key in ("include", "public_routes"):
            seen: set[str] = set()
            for at, item in enumerate(_list(micro.get(key))):
                if isinstance(item, str) and item in seen:
                    yield ("micros", index, key, at), f"{item[:60]} is listed twice"
                if isinstance(item, str):
                    seen.add(item)


def _actions(file: Draft) -> Iterator[Found]:
    seen: dict[str, set[object]] = {"id": set(), "name": set()}
    for index, micro in file.micros():
        actions = _list(micro.get("actions"))
        if len(actions) > MAX_ACTIONS_PER_MICRO:
            yield ("micros", index, "actions"), f"at most {MAX_ACTIONS_PER_MICRO} are allowed in one micro"
        for at, action in enumerate(actions):
            for key in ("id", "name") if isinstance(action, dict) else ():
                value = action.get(key)
                if isinstance(value, str) and value in seen[key]:
                    yield ("micros", index, "actions", at, key), f"{value[:60]} is used twice in this app"
                if isinstance(value, str):
                    seen[key].add(value)


def _unique_env(file: Draft) -> Iterator[Found]:
    for index, micro in file.micros():
        presets = micro.get("presets")
        env = _list(presets.get("env")) if isinstance(presets, dict) else []
        seen: set[str] = set()
        for at, entry in enumerate(env):
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and name in seen:
                yield ("micros", index, "presets", "env", at, "name"), f"{name[:60]} is defined twice"
            if isinstance(name, str):
                seen.add(name)


def _version(file: Draft) -> Iterator[Found]:
    version = file.root.get("v", 0)
    if type(version) is not int:  # true and 1.0 equal 1, to Python and to the model alike
        yield ("v",), "must be 0 or 1"
    if version != 0:
        return
    for key in _V1_ROOT:
        if key in file.root:
            yield (key,), "needs v: 1"
    for index, micro in file.micros():
        for key in _V1_MICRO:
            if key in micro:
                yield ("micros", index, key), "needs v: 1"


def _images(file: Draft) -> Iterator[Found]:
    for index, micro in file.micros():
        if "image" not in micro or micro.get("image") is None:
            continue
        if micro.get("engine") != "custom":
            yield ("micros", index, "image"), "is allowed for engine custom only"
        for key in ("commands", "include"):
            if key in micro:
                yield ("micros", index, key), "is not allowed beside image: nothing is built of it"


def _processes(file: Draft) -> Iterator[Found]:
    for index, micro in file.micros():
        engine = _text(micro.get("engine"))
        for key in ("health", "migrate") if engine in engines.SERVES_FILES else ():
            if micro.get(key) is not None:
                yield ("micros", index, key), f"is not allowed for engine {engine}, which has no process"


def _inside(file: Draft) -> Iterator[Found]:
    for index, micro in file.micros():
        src = _resolved(micro.get("src"))
        if src is None:
            continue
        for key, value in _relative_values(micro):
            if isinstance(value, str) and _resolved(value, src) is None and _is_clean(value):
                yield ("micros", index, *key), "must stay inside the project"


def _relative_values(micro: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    yield ("serve",), micro.get("serve")
    for at, item in enumerate(_list(micro.get("include"))):
        yield ("include", at), item


def _present(file: Draft) -> Iterator[Found]:
    """Only with the upload at hand: what is named must have arrived."""
    if file.files is None:
        return
    icon = file.root.get("icon")
    if isinstance(icon, str) and (_resolved(icon) or "Spacefile") not in file.files:
        yield ("icon",), f"{icon[:100]} is not in the upload"
    for index, micro in file.micros():
        src = _resolved(micro.get("src"))
        if src is None:
            continue
        if src not in file.folders:
            yield ("micros", index, "src"), f"micro {micro.get('name')} src {micro['src'][:100]} not found"
            continue
        serve = _resolved(micro.get("serve"), src)
        as_uploaded = "commands" not in micro and micro.get("engine") == "static"
        if serve is not None and as_uploaded and serve not in file.folders:
            yield ("micros", index, "serve"), f"the folder {serve} is not in the upload; {_LEFT_OUT}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolved(value: object, folder: str = "") -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return paths.inside(value, folder)
    except ValueError:
        return None


def _is_clean(value: str) -> bool:
    try:
        paths.clean(value)
    except ValueError:
        return False
    return True


RULES: tuple[Callable[[Draft], Iterator[Found]], ...] = (
    _unique_names,
    _one_primary,
    _mounts,
    _serve_and_include,
    _public_or_routes,
    _unique_items,
    _actions,
    _unique_env,
    _version,
    _images,
    _processes,
    _inside,
    _present,
)
