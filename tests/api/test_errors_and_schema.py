"""Every error has one shape, and the schema tells the truth."""

import pytest
from django.test import Client

from tenants.api import answers, shapes
from tenants.models import Instance, Operation
from tenants.services.quota import use_of
from tests.api.client import Program, error
from tests.worlds import MemoryCluster, active_person, cloud_of, released, settle

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "expected"),
    [
        ("GET", "nothing/", b"", "application/json", (404, "not_found")),
        ("POST", "instances", b"{}", "application/json", (404, "not_found")),
        ("PUT", "instances/", b"{}", "application/json", (405, "method_not_allowed")),
        ("POST", "instances/", b"{", "application/json", (400, "malformed")),
        ("POST", "instances/", b"\xff\xfe", "application/json", (400, "malformed")),
        ("POST", "instances/", b'{"app": "\\ud800"}', "application/json", (400, "malformed")),
        ("POST", "instances/", b'{"app": NaN}', "application/json", (400, "malformed")),
        ("POST", "instances/", b"[" * 100_000, "application/json", (400, "malformed")),
        ("POST", "instances/", b'"' + b"a" * 3_000_000 + b'"', "application/json", (413, "too_large")),
        ("POST", "instances/", b"app=x", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        ("GET", "instances/%00/", b"", "application/json", (404, "not_found")),
        ("GET", "instances/?page=0", b"", "application/json", (404, "not_found")),
        ("GET", "apps/?sort=best", b"", "application/json", (422, "invalid_sort")),
        ("POST", "instances/?dry_run=perhaps", b'{"app": "x"}', "application/json", (422, "invalid_dry_run")),
    ],
)
def test_mistakes_are_told_in_one_shape(
    cluster: MemoryCluster, method: str, path: str, body: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    answer = Program(active_person(cluster))(method, path, body, content_type=content_type)
    assert error(answer)[:2] == expected


@pytest.mark.parametrize("key", ["", "k" * 201, "schlüssel"])
def test_an_impossible_idempotency_key_is_refused(cluster: MemoryCluster, key: str) -> None:
    answer = Program(active_person(cluster))("POST", "projects/", {"name": "x"}, headers={"Idempotency-Key": key})
    assert error(answer) == (422, "invalid_idempotency_key", "Idempotency-Key")


def test_the_schema_and_its_pages_are_served() -> None:
    http = Client()
    schema = http.get("/api/v1/schema/")
    assert schema.status_code == 200
    assert b"/api/v1/instances/{instance_id}/restart/" in schema.content
    assert http.get("/api/v1/docs/").status_code == 200


def test_documents_have_the_fields_that_the_schema_says(cluster: MemoryCluster) -> None:
    release, user = released(cluster), active_person(cluster)
    Program(user)("POST", "instances/", {"app": release.app.slug})
    settle()
    instance = Instance.objects.select_related("app", "release", "cloud").get()
    operation = Operation.objects.filter(kind="install").get()
    cloud = cloud_of(user)
    pairs = [
        (shapes.instance_document(instance), answers.InstanceShape),
        (shapes.installed_document(instance, operation), answers.InstalledShape),
        (shapes.operation_document(operation), answers.OperationShape),
        (shapes.operation_document(operation)["steps"][0], answers.StepShape),
        (shapes.cloud_document(cloud, use_of(cloud)), answers.CloudShape),
        (shapes.account_document(user, cloud), answers.AccountShape),
        (shapes.app_document(release.app), answers.AppShape),
        (shapes.release_document(release), answers.ReleaseShape),
        (shapes.project_document(release.app), answers.ProjectShape),
        (shapes.revision_document(release.revision), answers.RevisionShape),
    ]
    for document, shape in pairs:
        assert set(document) == set(shape().fields), shape
