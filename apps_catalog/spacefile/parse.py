"""Spacefile text → Spacefile, or every problem it has."""

import json
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from apps_catalog.spacefile.document import Document, Path, YamlProblem, read
from apps_catalog.spacefile.leniency import settle
from apps_catalog.spacefile.model import Spacefile
from apps_catalog.spacefile.problems import Problem, SpacefileErrors
from apps_catalog.spacefile.rules import RULES, draft

_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text; put it in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping of keys to values",
    "dataclass_type": "must be a mapping of keys to values",
}


def parse(text: str | bytes, *, files: Collection[str] | None = None) -> Spacefile:
    """Read a Spacefile. `files`: names in the upload (posix, relative), None if not at hand.

    Raises SpacefileErrors, which carries all problems at once.
    """
    try:
        document = read(text)
    except YamlProblem as error:
        raise SpacefileErrors([error.problem]) from None
    root = document.data
    if not isinstance(root, dict):
        raise SpacefileErrors([Problem("must be a mapping that begins with v: 0 or v: 1", line=1)])
    warnings = settle(root)
    found = [(path, message) for rule in RULES for path, message in rule(draft(root, files))]
    spacefile, faults = _validate(root)
    # One problem per place is enough; a value that is wrong by itself is told before what it means with others.
    problems = {path: _problem(path, message, document, root) for path, message in [*found, *faults]}
    if spacefile is None or problems:
        raise SpacefileErrors(list(problems.values()))
    return spacefile.model_copy(update={"warnings": tuple(warnings)})


def _validate(root: dict[str, Any]) -> tuple[Spacefile | None, list[tuple[Path, str]]]:
    if "warnings" in root:  # a field of the model, not a key of the file
        return None, [(("warnings",), "unknown key")]
    try:
        return Spacefile.model_validate_json(json.dumps(root)), []
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if not _is_echo(detail)]
        return None, [(_path(detail, root), _sentence(detail)) for detail in details]


def _is_echo(detail: ErrorDetails) -> bool:
    """A list whose every entry is wrong is also reported as too short."""
    return detail["type"] == "too_short" and bool(detail["input"])


def _path(detail: ErrorDetails, root: object) -> Path:
    """pydantic's location without the names of union members that it mixes in."""
    path: list[str | int] = []
    here: object = root
    for step in detail["loc"]:
        if isinstance(here, dict) and isinstance(step, str):
            path.append(step)
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int):
            path.append(step)
            here = here[step] if step < len(here) else None
    return tuple(path)


def _sentence(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return f"has characters that are not allowed (must match {context['pattern']})"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind in ("string_too_long", "string_too_short"):
        limit = context.get("max_length", context.get("min_length"))
        return f"must have at {'most' if 'max_length' in context else 'least'} {limit} characters"
    if kind in ("too_long", "too_short"):
        limit = context.get("max_length", context.get("min_length"))
        return f"must have at {'most' if 'max_length' in context else 'least'} {limit} entries"
    return _SENTENCES.get(kind, detail["msg"][0].lower() + detail["msg"][1:])


def _problem(path: Path, message: str, document: Document, root: dict[str, Any]) -> Problem:
    micro, keys = None, list(path)
    if len(path) > 1 and path[0] == "micros" and isinstance(path[1], int):
        micro, keys = _micro_name(root["micros"], path[1]), list(path[2:])
    return Problem(message, ".".join(str(step) for step in keys) or "micros", micro, document.line(path))


def _micro_name(micros: list[Any], index: int) -> str:
    name = micros[index].get("name") if isinstance(micros[index], dict) else None
    return name[:63] if isinstance(name, str) and name else f"at index {index}"
