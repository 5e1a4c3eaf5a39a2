"""What an installed copy of a revision consists of: its Spacefile and what the builder made of it, side by side."""

import json
from dataclasses import dataclass
from typing import Any

from apps_catalog import public_routes
from apps_catalog.models import Revision
from apps_catalog.spacefile import Micro, Spacefile

PROCESS, STATIC = "process", "static"


@dataclass(frozen=True)
class Part:
    """One micro. mount: "" for the primary. presets: (name, default) of settings that its owner may fill in.
    takes_keys: programs that hold a key may reach its private paths.
    cpu_millis, memory_mib: what the Spacefile says that a process needs, None where it says nothing.
    health: path that answers while it is well. migrate: command to run once before the version takes over. egress: hosts
    that it says it calls, () for none; None where it says nothing or any.

    kind, root, command, serve, python_path: as the builder wrote them into the artifact's manifest.
    image: what is run in place of something built; root is then "", and command None means its own entrypoint.
    """

    name: str
    mount: str
    kind: str
    engine: str
    root: str
    command: str | None
    serve: str | None
    python_path: tuple[str, ...]
    public_routes: tuple[str, ...]
    presets: tuple[tuple[str, str], ...]
    takes_keys: bool = False
    cpu_millis: int | None = None
    memory_mib: int | None = None
    image: str | None = None
    health: str | None = None
    migrate: str | None = None
    egress: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Blueprint:
    """volume_path is absolute inside the sandbox, None for apps without a volume; volume_mib is then 0."""

    parts: tuple[Part, ...]
    volume_path: str | None
    volume_mib: int

    @property
    def processes(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind == PROCESS)

    @property
    def migrations(self) -> tuple[Part, ...]:
        """Those with a command to run before this version takes over, in the file's order."""
        return tuple(part for part in self.processes if part.migrate is not None)

    @property
    def public_paths(self) -> tuple[str, ...]:
        return tuple(path for part in self.parts for path in public_routes.shown(part.mount, part.public_routes))

    @property
    def calls(self) -> tuple[str, ...]:
        """What its processes may call: host names as declared, "internet" for any; nothing where all are closed off."""
        said = {host for part in self.processes for host in (("internet",) if part.egress is None else part.egress)}
        return ("internet",) if "internet" in said else tuple(sorted(said))

    @property
    def settings(self) -> frozenset[str]:
        """Names that `config` of an instance may have."""
        return frozenset(name for part in self.parts for name, _ in part.presets)


def spacefile_of(revision: Revision) -> Spacefile:
    return Spacefile.model_validate_json(json.dumps({**revision.spacefile, "micros": _rewritten(revision)}))


def _rewritten(revision: Revision) -> list[dict[str, Any]]:
    """The micros with paths as people write them: a checked path to the project's own folder is "", which nobody may
    write."""
    micros: list[dict[str, Any]] = revision.spacefile["micros"]
    return [{key: _path(value) if key in _PATHS else value for key, value in micro.items()} for micro in micros]


_PATHS = ("src", "serve", "include")


def _path(value: Any) -> Any:
    if isinstance(value, list):
        return [_path(entry) for entry in value]
    return value or "."


def blueprint_of(revision: Revision) -> Blueprint:
    """Raises ValueError for a revision that is not built."""
    if revision.manifest is None:
        raise ValueError(f"revision {revision.pk} has no manifest")
    spacefile = spacefile_of(revision)
    built = {micro["name"]: micro for micro in revision.manifest["micros"]}
    built |= {micro.name: _unbuilt(micro) for micro in spacefile.micros if micro.image is not None}
    parts = tuple(
        Part(
            name=micro.name,
            mount=micro.mount,
            kind=built[micro.name]["kind"],
            engine=built[micro.name]["engine"],
            root=built[micro.name]["root"],
            command=built[micro.name].get("command"),
            serve=built[micro.name].get("serve"),
            python_path=tuple(built[micro.name].get("python_path", ())),
            public_routes=micro.routes,
            presets=tuple((preset.name, preset.default) for preset in micro.presets.env),
            takes_keys=micro.presets.api_keys,
            cpu_millis=micro.size.cpu_millis if micro.size else None,
            memory_mib=micro.size.memory_mib if micro.size else None,
            image=micro.image,
            health=micro.health,
            migrate=micro.migrate,
            egress=_egress(micro),
        )
        for micro in spacefile.micros
    )
    volume = spacefile.volume
    return Blueprint(parts, volume.path if volume else None, volume.size_mib if volume else 0)


def _egress(micro: Micro) -> tuple[str, ...] | None:
    if micro.egress is None or micro.egress == "internet":
        return None
    return () if micro.egress == "none" else micro.egress


def _unbuilt(micro: Micro) -> dict[str, Any]:
    """What a builder would have written of a micro that is an image."""
    return {"kind": PROCESS, "engine": micro.engine, "root": "", "command": micro.run}
