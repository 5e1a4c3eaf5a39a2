"""A developer's own copy follows what is pushed."""

import pytest

from apps_catalog.models import App, Revision
from k8s.specs import MicroPhase
from tenants import tasks
from tenants.errors import Conflict
from tenants.models import Instance, Operation, Plan, User
from tenants.reconcile import unsettled
from tenants.services import builder, projects, publish
from tenants.services.instances import change_instance, install_app, remove_instance
from tests.worlds import SPACEFILE, MemoryCluster, active_person, place, settle, uploaded

pytestmark = pytest.mark.django_db
WITH_SETTING = SPACEFILE + "    presets: {env: [{name: COLOUR, default: red}]}\n"


def pushed(developer: User, app: App, spacefile: str = SPACEFILE, **files: str | bytes) -> Revision:
    revision = uploaded(developer, app, spacefile, **files)
    settle()
    place()
    revision.refresh_from_db()
    return revision


def copy_of(app: App) -> Instance:
    return Instance.objects.select_related("revision", "cloud", "app").get(app=app, is_builder=True)


def project(cluster: MemoryCluster) -> tuple[User, App]:
    developer = active_person(cluster, "dev")
    return developer, publish.create_project(developer, "Herons")


def test_the_first_push_installs_the_developers_own_copy(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    revision = pushed(developer, app)
    copy = copy_of(app)
    assert (copy.state, copy.revision, copy.release, copy.alias) == ("running", revision, None, "herons-dev")
    assert cluster.specs[copy.pk].micros[0].env["DETA_SPACE_APP_VERSION"] == revision.tag
    assert (revision.placement, Operation.objects.get(pk=revision.placed_by).state) == ("done", "succeeded")
    app.refresh_from_db()
    assert app.installs == 0


def test_the_next_push_updates_the_same_copy_with_its_settings(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    pushed(developer, app, WITH_SETTING)
    change_instance(developer, copy_of(app), config={"COLOUR": "blue"})
    settle()
    second = pushed(developer, app, WITH_SETTING, **{"more.txt": "x"})
    copy = copy_of(app)
    assert (copy.state, copy.revision) == ("running", second)
    assert cluster.specs[copy.pk].micros[0].env["COLOUR"] == "blue"
    assert Instance.objects.count() == 1


def test_what_is_pushed_again_unchanged_is_neither_built_nor_started_again(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    first = pushed(developer, app)
    second = pushed(developer, app)
    assert (second.placement, second.placed_by, copy_of(app).revision) == ("done", "", first)
    assert (cluster.calls.count("run_build"), cluster.calls.count("apply_instance")) == (1, 1)


def test_placing_twice_or_after_a_crash_makes_one_copy(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    revision = uploaded(developer, app)
    settle()
    for _ in range(3):
        builder.place_revision(revision.pk)
    assert Instance.objects.filter(app=app).count() == 1
    assert unsettled.placements() == []


def test_while_the_copy_is_on_its_way_a_newer_revision_waits_and_then_overtakes(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    cluster.phase = MicroPhase.STARTING
    pushed(developer, app)
    second = pushed(developer, app, **{"n.txt": "2"})
    third = pushed(developer, app, **{"n.txt": "3"})
    second.refresh_from_db()
    assert (second.placement, third.placement) == ("overtaken", "due")
    cluster.phase = MicroPhase.READY
    settle()
    place()
    assert copy_of(app).revision == third


def test_a_copy_that_does_not_fit_is_refused_with_a_reason(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    Plan.objects.update(memory_mib=100)
    revision = pushed(developer, app)
    assert revision.placement == "refused"
    assert "not enough memory" in revision.placement_note
    assert not Instance.objects.exists()


def test_a_push_that_does_not_start_leaves_the_one_before_running(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    first = pushed(developer, app)
    second = uploaded(developer, app, **{"main.py": "raise SystemExit\n"})
    cluster.broken.add(second.tag)
    settle()
    place()
    second.refresh_from_db()
    assert Operation.objects.get(pk=second.placed_by).state == "failed"
    copy = copy_of(app)
    assert (copy.state, copy.revision, copy.update_error) == ("running", first, "It does not listen on its port.")


def test_a_removed_copy_comes_again_with_the_next_push(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    pushed(developer, app)
    remove_instance(developer, copy_of(app))
    settle()
    assert builder.builder_instance_of(app) is None
    pushed(developer, app, **{"n.txt": "2"})
    assert builder.builder_instance_of(app) is not None


def test_the_sweep_finds_what_is_to_be_placed(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    developer, app = project(cluster)
    revision = uploaded(developer, app)
    settle()
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(tasks, "_follow", lambda name, row_id: sent.append((name, row_id)))
    tasks.sweep()
    assert sent == [("place_revision", revision.pk)]


def test_a_project_is_deleted_with_its_copy_unless_somebody_uses_it(cluster: MemoryCluster) -> None:
    developer, app = project(cluster)
    revision = pushed(developer, app)
    publish.publish_release(developer, app, revision_id=revision.pk)
    user = active_person(cluster)
    theirs, _ = install_app(user, app_slug=app.slug)
    settle()
    with pytest.raises(Conflict):
        projects.delete_project(developer, app)
    remove_instance(user, theirs)
    settle()
    projects.delete_project(developer, app)
    settle()
    assert copy_of(app).state == "removed"
    app.refresh_from_db()
    assert app.deleted_at is not None
