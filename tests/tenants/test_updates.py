"""Other versions: what is offered, what needs consent, and what happens when a newer one does not start."""

from typing import Any

import pytest

from apps_catalog.models import App, Release
from k8s.errors import Permanent
from tenants.errors import Conflict, QuotaExceeded, Refused
from tenants.models import Instance, InstanceMicro, Plan, User
from tenants.reconcile import instances as reconciler
from tenants.reconcile import unsettled
from tenants.services import automatic, publish, releases
from tenants.services.instances import install_app, remove_instance
from tenants.services.updates import offered, plan_update, rollback_instance, update_instance
from tests.worlds import SPACEFILE, MemoryCluster, active_person, released, settle, uploaded

pytestmark = pytest.mark.django_db
PUBLIC = SPACEFILE + "    public_routes: [/share/*]\n"
SECOND = SPACEFILE + "  - {name: api, src: ., engine: python3.9}\n"
ACTION = SPACEFILE + "    actions: [{id: tidy, name: Tidy up, trigger: schedule, default_interval: 1 day}]\n"
KEYS = SPACEFILE + "    presets: {api_keys: true}\n"


def another(app: App, spacefile: str = SPACEFILE, **release: Any) -> Release:
    number = app.releases.count()
    revision = uploaded(app.developer, app, spacefile, **{"n.txt": str(number)})
    settle()
    return publish.publish_release(app.developer, app, revision_id=revision.pk, **release)


def installed(cluster: MemoryCluster, spacefile: str = SPACEFILE, **release: Any) -> tuple[User, Instance]:
    first = released(cluster, spacefile, version="1", **release)
    user = active_person(cluster)
    instance, _ = install_app(user, app_slug=first.app.slug)
    settle()
    return user, fresh(instance)


def fresh(instance: Instance) -> Instance:
    rows = Instance.objects.select_related("app__developer", "release", "revision", "cloud__owner")
    return rows.get(pk=instance.pk)


def test_nothing_is_offered_until_something_newer_is_released(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    assert plan_update(instance) is None
    with pytest.raises(Refused) as refusal:
        update_instance(user, instance)
    assert refusal.value.code == "up_to_date"
    newer = another(instance.app, version="2", notes="More herons")
    plan = plan_update(instance)
    assert plan is not None
    assert (plan.release, plan.demands, [release.notes for release in plan.news]) == (newer, (), ["More herons"])


def test_an_update_runs_the_new_revision_at_the_same_address(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    newer = another(instance.app, SECOND, version="2")
    plan = plan_update(instance)
    assert plan is not None
    operation = update_instance(user, instance, consent=plan.keys)
    assert InstanceMicro.objects.get(instance=instance).upstream != ""
    settle()
    operation.refresh_from_db()
    after = fresh(instance)
    assert (after.state, after.release, after.host, operation.state) == ("running", newer, instance.host, "succeeded")
    assert after.memory_mib == 1024
    assert sorted(InstanceMicro.objects.values_list("mount", flat=True)) == ["", "api"]
    assert all(InstanceMicro.objects.values_list("upstream", flat=True))


@pytest.mark.parametrize(
    ("spacefile", "keys"),
    [
        (PUBLIC, ("public_route:/share/*",)),
        (ACTION, ("action:tidy",)),
        (KEYS, ("api_keys:main",)),
        (SECOND, ("memory:1024",)),
    ],
)
def test_what_is_newly_demanded_needs_consent(cluster: MemoryCluster, spacefile: str, keys: tuple[str, ...]) -> None:
    user, instance = installed(cluster)
    another(instance.app, spacefile, version="2")
    with pytest.raises(Refused) as refusal:
        update_instance(user, instance, consent=("public_route:/other",))
    assert (refusal.value.code, refusal.value.field) == ("needs_consent", "consent")
    assert tuple(demand["key"] for demand in refusal.value.detail["needs_consent"]) == keys
    assert fresh(instance).generation == instance.generation
    update_instance(user, instance, consent=keys)
    settle()
    assert fresh(instance).release != instance.release
    assert offered(fresh(instance)) is None


def test_what_was_agreed_to_before_is_not_asked_again(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster, PUBLIC)
    another(instance.app, SPACEFILE + "    public_routes: [/share/one]\n", version="2")
    update_instance(user, instance)


def test_an_update_that_does_not_start_goes_back(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    another(instance.app, SECOND, version="2")
    operation = update_instance(user, instance, consent=("memory:1024",))
    cluster.broken.add("2")
    first = cluster.specs[instance.pk]
    settle()
    operation.refresh_from_db()
    after = fresh(instance)
    assert (operation.state, operation.error) == ("failed", "main: It does not listen on its port.")
    assert (after.state, after.release, after.memory_mib) == ("running", instance.release, 512)
    assert after.update_error == "main: It does not listen on its port."
    assert after.log_tail.startswith("Traceback")
    assert cluster.specs[instance.pk].micros == first.micros
    assert InstanceMicro.objects.get(instance=instance).upstream != ""
    assert offered(after) is not None


def test_an_update_that_the_cluster_refuses_goes_back(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    another(instance.app, version="2")
    cluster.break_before["apply_instance"] = [Permanent("no")]
    update_instance(user, instance)
    settle()
    after = fresh(instance)
    assert (after.state, after.release, after.update_error) == ("running", instance.release, "no")


def test_rolling_back_is_to_what_was_there_before(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster, PUBLIC)
    with pytest.raises(Conflict):
        rollback_instance(user, instance)
    another(instance.app, version="2")
    update_instance(user, instance)
    settle()
    assert InstanceMicro.objects.get(instance=instance).public_routes == []
    operation = rollback_instance(user, fresh(instance))
    settle()
    operation.refresh_from_db()
    assert (fresh(instance).release, operation.kind, operation.state) == (instance.release, "rollback", "succeeded")
    assert InstanceMicro.objects.get(instance=instance).public_routes == ["/share/*"]


def test_an_update_that_does_not_fit_is_refused(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    another(instance.app, SECOND, version="2")
    Plan.objects.update(memory_mib=600)
    with pytest.raises(QuotaExceeded):
        update_instance(user, instance, consent=("memory:1024",))


def test_channels_and_unlisted_releases_are_offered_to_whom_they_concern(cluster: MemoryCluster) -> None:
    _, instance = installed(cluster, listed=True)
    another(instance.app, version="2b", channel="beta", listed=True)
    assert offered(instance) is None
    instance.channel = "beta"
    assert offered(instance) is not None
    instance.channel = "stable"
    another(instance.app, version="3", listed=False)
    assert offered(instance) is None
    third = another(instance.app, version="4", listed=True)
    assert offered(instance) == third


def test_a_withdrawn_release_is_offered_to_nobody_and_kept_by_its_owners(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    newer = another(instance.app, version="2")
    developer = instance.app.developer
    releases.change_release(developer, newer, yanked=True, yank_reason="It eats herons")
    assert offered(instance) is None
    with pytest.raises(Refused) as refusal:
        update_instance(user, instance, release_id=newer.pk)
    assert refusal.value.code == "release_yanked"
    with pytest.raises(Refused):
        install_app(user, app_slug=instance.app.slug, release_id=newer.pk)
    assert instance.release is not None
    releases.change_release(developer, instance.release, yanked=True)
    assert fresh(instance).state == "running"
    releases.change_release(developer, newer, yanked=False)
    assert offered(fresh(instance)) == newer


def test_automatic_updates_follow_but_agree_to_nothing(cluster: MemoryCluster) -> None:
    _, instance = installed(cluster)
    Instance.objects.filter(pk=instance.pk).update(auto_update=True)
    assert unsettled.apps_to_spread() == automatic.waiting(instance.app_id) == []
    newer = another(instance.app, version="2")
    assert unsettled.apps_to_spread() == [instance.app_id]
    assert automatic.waiting(instance.app_id) == [instance.pk]
    automatic.update(instance.pk)
    automatic.update(instance.pk)
    settle()
    assert fresh(instance).release == newer
    another(instance.app, PUBLIC, version="3")
    automatic.update(instance.pk)
    settle()
    assert fresh(instance).release == newer
    assert unsettled.apps_to_spread() == []


def test_without_the_owners_wish_nothing_is_updated(cluster: MemoryCluster) -> None:
    _, instance = installed(cluster)
    another(instance.app, version="2")
    automatic.update(instance.pk)
    assert fresh(instance).release == instance.release
    assert unsettled.apps_to_spread() == []


def test_what_is_removed_while_it_updates_is_removed_and_not_gone_back_to(cluster: MemoryCluster) -> None:
    user, instance = installed(cluster)
    another(instance.app, version="2")
    update_instance(user, instance)
    cluster.break_before["delete_instance"] = [Permanent("not now")]
    remove_instance(user, fresh(instance))
    reconciler.reconcile(instance.pk)
    assert fresh(instance).wanted == "removed"
    assert fresh(instance).release != instance.release
    Instance.objects.filter(pk=instance.pk).update(retry_at=None)
    remove_instance(user, fresh(instance))
    settle()
    assert fresh(instance).state == "removed"
