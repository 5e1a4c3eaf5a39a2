"""A Spacefile that has been checked. Every key and default of v 0, and what v 1 adds.

The types say what one value may be; what values mean together is in `rules`.
"""

import posixpath
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from apps_catalog.spacefile import engines, paths
from apps_catalog.spacefile.schedule import parse_interval

RESERVED_MOUNT = "__space"
DEFAULT_VOLUME_MIB = 100


def _engine(value: str) -> str:
    name = engines.ALIASES.get(value, value)
    if name not in engines.FAMILIES:
        raise ValueError(f"{value[:40]!r} is not an engine; there are {', '.join(engines.FAMILIES)}")
    return name


def _interval(value: str) -> str:
    parse_interval(value)
    return value


def _env_name(value: str) -> str:
    if not value or not value.isprintable() or "=" in value or len(value) > 100:
        raise ValueError("must be 1 to 100 printable characters without =")
    return value


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain NUL")
    return value


def _command(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return _no_nul(value)


def _volume_path(value: str) -> str:
    normal = posixpath.normpath(value)
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", normal) or ".." in value.split("/"):
        raise ValueError("must be an absolute path of letters, digits, dots, - and _, such as /data")
    if normal.split("/")[1] in _SYSTEM_FOLDERS:
        raise ValueError(f"{normal} belongs to the system; use a folder of your own such as /data")
    return normal


_SYSTEM_FOLDERS = frozenset(
    ("app", "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "opt", "proc", "root", "run")
    + ("sbin", "srv", "sys", "tmp", "usr", "var")
)

Text = Annotated[str, AfterValidator(_no_nul)]
Folder = Annotated[str, AfterValidator(lambda value: paths.inside(value))]
Relative = Annotated[str, AfterValidator(paths.clean)]
Command = Annotated[str, AfterValidator(_command)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=63)]
Engine = Annotated[str, AfterValidator(_engine), WithJsonSchema({"type": "string", "enum": list(engines.FAMILIES)})]
Route = Annotated[Text, StringConstraints(min_length=1, max_length=500)]
HttpPath = Annotated[str, StringConstraints(pattern=r"^/[^\s?#\\]*$", max_length=500)]
Host = Annotated[str, StringConstraints(pattern=r"^(\*\.)?([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}$", max_length=253)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EnvPreset(_Part):
    """A setting that the person who installs the app may fill in."""

    name: Annotated[str, AfterValidator(_env_name)]
    description: Text = ""
    default: Text = ""


class Presets(_Part):
    env: tuple[EnvPreset, ...] = Field((), min_length=1)
    api_keys: bool = False


class Action(_Part):
    """A schedule: Freehold posts to the micro at every interval."""

    id: Annotated[Text, StringConstraints(min_length=1, max_length=100)]
    name: Annotated[Text, StringConstraints(min_length=1, max_length=100)]
    trigger: Literal["schedule"]
    default_interval: Annotated[str, AfterValidator(_interval)]
    description: Annotated[Text, StringConstraints(max_length=142)] = ""
    path: Text | None = None


class Volume(_Part):
    """A folder of the instance's own, seen by all its micros, kept over restarts and updates. `path` is absolute."""

    path: Annotated[str, AfterValidator(_volume_path)]
    size_mib: int = Field(DEFAULT_VOLUME_MIB, ge=1, le=1024 * 1024)


class Size(_Part):
    """What one micro may use at most; None leaves the plan's default."""

    cpu_millis: int | None = Field(None, ge=10, le=64_000)
    memory_mib: int | None = Field(None, ge=16, le=262_144)


class Micro(_Part):
    """One process of the app, or one folder of files.

    src: folder of the project, "" for its root. serve, include: relative to src, normalised. path: as written; see
    Spacefile.mount. engine: normalised name. size: what a process needs. image: run in place of what would be built
    of src. health: path that answers while it is well. migrate: run once before a version takes over. egress: what it
    calls; None is the Internet, and only "none" is enforced.
    """

    name: Name
    src: Folder
    engine: Engine
    primary: bool = False
    path: Text | None = None
    serve: Relative | None = None
    commands: tuple[Command, ...] = Field((), min_length=1)
    include: tuple[Relative, ...] = Field((), min_length=1)
    run: Command | None = None
    dev: Command | None = None
    presets: Presets = Presets()
    public_routes: tuple[Route, ...] = Field((), min_length=1)
    public: bool = False
    actions: tuple[Action, ...] = Field((), min_length=1)
    provide_actions: bool = False
    health: HttpPath | None = None
    migrate: Command | None = None
    size: Size | None = None
    egress: Literal["internet", "none"] | tuple[Host, ...] | None = None
    image: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$")] | None = None

    @property
    def routes(self) -> tuple[str, ...]:
        """The patterns of public routes, `public: true` included."""
        return ("/*",) if self.public else self.public_routes

    @property
    def family(self) -> engines.Family:
        return engines.FAMILIES[self.engine]

    @property
    def mount(self) -> str:
        """The first path segment that leads here; "" for the primary."""
        return "" if self.primary else mount_of(self.path or self.name)


class Spacefile(_Part):
    """The whole app. `warnings` are sentences about what was ignored; they do not come from the file."""

    v: Literal[0, 1]
    icon: Folder | None = None
    app_name: Annotated[Text, StringConstraints(min_length=1, max_length=12)] | None = None
    auto_pwa: bool = True
    micros: Annotated[tuple[Micro, ...], Field(min_length=1, max_length=5)]
    volume: Volume | None = None
    warnings: Annotated[tuple[str, ...], Field(exclude=True, repr=False)] = ()

    @property
    def primary(self) -> Micro:
        return next(micro for micro in self.micros if micro.primary)


def mount_of(path: str) -> str:
    """The first segment of a micro's `path`."""
    return path.strip().lstrip("/").split("/", 1)[0]


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file as people write it, for editors."""
    schema = Spacefile.model_json_schema()
    schema["properties"].pop("warnings")
    schema["title"] = "Spacefile"
    schema["properties"]["volume"] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Volume"}]}
    return schema
