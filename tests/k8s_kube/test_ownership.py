"""Whether an object is as we applied it, from what servers write into managedFields."""

from typing import Any

import pytest

from k8s import naming
from k8s.kube.ownership import is_intact, signature
from k8s.naming import FIELD_MANAGER, Manifest

WANTED = naming.stamped(
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n", "labels": {"a/b": "c"}},
        "spec": {
            "selector": {"matchLabels": {"x": "y"}},
            "template": {
                "spec": {
                    "containers": [
                        {"name": "app", "ports": [{"containerPort": 8080, "protocol": "TCP"}], "command": ["a"]}
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }
            },
        },
    }
)
CONTAINER = {
    ".": {},
    "f:name": {},
    "f:command": {},
    "f:ports": {'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}}},
}


def owned() -> dict[str, Any]:
    return {
        "f:metadata": {"f:annotations": {f"f:{naming.HASH}": {}}, "f:labels": {"f:a/b": {}}},
        "f:spec": {
            "f:selector": {},  # owned as a whole, as newer servers have it
            "f:template": {
                "f:spec": {
                    "f:containers": {'k:{"name":"app"}': {**CONTAINER}},
                    "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
                }
            },
        },
    }


def found(fields: dict[str, Any], operation: str = "Apply", manager: str = FIELD_MANAGER) -> Manifest:
    controller = {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:status": {}}}
    ours = {"manager": manager, "operation": operation, "fieldsV1": fields}
    annotations = WANTED["metadata"]["annotations"]
    return {"metadata": {"name": "d", "annotations": annotations, "managedFields": [controller, ours]}}


def test_what_we_set_is_ours() -> None:
    assert is_intact(WANTED, found(owned()))


@pytest.mark.parametrize(
    "gone",
    [
        ("f:metadata", "f:labels", "f:a/b"),
        ("f:spec", "f:selector"),
        ("f:spec", "f:template", "f:spec", "f:volumes", 'k:{"name":"tmp"}'),
        ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"app"}', "f:command"),
        ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"app"}', "f:ports"),
    ],
)
def test_a_field_that_somebody_took_is_missing_from_ours(gone: tuple[str, ...]) -> None:
    fields = owned()
    *way, last = gone
    inner = fields
    for step in way:
        inner[step] = {**inner[step], "f:other": {}}
        inner = inner[step]
    del inner[last]
    assert not is_intact(WANTED, found(fields))
    assert signature(found(fields)) != signature(found(owned()))


@pytest.mark.parametrize(
    "other", [None, found(owned(), operation="Update"), found(owned(), manager="kubectl"), {"metadata": {"name": "d"}}]
)
def test_what_is_not_there_or_not_ours_is_not_intact(other: Manifest | None) -> None:
    assert not is_intact(WANTED, other)


def test_what_was_applied_with_another_content_is_not_intact() -> None:
    other = naming.stamped({**WANTED, "metadata": {**WANTED["metadata"], "annotations": {}}, "spec": {"replicas": 1}})
    assert not is_intact(other, found(owned()))


def test_a_controllers_own_fields_change_nothing() -> None:
    later = found(owned())
    later["metadata"]["managedFields"][0]["fieldsV1"] = {"f:status": {"f:replicas": {}}}
    assert is_intact(WANTED, later)
    assert signature(later) == signature(found(owned()))
