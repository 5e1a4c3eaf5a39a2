"""What the former platform let pass: brought into one form, with a warning where something is ignored."""

from collections.abc import Iterator
from typing import Any

from apps_catalog.spacefile import engines

_FLAGS = {"yes": True, "Yes": True, "on": True, "On": True, "no": False, "No": False, "off": False, "Off": False}
_ROOT_FLAGS = ("auto_pwa",)
_MICRO_FLAGS = ("primary", "public", "provide_actions")
_PLATFORM_ENV = frozenset(("PORT", "HOSTNAME", "DETA_API_KEY", "DETA_PROJECT_KEY"))
_PLATFORM_PREFIX = "DETA_SPACE_APP"


def settle(root: dict[str, Any]) -> list[str]:
    """Change `root` in place; return the warnings."""
    _flags(root, _ROOT_FLAGS)
    if root.get("icon") == "":
        del root["icon"]
    micros = root.get("micros")
    micros = [micro for micro in micros if isinstance(micro, dict)] if isinstance(micros, list) else []
    _volume(root, micros)
    for micro in micros:
        _flags(micro, _MICRO_FLAGS)
    if len(micros) == 1 and "primary" not in micros[0]:
        micros[0]["primary"] = True
    return [warning for micro in micros for warning in _micro(micro, root.get("v"))]


def _volume(root: dict[str, Any], micros: list[dict[str, Any]]) -> None:
    """An instance has one volume, which all its micros see: it may stand at a micro as well as at the root."""
    written = [place["volume"] for place in (root, *micros) if "volume" in place]
    if root.get("v") == 1 and written and all(volume == written[0] for volume in written):
        for micro in micros:
            micro.pop("volume", None)
        root["volume"] = written[0]
    if isinstance(root.get("volume"), str):
        root["volume"] = {"path": root["volume"]}


def _flags(mapping: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        value = mapping.get(key)
        if isinstance(value, str) and value in _FLAGS:
            mapping[key] = _FLAGS[value]


def _micro(micro: dict[str, Any], version: object) -> Iterator[str]:
    name = str(micro.get("name"))[:63]
    engine = str(micro.get("engine"))
    if engine in engines.ALIASES:
        yield f"micro {name}: engine {engine} is read as {engines.ALIASES[engine]}"
        micro["engine"] = engine = engines.ALIASES[engine]
    if version == 0 and engine in engines.FAMILIES and engine not in engines.FORMER:
        yield f"micro {name}: engine {engine} is newer than v: 0; write v: 1"
    if micro.get("primary") is True and isinstance(micro.get("path"), str) and micro["path"].strip("/"):
        yield f"micro {name}: path is ignored, the primary micro is at /"
    elif isinstance(micro.get("path"), str) and "/" in micro["path"].strip().strip("/"):
        yield f"micro {name}: only the first segment of path {micro['path'][:100]} is used"
    if engine == "custom" and "run" not in micro and "image" not in micro:
        yield f"micro {name}: engine custom without run has nothing to start"
    if isinstance(micro.get("egress"), list):
        yield f"micro {name}: the hosts of egress are told to people and not enforced; none is"
    yield from _routes(micro, name)
    yield from _env(micro, name)


def _routes(micro: dict[str, Any], name: str) -> Iterator[str]:
    routes = micro.get("public_routes")
    for route in routes if isinstance(routes, list) else ():
        if isinstance(route, str) and "(?" in route:
            yield f"micro {name}: public route {route[:100]} is a regular expression; it opens nothing"


def _env(micro: dict[str, Any], name: str) -> Iterator[str]:
    presets = micro.get("presets")
    entries = presets.get("env") if isinstance(presets, dict) else None
    if not isinstance(presets, dict) or not isinstance(entries, list):
        return
    ignored = [entry for entry in entries if isinstance(entry, dict) and _is_platforms(entry.get("name"))]
    for entry in ignored:
        yield f"micro {name}: {entry['name'][:60]} is set by the platform; the preset is ignored"
        entries.remove(entry)
    if ignored and not entries:
        del presets["env"]


def _is_platforms(name: object) -> bool:
    return isinstance(name, str) and (name in _PLATFORM_ENV or name.startswith(_PLATFORM_PREFIX))
