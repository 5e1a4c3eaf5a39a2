"""Projects, revisions, releases: from a zip to the catalog."""

import contextlib

import pytest

from apps_catalog.models import Revision
from apps_catalog.services import listed_apps
from k8s.errors import Permanent, Temporary
from k8s.specs import JobPhase
from tenants.errors import Conflict, Refused
from tenants.models import Operation
from tenants.reconcile import builds
from tenants.services import publish
from tests.worlds import SPACEFILE, MemoryCluster, active_person, new_person, picture, settle, uploaded, zipped

pytestmark = pytest.mark.django_db
DISCOVERY = "---\napp_name: Herons\ntitle: Herons all over\ntagline: Counts herons\n---\nCounts **herons**.\n"


def test_a_bundle_becomes_a_revision_that_is_ready(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    revision = uploaded(developer, app)
    assert revision.state == "queued"
    settle()
    revision.refresh_from_db()
    assert (revision.state, revision.digest, revision.size_bytes) == ("ready", "sha256:" + "a" * 64, 1234)
    assert revision.manifest == {
        "micros": [
            {
                "name": "main",
                "kind": "process",
                "engine": "python3.9",
                "root": "main/app",
                "command": "run",
                "serve": None,
                "python_path": [],
                "notes": [],
            }
        ]
    }
    operation = Operation.objects.get(revision=revision)
    assert [(step.name, step.state) for step in operation.steps.all()] == [
        ("check", "succeeded"),
        ("build", "succeeded"),
        ("store", "succeeded"),
    ]


def test_a_failed_build_says_why_with_its_last_lines(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    cluster.job_phase = JobPhase.FAILED
    revision = uploaded(developer, app)
    settle()
    revision.refresh_from_db()
    assert (revision.state, revision.state_reason) == ("failed", "It does not compile.")
    assert revision.log_tail.endswith("line 49")
    with pytest.raises(Refused) as refusal:
        publish.publish_release(developer, app, revision_id=revision.pk)
    assert refusal.value.field == "revision"
    cluster.job_phase = JobPhase.SUCCEEDED
    again, _ = publish.retry_revision(developer, app, revision)
    settle()
    again.refresh_from_db()
    assert again.state == "ready"
    with pytest.raises(Conflict):
        publish.retry_revision(developer, app, again)


def test_the_same_content_is_built_once(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    uploaded(developer, app)
    settle()
    second = uploaded(developer, app)
    assert second.state == "ready"
    assert Operation.objects.get(revision=second).state == "succeeded"
    assert cluster.calls.count("run_build") == 1


def test_a_cloud_builds_so_many_at_a_time(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    cluster.job_phase = JobPhase.RUNNING
    for number in range(4):
        uploaded(developer, app, **{"n.txt": str(number)})
    settle()
    assert sorted(Revision.objects.values_list("state", flat=True)) == ["building", "building", "queued", "queued"]
    cluster.job_phase = JobPhase.SUCCEEDED
    settle()
    assert set(Revision.objects.values_list("state", flat=True)) == {"ready"}


@pytest.mark.parametrize("moment", ["break_before", "break_after"])
@pytest.mark.parametrize("error", [Temporary("busy"), KeyboardInterrupt()])
def test_a_build_survives_what_happens_around_its_start(
    cluster: MemoryCluster, moment: str, error: BaseException
) -> None:
    developer = active_person(cluster)
    revision = uploaded(developer, publish.create_project(developer, "Herons"))
    getattr(cluster, moment)["run_build"] = [error]
    with contextlib.suppress(KeyboardInterrupt):
        builds.reconcile(revision.pk)
    Operation.objects.filter(revision=revision).update(not_before=None)
    settle()
    revision.refresh_from_db()
    assert revision.state == "ready"
    assert len(cluster.jobs) == 1


def test_a_refused_build_fails(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    revision = uploaded(developer, publish.create_project(developer, "Herons"))
    cluster.break_before["run_build"] = [Permanent("no room for builds")]
    settle()
    revision.refresh_from_db()
    assert (revision.state, revision.state_reason) == ("failed", "no room for builds")


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ({"main.py": "x"}, "bundle"),
        ({"Spacefile": "v: 0\nmicros: []\n"}, "Spacefile"),
        ({"Spacefile": SPACEFILE + "surprise: 1\n"}, "Spacefile"),
        ({"Spacefile": SPACEFILE, "../evil": "x"}, "bundle"),
        ({"Spacefile": SPACEFILE, "Discovery.md": "---\ntagline: [1]\n---\n"}, "Discovery.md"),
    ],
)
def test_a_broken_bundle_names_what_is_wrong_and_leaves_nothing(
    cluster: MemoryCluster, files: dict[str, str], field: str
) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    with pytest.raises(Refused) as refusal:
        publish.upload_revision(developer, app, zipped(files))
    assert refusal.value.field == field
    assert not Revision.objects.exists()


def test_a_listed_release_shows_in_the_catalog_as_its_discovery_says(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Project Nine")
    icon = "icon: icon.png\n"
    revision = uploaded(
        developer, app, SPACEFILE + icon, **{"Discovery.md": DISCOVERY, "icon.png": picture("PNG", 512, 512)}
    )
    settle()
    release = publish.publish_release(developer, app, revision_id=revision.pk, listed=True)
    app.refresh_from_db()
    assert release.version.startswith("exp-")
    assert (app.name, app.tagline, app.listed) == ("Herons", "Counts herons", True)
    assert "<strong>herons</strong>" in app.description_html
    assert publish.store().has(app.icon)
    for words in ("heron", "COUNTS her", "project"):
        found = list(listed_apps(words))
        assert found == ([] if words == "project" and not app.slug.startswith("project") else [app])
    assert list(listed_apps("(((")) == []
    assert list(listed_apps("", "recent")) == list(listed_apps("", "hot")) == [app]


def test_a_listed_release_with_half_a_page_is_refused(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons")
    revision = uploaded(developer, app)
    settle()
    half = "---\napp_name: Herons\n---\nCounts them.\n"
    with pytest.raises(Refused) as refusal:
        publish.publish_release(developer, app, revision_id=revision.pk, listed=True, discovery_text=half)
    assert refusal.value.field == "tagline"
    publish.publish_release(developer, app, revision_id=revision.pk, listed=True, discovery_text=DISCOVERY)


def test_a_release_without_any_page_is_listed_under_the_projects_name(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Herons of the north")
    revision = uploaded(developer, app)
    settle()
    publish.publish_release(developer, app, revision_id=revision.pk, listed=True)
    app.refresh_from_db()
    assert (app.name, app.tagline, app.listed) == ("Herons of the north", "", True)


def test_versions_are_taken_once_and_slugs_are_not_to_be_guessed(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app, other = (publish.create_project(developer, "Grüße & Co.") for _ in range(2))
    assert app.slug != other.slug
    assert app.slug.startswith("gru")
    assert len(app.slug.rsplit("-", 1)[1]) >= 8
    revision = uploaded(developer, app)
    settle()
    publish.publish_release(developer, app, revision_id=revision.pk, version="1.0")
    with pytest.raises(Refused) as refusal:
        publish.publish_release(developer, app, revision_id=revision.pk, version="1.0")
    assert refusal.value.field == "version"
    with pytest.raises(Refused) as foreign:
        publish.publish_release(developer, other, revision_id=revision.pk)
    assert foreign.value.field == "revision"


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 61])
def test_a_project_needs_a_name(name: str) -> None:
    with pytest.raises(Refused) as refusal:
        publish.create_project(new_person(), name)
    assert refusal.value.field == "name"
