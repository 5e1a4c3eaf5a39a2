"""Spec and status files: frozen dataclasses as JSON, written whole or not at all, with a lock for read-compare-write."""

import fcntl
import json
import os
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from k8s.specs import BuildSpec, CloudSpec, InstanceSpec, JobSpec

T = TypeVar("T")


@dataclass(frozen=True)
class CloudDocument:
    """A cloud as the driver asks for it. uid: the user that everything in the cloud runs as."""

    spec: CloudSpec
    uid: int
    deleting: bool = False


@dataclass(frozen=True)
class InstanceDocument:
    """spec is None where only a kept volume is to be deleted."""

    spec: InstanceSpec | None
    deleting: bool = False
    delete_volume: bool = False


@dataclass(frozen=True)
class BuildDocument:
    spec: BuildSpec
    deleting: bool = False


@dataclass(frozen=True)
class JobDocument:
    spec: JobSpec
    deleting: bool = False


def write(file: Path, document: object, *, durable: bool = True) -> None:
    """Replace `file` atomically. durable: survives a power cut, too; not worth its time for what is found out anew.

    Raises OSError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with draft.open("w") as out:
        json.dump(document, out, default=_plain)
        if durable:
            out.flush()
            os.fsync(out.fileno())
    draft.replace(file)


def text(document: object) -> str:
    """`document` as one line of JSON."""
    return json.dumps(document, default=_plain)


def read(file: Path, kind: type[T]) -> T | None:
    """The document in `file`, or None where there is none."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return None
    document: T = decode(kind, json.loads(text))
    return document


def jobs_of(folder: Path, instance_id: str) -> dict[Path, JobDocument]:
    """The jobs of an instance. folder: that of its cloud's jobs."""
    found = {file: read(file, JobDocument) for file in folder.glob("[!.]*.json")}
    return {file: job for file, job in found.items() if job and job.spec.instance.instance_id == instance_id}


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold `file` exclusively among all processes. The lock file stays: deleting it would let two holders in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def decode(kind: Any, data: Any) -> Any:
    """Build `kind` (dataclass, enum, tuple, mapping, optional or plain) from JSON data. Unknown keys are passed over, so
    that an older program can read a newer one's file."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if data is None else decode(next(a for a in arguments if a is not type(None)), data)
    if origin is tuple:
        return tuple(decode(arguments[0], item) for item in data)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(data)
    if is_dataclass(kind):
        hints = _hints(typing.cast(type, kind))
        return typing.cast(Any, kind)(**{name: decode(hints[name], data[name]) for name in hints if name in data})
    return data


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
