"""Apps whose micros are OCI images: nothing is built of them, and one machine refuses them."""

import pytest
from pytest_django.fixtures import Settings

from apps_catalog.models import App, Placement, Revision
from k8s.specs import MicroKind
from tenants.errors import Refused
from tenants.models import Instance, Operation, User
from tenants.services import instances, publish, updates
from tests.worlds import MemoryCluster, active_person, place, settle, uploaded

pytestmark = pytest.mark.django_db
IMAGE = "registry.example/team/tool@sha256:" + "c" * 64
TOOL = f'  - {{name: tool, src: ., engine: custom, image: "{IMAGE}", size: {{memory_mib: 64}}}}\n'
ALONE = f"v: 1\nmicros:\n{TOOL}"
BESIDE = f"v: 1\nmicros:\n  - {{name: main, src: ., engine: python3.9, primary: true}}\n{TOOL}"


@pytest.fixture
def on_kubernetes(settings: Settings) -> None:
    settings.RUNS_IMAGES = True


def built(cluster: MemoryCluster, spacefile: str) -> tuple[User, App, Revision]:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Tools")
    revision = uploaded(developer, app, spacefile)
    settle()
    place()
    revision.refresh_from_db()
    return developer, app, revision


def test_an_app_of_images_alone_is_ready_without_a_build(cluster: MemoryCluster, on_kubernetes: None) -> None:
    _, _, revision = built(cluster, ALONE)
    assert (revision.state, revision.digest, revision.manifest) == ("ready", "", {"micros": []})
    assert Operation.objects.get(revision=revision).state == "succeeded"
    assert not cluster.jobs


def test_an_image_is_installed_as_its_spacefile_names_it(cluster: MemoryCluster, on_kubernetes: None) -> None:
    developer, app, revision = built(cluster, ALONE)
    publish.publish_release(developer, app, revision_id=revision.pk)
    copy, _ = instances.install_app(developer, app_slug=app.slug)
    settle()
    spec = cluster.specs[copy.pk]
    assert spec.artifact == ""
    (micro,) = spec.micros
    assert (micro.image, micro.command, micro.kind, micro.limits.memory_mib) == (IMAGE, None, MicroKind.PROCESS, 64)
    assert micro.env["DETA_SPACE_APP_MICRO_NAME"] == "tool"
    copy.refresh_from_db()
    assert copy.state == "running"


def test_only_what_is_no_image_is_built(cluster: MemoryCluster, on_kubernetes: None) -> None:
    _, app, revision = built(cluster, BESIDE)
    assert [micro["name"] for micro in revision.manifest["micros"]] == ["main"]
    spec = cluster.specs[Instance.objects.get(app=app).pk]
    assert spec.artifact == revision.digest != ""
    assert {micro.name: micro.image for micro in spec.micros} == {"main": None, "tool": IMAGE}


def test_one_machine_releases_no_image_and_says_which(cluster: MemoryCluster) -> None:
    developer, app, revision = built(cluster, BESIDE)
    with pytest.raises(Refused, match="micro “tool” is an image") as caught:
        publish.publish_release(developer, app, revision_id=revision.pk)
    assert (caught.value.code, caught.value.field) == ("image_not_runnable", "revision")
    assert caught.value.detail == {"micro": "tool", "key": "image"}


def test_one_machine_does_not_run_a_pushed_image_and_tells_its_developer(cluster: MemoryCluster) -> None:
    _, app, revision = built(cluster, ALONE)
    assert revision.placement == Placement.REFUSED
    assert "micro “tool” is an image" in revision.placement_note
    assert not Instance.objects.filter(app=app).exists()


def test_one_machine_installs_no_image_and_updates_to_none(cluster: MemoryCluster, settings: Settings) -> None:
    developer, app, revision = built(cluster, ALONE)
    person = active_person(cluster)
    plain = uploaded(developer, app)
    settle()
    publish.publish_release(developer, app, revision_id=plain.pk)
    copy, _ = instances.install_app(person, app_slug=app.slug)
    settle()
    settings.RUNS_IMAGES = True  # released where it could be run
    publish.publish_release(developer, app, revision_id=revision.pk)
    settings.RUNS_IMAGES = False
    with pytest.raises(Refused, match="micro “tool” is an image") as caught:
        instances.install_app(person, app_slug=app.slug)
    assert caught.value.field == "release"
    copy.refresh_from_db()
    with pytest.raises(Refused, match="micro “tool” is an image") as caught:
        updates.update_instance(person, copy)
    assert caught.value.field == "release"
