"""An install while the cluster refuses it or is away: its owner reads why, tries come to an end, and it heals by itself."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps_catalog.models import Revision
from k8s.errors import Temporary
from k8s.kube.api import Api
from k8s.kube.driver import KubeCluster
from tenants import steps
from tenants.models import Instance, Operation, User
from tenants.reconcile import clouds, instances, unsettled
from tenants.reconcile import cluster as cluster_module
from tenants.services.instances import install_app
from tenants.states import CloudState, InstanceState, WorkState
from tests.contract.apps import WEB
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.k8s_deploy.rendered import of_kind
from tests.kubernetes.door import Door
from tests.worlds import MemoryCluster, new_person, released

pytestmark = pytest.mark.django_db
AWAY_S = 60.0
UP_S = 90.0  # pods of a busy node; a Deployment whose pods were refused is tried by Kubernetes at growing intervals


class Provider:
    """Rows of an installation whose worker is turned by hand. driver: its way into the cluster, may be exchanged."""

    def __init__(self, lane: KubernetesLane) -> None:
        self.lane, self.driver = lane, lane.driver_as("worker")

    def install(self, owner: User, slug: str) -> Instance:
        return install_app(owner, app_slug=slug)[0]

    def turn(self, instance: Instance) -> Instance:
        """What the sweep tells a worker to do, once."""
        for instance_id in set(unsettled.instances()) & {instance.pk}:
            instances.reconcile(instance_id)
        return Instance.objects.get(pk=instance.pk)

    def time_passes(self, instance: Instance) -> None:
        """Whatever waits for its time is due."""
        Operation.objects.filter(instance=instance).update(not_before=None)
        Instance.objects.filter(pk=instance.pk, retry_at__isnull=False).update(retry_at=timezone.now())

    def gives_up(self, instance: Instance) -> Instance:
        """Turn through all tries of an install, which must come to an end."""
        for _ in range(steps.MAX_ATTEMPTS + 1):
            self.time_passes(instance)
            instance = self.turn(instance)
        assert instance.state == InstanceState.FAILED
        assert Operation.objects.get(instance=instance).state == WorkState.FAILED
        assert instance.retry_at is not None
        assert instance.retry_at > timezone.now()
        assert instance.pk not in unsettled.instances()
        return instance

    def heals(self, instance: Instance) -> None:
        """Its next time comes, and nobody presses anything."""
        self.time_passes(instance)
        until(lambda: self.turn(instance).state == InstanceState.RUNNING, UP_S)
        healed = Instance.objects.get(pk=instance.pk)
        assert (healed.state_reason, healed.retry_at) == ("", None)
        upstream = self.driver.observe(healed.cloud_id, healed.pk).micros[0].upstream
        assert self.lane.get(upstream or "") == "hello"


@pytest.fixture
def provider(
    lane: KubernetesLane, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> Iterator[Provider]:
    settings.STORE_DIR, settings.SIGNUP, settings.ACCOUNT_EMAIL_VERIFICATION = tmp_path / "store", "open", "none"
    made = Provider(lane)
    monkeypatch.setattr(cluster_module, "current", lambda: made.driver)
    yield made


@pytest.fixture
def slug(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an app that was built before the weather changed."""
    memory = MemoryCluster()
    with monkeypatch.context() as before:
        before.setattr(cluster_module, "current", lambda: memory)
        release = released(memory)
    manifest = {**release.revision.manifest["micros"][0], "command": "python3 main.py"}  # type: ignore[index]
    digest = provider.lane.artifact({"main/app/main.py": WEB})
    Revision.objects.filter(pk=release.revision_id).update(digest=digest, manifest={"micros": [manifest]})
    return release.app.slug


@pytest.fixture
def owner(provider: Provider) -> Iterator[User]:
    person = new_person("person")
    clouds.reconcile(person.cloud.pk)
    person = User.objects.get(pk=person.pk)
    assert person.cloud.state == CloudState.ACTIVE
    yield person
    provider.lane.cluster.delete_cloud(person.cloud.pk)


def webhook(name: str, cloud_id: str) -> dict[str, Any]:
    """Nobody answers there, and what cannot be asked is refused; in one cloud alone."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
    hook = {
        "name": "nobody.freehold.test",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 1,
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"freehold/cloud": cloud_id}},
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": name}, "webhooks": [hook]}


def is_refused(lane: KubernetesLane, namespace: str) -> bool:
    probe = {**DEPLOYMENT, "metadata": {"name": "probe", "namespace": namespace}}
    try:
        lane.api.apply(probe)
    except Temporary as error:
        return "failed calling webhook" in str(error)
    return False


def test_a_rule_that_cannot_be_asked_is_told_and_the_app_starts_once_it_is_gone(
    provider: Provider, slug: str, owner: User
) -> None:
    hook = webhook(f"freehold-test-{owner.cloud.pk}", owner.cloud.pk)
    provider.lane.identities.apply(hook)
    try:
        instance = provider.install(owner, slug)
        # A configuration counts some moments after it was written; nothing of the app may be there before.
        until(lambda: is_refused(provider.lane, owner.cloud.namespace))
        instance = provider.turn(instance)
        assert instance.state == InstanceState.INSTALLING
        step = Operation.objects.get(instance=instance).steps.get(state=WorkState.RUNNING)
        assert step.detail.startswith("Will be tried again: A rule of the cluster cannot be asked")
        instance = provider.gives_up(instance)
        assert instance.state_reason.startswith("A rule of the cluster cannot be asked; the operator must see to it.")
        assert "nobody.freehold.test" in instance.state_reason
    finally:
        provider.lane.identities.remove(hook)
    provider.heals(instance)


def test_a_right_that_is_missing_is_told_and_used_once_it_is_granted(
    provider: Provider, slug: str, owner: User
) -> None:
    narrow = provider.lane.identities.with_rules(f"narrow-{owner.cloud.pk}", _without("patch", "deployments"))
    provider.driver = KubeCluster(Api(narrow, None), provider.lane.cell, provider.lane.key, provider.lane.results)
    instance = provider.turn(provider.install(owner, slug))
    assert instance.state == InstanceState.FAILED  # at once: asking again would not help
    assert instance.state_reason.startswith(
        "The cluster does not allow Freehold to do this; the operator must grant the right. (deployments.apps"
    )
    assert 'cannot patch resource "deployments"' in instance.state_reason
    assert instance.pk not in unsettled.instances()
    provider.lane.identities.with_rules(f"narrow-{owner.cloud.pk}", _without("", ""))
    provider.heals(instance)


def test_an_install_outlasts_a_minute_without_an_apiserver(
    provider: Provider, slug: str, owner: User, tmp_path: Path
) -> None:
    lane = provider.lane
    door = Door(lane.kubeconfig, tmp_path)
    provider.driver = KubeCluster(Api(door.kubeconfig, None), lane.cell, lane.key, lane.results)
    instance = provider.install(owner, slug)
    door.shut()
    back = time.monotonic() + AWAY_S
    while time.monotonic() < back:
        instance = provider.turn(instance)
        operation = Operation.objects.get(instance=instance)
        assert (instance.state, operation.state) == (InstanceState.INSTALLING, WorkState.RUNNING)
        time.sleep(0.5)  # the sweep's beat
    assert 4 <= operation.attempts <= 8  # ever more rarely, and still far from giving up
    step = operation.steps.get(state=WorkState.RUNNING)
    assert step.detail == "Will be tried again: the cluster cannot be reached"
    door.open()
    until(lambda: provider.turn(instance).state == InstanceState.RUNNING, steps.LONGEST_WAIT_S * 1.2 + UP_S)
    assert Operation.objects.get(instance=instance).state == WorkState.SUCCEEDED
    door.shut()


def _without(verb: str, resource: str) -> list[dict[str, Any]]:
    """What the driver may do, less one verb."""
    rules = of_kind("ClusterRole", folder="base")["freehold-driver"]["rules"]
    return [
        {**rule, "verbs": [one for one in rule["verbs"] if one != verb or rule["resources"] != [resource]]}
        for rule in rules
    ]


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "none"}]}},
    },
}
