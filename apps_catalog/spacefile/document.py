"""YAML text → plain data with line numbers, for files that strangers wrote.

Works on parser events and never on PyYAML's object constructors, so there is no recursion to exhaust, no tag to
construct and no alias to multiply. Scalars follow YAML 1.2 (`on` and `1:30` are text), as the former platform's did.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from apps_catalog.spacefile.problems import Problem

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12
MAX_NODES = 4000

Path = tuple[str | int, ...]
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class YamlProblem(ValueError):
    """The text is not a YAML document that we read; carries one Problem."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.problem = Problem(message, line=line)
        super().__init__(str(self.problem))


@dataclass(frozen=True)
class Document:
    """data: dicts, lists, str, int, float, bool, None. lines: path of keys and indexes → line, counted from 1."""

    data: object
    lines: dict[Path, int]

    def line(self, path: Path) -> int | None:
        """The line of `path`, or of the nearest enclosing thing that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


@dataclass
class _Open:
    """A mapping or list whose end has not been read yet."""

    value: dict[str, object] | list[object]
    path: Path
    key: str | None = None
    key_line: int = 0


@dataclass
class _Builder:
    lines: dict[Path, int] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    root: object = None
    documents: int = 0
    nodes: int = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise YamlProblem("only one YAML document may be in the file", line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._check(event, line)
            self._node(event, line)

    def _check(self, event: Any, line: int) -> None:
        self.nodes += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise YamlProblem("YAML anchors and aliases (& and *) are not allowed", line)
        if event.tag is not None:
            raise YamlProblem(f"YAML tags are not allowed, found {str(event.tag)[:60]}", line)
        if len(self.stack) >= MAX_DEPTH:
            raise YamlProblem(f"nested too deep, at most {MAX_DEPTH} levels are allowed", line)
        if self.nodes > MAX_NODES:
            raise YamlProblem(f"too many values, at most {MAX_NODES} are allowed", line)

    def _node(self, event: Any, line: int) -> None:
        parent = self.stack[-1] if self.stack else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._take_key(parent, event, line)
            return
        value: object = _scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        if isinstance(event, yaml.CollectionStartEvent):
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._place(parent, value, line)
        if isinstance(value, dict | list):
            self.stack.append(_Open(value, path))

    def _take_key(self, parent: _Open, event: Any, line: int) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise YamlProblem("a key must be plain text", line)
        if isinstance(parent.value, dict) and event.value in parent.value:
            raise YamlProblem(f"the key {event.value[:60]} appears twice", line)
        parent.key, parent.key_line = event.value, line

    def _place(self, parent: _Open | None, value: object, line: int) -> Path:
        if parent is None:
            self.root, self.lines[()] = value, line
            return ()
        if isinstance(parent.value, dict):
            key: str | int = parent.key or ""
            parent.value[str(key)] = value
            line, parent.key = parent.key_line, None
        else:
            key = len(parent.value)
            parent.value.append(value)
        path = (*parent.path, key)
        self.lines[path] = line
        return path


def read(text: str | bytes, max_bytes: int = MAX_BYTES) -> Document:
    """Raises YamlProblem. Costs time and memory in proportion to the text, whatever is in it."""
    builder = _Builder()
    for event in _events(_as_text(text, max_bytes)):
        builder.take(event)
    return Document(builder.root, builder.lines)


def _as_text(text: str | bytes, max_bytes: int) -> str:
    if len(text) > max_bytes:
        raise YamlProblem(f"larger than {max_bytes // 1024} KiB")
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > max_bytes:
            raise YamlProblem(f"larger than {max_bytes // 1024} KiB")
        return raw.decode("utf-8-sig")
    except UnicodeError:
        raise YamlProblem("not valid UTF-8 text") from None


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlProblem(f"not valid YAML: {error.problem or error}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise YamlProblem(f"not valid YAML: {str(error).splitlines()[0]}") from None


def _scalar(event: Any) -> object:
    value: str = event.value
    if event.style:  # quoted, literal or folded: always text
        return value
    if value in _CONSTANTS:
        return _CONSTANTS[value]
    if _INT.fullmatch(value):
        return int(value)
    return float(value) if _FLOAT.fullmatch(value) else value
