"""Whether an object is still as we applied it, by what the apiserver notes about who set which field.

Whoever changes or removes a field of ours takes it out of our entry in `metadata.managedFields`; a status that moves on, or
values that the server writes in another way than we did, do not. So metadata is enough, also of Secrets.
"""

import json
from typing import Any

from k8s import naming
from k8s.naming import FIELD_MANAGER, Manifest

_NOT_OWNED = ("apiVersion", "kind")  # they and the name say which object it is
_IDENTITY = ("name", "namespace")


def is_intact(wanted: Manifest, found: Manifest | None) -> bool:
    """Applied as it is wanted, and nothing of it altered since. wanted: stamped with its hash."""
    if found is None:
        return False
    annotations = found["metadata"].get("annotations", {})
    sent = wanted["metadata"].get("annotations", {}).get(naming.HASH)
    if sent is None or annotations.get(naming.HASH) != sent:
        return False
    body = {key: value for key, value in wanted.items() if key not in _NOT_OWNED}
    body["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in _IDENTITY}
    return _covers(_ours(found), body)


def signature(found: Manifest) -> str:
    """Changes when a field of ours is altered by somebody, or applied anew by us."""
    return naming.digest(_ours(found))


def _ours(found: Manifest) -> dict[str, Any]:
    for entry in found["metadata"].get("managedFields", []):
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            fields: dict[str, Any] = entry.get("fieldsV1", {})
            return fields
    return {}


def _covers(fields: dict[str, Any], value: Any) -> bool:
    """fields: `{"f:name": …, "k:{key}": …, "v:value": …}`, and `{}` below what is owned as a whole."""
    if isinstance(value, dict):
        return all(
            f"f:{key}" in fields and (not fields[f"f:{key}"] or _covers(fields[f"f:{key}"], inner))
            for key, inner in value.items()
        )
    if isinstance(value, list):
        return all(_has_element(fields, element) for element in value)
    return True


def _has_element(fields: dict[str, Any], element: Any) -> bool:
    for name, inner in fields.items():
        kind, _, encoded = name.partition(":")
        if kind == "v" and json.loads(encoded) == element:
            return True
        if kind == "k" and json.loads(encoded).items() <= element.items():
            return _covers(inner, element)
    return False
