"""Closing an account: dark at once, erased on its date, kept until then if its owner wants."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps_catalog.models import App, Revision
from k8s.errors import Permanent, Temporary
from provider.gate import feed as gate_feed
from tenants.errors import Conflict, Refused
from tenants.models import (
    ApiToken,
    AppSignIn,
    Cloud,
    Event,
    Instance,
    Operation,
    OperationKind,
    RevokedSession,
    User,
)
from tenants.reconcile import closing, clouds, instances
from tenants.services import accounts, publish, sessions
from tenants.services.closing import close_account, reopen_account
from tenants.services.instances import install_app
from tenants.services.retry import retry_operation
from tenants.services.support import suspend_cloud
from tenants.services.tokens import issue_token
from tenants.states import CloudState, InstanceState, RevisionState, WorkState
from tests.worlds import PASSWORD, MemoryCluster, active_person, cloud_of, new_person, released, settle, uploaded

pytestmark = pytest.mark.django_db
VOLUME = "v: 1\nmicros:\n  - {name: main, src: ., engine: python3.11, run: x}\nvolume: /data\n"


@pytest.fixture
def owner(cluster: MemoryCluster) -> User:
    """With an app that runs and has data, a token, and a session that was in the app."""
    release = released(cluster, VOLUME)
    person = active_person(cluster)
    install_app(person, app_slug=release.app.slug)
    settle()
    issue_token(person, "mine", ["*"])
    sessions.entered_app(person, sessions.sid_of("console"))
    return person


def the_date_comes(person: User) -> None:
    Cloud.objects.filter(owner=person).update(erase_at=timezone.now() - timedelta(seconds=1))
    due_now()


def due_now() -> None:
    Operation.objects.filter(kind=OperationKind.CLOSE_CLOUD).update(not_before=None)


def look_again(person: User) -> None:
    due_now()
    clouds.reconcile(cloud_of(person).pk)


def erased(person: User) -> None:
    the_date_comes(person)
    settle()


def steps_of(operation: Operation) -> dict[str, str]:
    return dict(operation.steps.values_list("name", "state"))


def test_closing_stops_everything_and_names_the_date(cluster: MemoryCluster, owner: User) -> None:
    operation = close_account(owner)
    settle()
    cloud = cloud_of(owner)
    assert cloud.state == CloudState.CLOSING
    assert cloud.erase_at is not None
    assert timedelta(days=29) < cloud.erase_at - timezone.now() < timedelta(days=31)
    instance = cloud.instances.get()
    assert instance.state == InstanceState.STOPPED
    assert cluster.specs[instance.pk].replicas == 0
    assert instance.pk in cluster.volumes
    assert steps_of(operation) == {
        "dark": "succeeded",
        "stop": "succeeded",
        "wait": "running",
        "erase": "queued",
        "account": "queued",
    }
    assert f"{cloud.erase_at:%B %Y}" in operation.steps.get(name="wait").detail


def test_closing_ends_every_session_and_token_at_once(owner: User) -> None:
    before = owner.get_session_auth_hash()
    close_account(owner)
    owner.refresh_from_db()
    assert owner.get_session_auth_hash() != before
    assert not ApiToken.objects.filter(user=owner).exists()
    assert RevokedSession.objects.filter(sid=sessions.sid_of("console")).exists()


def test_the_gate_knows_no_address_of_a_closing_cloud(owner: User) -> None:
    instance = cloud_of(owner).instances.get()
    raw = connection.connection
    assert instance.pk in gate_feed.load_placements(raw, "local", None)
    close_account(owner)
    assert instance.pk not in gate_feed.load_placements(raw, "local", None)
    assert instance.pk not in gate_feed.load_placements(raw, "local", [instance.pk])


def test_the_gate_places_its_own_cells_instances_only(owner: User) -> None:
    assert gate_feed.load_placements(connection.connection, "another", None) == {}


def test_nothing_is_erased_before_the_date(cluster: MemoryCluster, owner: User) -> None:
    close_account(owner)
    settle()
    due_now()
    settle()
    assert cluster.cloud_exists(cloud_of(owner).pk)
    assert "delete_cloud" not in cluster.calls


def test_on_the_date_everything_is_erased_and_a_receipt_is_sent(
    cluster: MemoryCluster, owner: User, mailoutbox: list[object], settings: Settings
) -> None:
    address, handle = owner.email, owner.handle
    operation = close_account(owner)
    settle()
    erased(owner)
    cloud = cloud_of(owner)
    assert cloud.state == CloudState.CLOSED
    assert (cluster.clouds.get(cloud.pk), cluster.volumes) == (None, set())
    assert cloud.instances.get().state == InstanceState.REMOVED
    assert set(steps_of(operation).values()) == {"succeeded"}
    gone = User.objects.get(pk=owner.pk)
    assert not gone.is_active
    assert address not in gone.email and handle not in gone.handle
    assert not EmailAddress.objects.filter(user=gone).exists()
    assert not AppSignIn.objects.filter(user=gone).exists()
    notice, receipt = mailoutbox
    assert notice.to == receipt.to == [address]  # type: ignore[attr-defined]
    assert "/settings/close/" in notice.body  # type: ignore[attr-defined]
    assert cloud.namespace in receipt.body  # type: ignore[attr-defined]


def test_the_address_may_sign_up_again_and_the_handle_is_nobodys(cluster: MemoryCluster, owner: User) -> None:
    address, handle = owner.email, owner.handle
    close_account(owner)
    with pytest.raises(Refused):
        accounts.register(address, "somebody", PASSWORD)
    erased(owner)
    with pytest.raises(Refused) as refusal:
        accounts.register("new@example.org", handle, PASSWORD)
    assert refusal.value.field == "handle"
    assert accounts.register(address, "somebody", PASSWORD).email == address


def test_it_can_be_kept_until_the_date(cluster: MemoryCluster, owner: User) -> None:
    operation = close_account(owner)
    settle()
    reopen_account(owner)
    settle()
    cloud = cloud_of(owner)
    assert (cloud.state, cloud.erase_at) == (CloudState.ACTIVE, None)
    assert cloud.instances.get().state == InstanceState.RUNNING
    operation.refresh_from_db()
    assert operation.state == WorkState.CANCELLED
    assert cloud.operations.exclude(state__in=(WorkState.SUCCEEDED, WorkState.CANCELLED)).count() == 0
    Operation.objects.update(not_before=None)
    settle()
    assert cluster.cloud_exists(cloud.pk)


def test_kept_before_anything_had_stopped_it_runs_on(cluster: MemoryCluster, owner: User) -> None:
    close_account(owner)
    reopen_account(owner)
    settle()
    instance = cloud_of(owner).instances.get()
    assert (instance.state, cluster.specs[instance.pk].replicas) == (InstanceState.RUNNING, 1)


def test_a_suspended_cloud_is_not_freed_by_closing_and_keeping_it(cluster: MemoryCluster, owner: User) -> None:
    suspend_cloud(active_person(cluster), cloud_of(owner), "Spam")
    settle()
    close_account(owner)
    reopen_account(owner)
    cloud = cloud_of(owner)
    assert (cloud.state, cloud.state_reason) == (CloudState.SUSPENDED, "Spam")


def test_it_cannot_be_kept_once_the_date_has_come(cluster: MemoryCluster, owner: User) -> None:
    close_account(owner)
    the_date_comes(owner)
    with pytest.raises(Conflict) as refusal:
        reopen_account(owner)
    assert refusal.value.code == "erasure_begun"
    settle()
    with pytest.raises(Conflict):
        reopen_account(owner)


def test_closing_twice_is_one(owner: User) -> None:
    assert close_account(owner) == close_account(owner)
    assert Operation.objects.filter(kind=OperationKind.CLOSE_CLOUD).count() == 1


def test_without_days_of_grace_it_is_erased_at_once(cluster: MemoryCluster, owner: User, settings: Settings) -> None:
    settings.ERASE_AFTER_DAYS = 0
    close_account(owner)
    settle()
    assert cloud_of(owner).state == CloudState.CLOSED
    assert cluster.clouds.keys() == {cloud.pk for cloud in Cloud.objects.exclude(owner=owner)}


def test_an_operator_cannot_close_their_own_account(owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    with pytest.raises(Conflict):
        close_account(User.objects.get(pk=owner.pk))


def test_a_closing_cloud_takes_nothing_new(cluster: MemoryCluster, owner: User) -> None:
    slug = App.objects.get().slug
    close_account(owner)
    with pytest.raises(Conflict):
        install_app(owner, app_slug=slug)


@pytest.mark.parametrize("error", [Temporary("away"), Permanent("forbidden"), RuntimeError("killed")])
@pytest.mark.parametrize("when", ["break_before", "break_after"])
def test_an_erasure_that_is_broken_off_is_taken_up_again(
    cluster: MemoryCluster, owner: User, error: Exception, when: str
) -> None:
    close_account(owner)
    settle()
    getattr(cluster, when)["delete_cloud"] = [error]
    the_date_comes(owner)
    with contextlib.suppress(RuntimeError):
        clouds.reconcile(cloud_of(owner).pk)
    assert cloud_of(owner).state == CloudState.CLOSING
    due_now()
    settle()
    assert cloud_of(owner).state == CloudState.CLOSED


def test_a_namespace_that_stays_is_waited_for_and_shown(cluster: MemoryCluster, owner: User) -> None:
    operation = close_account(owner)
    settle()
    cluster.lingers = True
    erased(owner)
    step = operation.steps.get(name="erase")
    assert (step.state, step.detail) == (WorkState.RUNNING, "The cluster is removing it.")
    assert cloud_of(owner).state_reason == ""
    operation.steps.filter(name="erase").update(started_at=timezone.now() - timedelta(hours=1))
    look_again(owner)
    assert cloud_of(owner).namespace in operation.steps.get(name="erase").detail
    assert cloud_of(owner).state == CloudState.CLOSING
    cluster.lingers = False
    due_now()
    settle()
    assert cloud_of(owner).state == CloudState.CLOSED


def test_operators_read_once_what_holds_a_namespace_and_it_goes_on_when_that_is_gone(
    cluster: MemoryCluster, owner: User
) -> None:
    operation = close_account(owner)
    settle()
    cluster.lingers = True
    erased(owner)
    operation.steps.filter(name="erase").update(started_at=timezone.now() - timedelta(hours=1))
    cluster.held_by = "Secret “held” waits for example.org/keep"
    look_again(owner)
    look_again(owner)
    cluster.held_by = "Pod “web” waits for example.org/drain"
    look_again(owner)
    assert operation.steps.get(name="erase").detail == cloud_of(owner).state_reason
    assert cloud_of(owner).state_reason.endswith(f"{cloud_of(owner).namespace}: {cluster.held_by}.")
    stuck = Event.objects.filter(subject=cloud_of(owner).pk, after="stuck").order_by("pk")
    assert [event.reason.partition(": ")[2] for event in stuck] == [
        "Secret “held” waits for example.org/keep.",
        "Pod “web” waits for example.org/drain.",
    ]
    cluster.lingers = False
    due_now()
    settle()
    assert (cloud_of(owner).state, cloud_of(owner).state_reason) == (CloudState.CLOSED, "")
    assert Event.objects.filter(subject=cloud_of(owner).pk, before="stuck", after="gone").count() == 1


def test_an_instance_that_cannot_be_stopped_does_not_keep_data_beyond_the_date(
    cluster: MemoryCluster, owner: User
) -> None:
    cluster.break_before["apply_instance"] = [Temporary("away")] * 50
    close_account(owner)
    settle()
    assert cloud_of(owner).instances.get().state == InstanceState.RUNNING
    erased(owner)
    assert cloud_of(owner).state == CloudState.CLOSED


def test_a_late_worker_cannot_bring_a_closed_cloud_back(cluster: MemoryCluster, owner: User) -> None:
    from tenants.reconcile.specs import cloud_spec

    spec = cloud_spec(cloud_of(owner))
    close_account(owner)
    erased(owner)
    cluster.ensure_cloud(spec)
    closing.look_after()
    assert not cluster.cloud_exists(spec.cloud_id)


def test_a_stale_look_at_an_instance_does_not_make_its_namespace_again(cluster: MemoryCluster, owner: User) -> None:
    instance = cloud_of(owner).instances.get()
    close_account(owner)
    cluster.delete_cloud(instance.cloud_id)
    instances.reconcile(instance.pk)
    assert not cluster.cloud_exists(instance.cloud_id)
    instance.refresh_from_db()
    assert instance.state == InstanceState.STOPPED


def test_a_build_that_runs_ends_with_the_account(cluster: MemoryCluster) -> None:
    developer = active_person(cluster)
    app = publish.create_project(developer, "Half built")
    revision = uploaded(developer, app)
    close_account(developer)
    settle()
    revision.refresh_from_db()
    assert (revision.state, revision.state_reason) == (RevisionState.FAILED, "The account is being closed.")
    assert revision.pk not in cluster.jobs


def test_what_others_have_installed_of_theirs_goes_on_and_all_else_is_erased(cluster: MemoryCluster) -> None:
    release = released(cluster)
    developer, other = release.app.developer, active_person(cluster)
    copy, _ = install_app(other, app_slug=release.app.slug)
    unused = publish.create_project(developer, "Unused")
    secret = uploaded(developer, unused, **{"secret.txt": "only mine"})
    settle()
    store = publish.store()
    assert store.has(secret.source) and store.has(release.revision.source)
    close_account(developer)
    erased(developer)
    copy.refresh_from_db()
    assert (copy.state, copy.pk in cluster.specs) == (InstanceState.RUNNING, True)
    assert not store.has(secret.source) and not store.has(release.revision.source)
    assert Revision.objects.get(pk=release.revision_id).spacefile != {}
    assert (App.objects.get(pk=unused.pk).name, Revision.objects.get(pk=secret.pk).spacefile) == ("Erased", {})
    with pytest.raises(Exception, match="no app"):
        install_app(new_person(), app_slug=release.app.slug)


def test_content_that_somebody_else_uploaded_too_stays_in_the_store(cluster: MemoryCluster) -> None:
    people = [active_person(cluster) for _ in range(2)]
    same = [uploaded(person, publish.create_project(person, "Same")) for person in people]
    assert same[0].source == same[1].source
    close_account(people[0])
    erased(people[0])
    assert publish.store().has(same[1].source)


def test_closing_is_in_the_history_with_who_asked(owner: User) -> None:
    close_account(owner)
    event = Event.objects.get(kind="cloud", after=CloudState.CLOSING)
    assert (event.before, event.actor) == (CloudState.ACTIVE, owner.pk)


def test_nothing_of_an_erased_instance_names_its_owners_settings(cluster: MemoryCluster, owner: User) -> None:
    Instance.objects.update(log_tail="my words", config={"KEY": "my secret"}, alias="my-diary")
    close_account(owner)
    erased(owner)
    kept = Instance.objects.values("log_tail", "config", "alias").get()
    assert kept == {"log_tail": "", "config": {}, "alias": "erased"}


def test_a_closing_that_is_over_is_nothing_to_retry(cluster: MemoryCluster, owner: User) -> None:
    operation = close_account(owner)
    erased(owner)
    operation.refresh_from_db()
    with pytest.raises(Conflict):
        retry_operation(owner, operation)


def test_a_receipt_that_cannot_be_sent_does_not_keep_data(
    cluster: MemoryCluster, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> Callable[[], None]:
        raise ConnectionRefusedError("no mail server")

    monkeypatch.setattr("tenants.reconcile.farewell.send_mail", refused)
    close_account(owner)
    erased(owner)
    assert not cluster.cloud_exists(cloud_of(owner).pk)
    for _ in range(6):
        due_now()
        settle()
    assert cloud_of(owner).state == CloudState.CLOSED
