"""People with clouds, an app that is released, and copies of it: rows as services would have left them."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.test import Client
from django.utils import timezone

from apps_catalog.models import App, Release, Revision
from tenants.addresses import new_host
from tenants.models import Cell, Cloud, Instance, InstanceMicro, Operation, OperationStep, Plan, User
from tenants.services.installation import prepare

PASSWORD = "Corr3ct-horse"
SPACEFILE = {"v": 0, "micros": [{"name": "main", "src": "./", "engine": "python3.11", "primary": True}]}
MANIFEST = {"micros": [{"name": "main", "kind": "process", "engine": "python3.11", "root": "main/app", "command": "x"}]}


@dataclass(frozen=True)
class Person:
    user: User
    cloud: Cloud
    browser: Client


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.services.figures.REMEMBER_S", -1.0)


@pytest.fixture(autouse=True)
def plain_settings(settings: object) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]  # type: ignore[attr-defined]
    settings.SIGNUP = "open"  # type: ignore[attr-defined]
    settings.CELERY_TASK_ALWAYS_EAGER = False  # type: ignore[attr-defined]


@pytest.fixture
def person(db: None) -> Callable[..., Person]:
    def make(handle: str, *, operator: bool = False) -> Person:
        prepare()
        user = User.objects.create_user(
            f"{handle}@example.org", handle, PASSWORD, is_staff=operator, is_superuser=operator
        )
        cloud = Cloud.objects.create(
            owner=user,
            cell=Cell.objects.get(),
            plan=Plan.objects.get(),
            namespace=f"fh-{handle}",
            state="active",
            observed_generation=1,
        )
        browser = Client()
        browser.force_login(user)
        return Person(user, cloud, browser)

    return make


@pytest.fixture
def ada(person: Callable[..., Person]) -> Person:
    return person("ada")


@pytest.fixture
def stranger(person: Callable[..., Person]) -> Person:
    return person("stranger")


@pytest.fixture
def operator(person: Callable[..., Person]) -> Person:
    return person("keeper", operator=True)


def release_app(developer: User, slug: str, **columns: object) -> Release:
    values: dict[str, object] = {"name": slug, "title": slug.title(), "tagline": "Does one thing", "listed": True}
    app = App.objects.create(slug=slug, developer=developer, released_at=timezone.now(), **{**values, **columns})
    revision = Revision.objects.create(
        app=app,
        tag="heron-abcd",
        state="ready",
        source=f"sha256:{'a' * 64}",
        source_bytes=1000,
        spacefile=SPACEFILE,
        manifest=MANIFEST,
        digest=f"sha256:{'b' * 64}",
        size_bytes=2000,
    )
    return Release.objects.create(app=app, revision=revision, version="1.0.0", listed=True)


def install(person: Person, release: Release, alias: str, state: str = "running", **columns: object) -> Instance:
    instance = Instance.objects.create(
        cloud=person.cloud,
        app=release.app,
        revision=release.revision,
        release=release,
        alias=alias,
        host=new_host("copy", person.cloud.cell),
        cpu_millis=200,
        memory_mib=512,
        storage_mib=500,
        state=state,
        **columns,
    )
    InstanceMicro.objects.create(instance=instance, name="main", kind="process", engine="python3.11", phase="ready")
    operation_of(person, instance, "running" if state == "installing" else "succeeded")
    return instance


def operation_of(person: Person, instance: Instance | None, state: str, kind: str = "install") -> Operation:
    now = timezone.now()
    operation = Operation.objects.create(
        kind=kind, cloud=person.cloud, instance=instance, actor=person.user, state=state, started_at=now
    )
    for position, title in enumerate(("Reserve room", "Start it")):
        OperationStep.objects.create(
            operation=operation, position=position, name=f"s{position}", title=title, state=state, started_at=now
        )
    return operation


@pytest.fixture
def notes(person: Callable[..., Person]) -> Release:
    return release_app(person("workshop").user, "notes")
