"""Two cells: each cloud lives in its own cell's cluster, under its own cell's domain, behind its own cell's gate.

The second cell is an apiserver without a node: what is written there stands for what would run.
"""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from k8s.kube.api import Api, path
from k8s.testbed import node
from k8s.testbed.place import here
from provider.gate import feed
from tenants.models import Cell, Cloud, Installation, Instance, User
from tenants.reconcile import clouds, cluster, instances, orphans
from tenants.services import accounts
from tenants.services.installation import prepare
from tenants.services.instances import install_app
from tests.contract.kubernetes_lane import KubernetesLane
from tests.free_ports import free_port
from tests.worlds import PASSWORD, MemoryCluster, released

pytestmark = pytest.mark.django_db
DOMAINS = {"first": "apps.first.example", "second": "apps.second.example"}


@pytest.fixture(scope="module")
def second() -> Iterator[str]:
    """The kubeconfig of another apiserver."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-cell-"))
    place = replace(here(), state=folder, api_port=free_port(), etcd_port=free_port())
    try:
        yield str(node.up(place, control_plane_only=True))
    finally:
        node.down(place)
        shutil.rmtree(folder)


@pytest.fixture
def apis(lane: KubernetesLane, second: str, settings: Settings, tmp_path: Path) -> Iterator[dict[str, Api]]:
    """Both cells in the database and in the settings; name → what asks its apiserver."""
    Installation.objects.create(id=uuid.UUID(lane.cell.installation))
    key = tmp_path / "key"
    key.write_bytes(lane.key.hex().encode())
    query = {f"image.{name}": image for name, image in lane.cell.images.items()} | {"key": str(key)}
    query |= {"installation": lane.cell.installation, "bundles": lane.cell.bundle_url, "port_ranges": "false"}
    settings.CLUSTER_URL = f"kubernetes://{lane.kubeconfig}?{urlencode(query)}"
    settings.OTHER_CELLS = {"second": f"kubernetes://{second}?{urlencode(query)}"}
    settings.DEFAULT_CELL, settings.APPS_DOMAIN = "first", DOMAINS["first"]
    settings.STORE_DIR = tmp_path / "store"
    prepare()
    Cell.objects.create(name="second", apps_domain=DOMAINS["second"], is_open=False)
    cluster.current.cache_clear()
    cluster._other.cache_clear()
    yield {"first": lane.api, "second": Api(second, None)}
    cluster.current.cache_clear()
    cluster._other.cache_clear()


def newcomer(cell: str, handle: str) -> User:
    """Somebody who signs up while only this cell is open."""
    Cell.objects.update(is_open=False)
    Cell.objects.filter(name=cell).update(is_open=True)
    user = accounts.register(f"{handle}@example.org", handle, PASSWORD)
    clouds.reconcile(user.cloud.pk)
    return user


def released_app(monkeypatch: pytest.MonkeyPatch) -> str:
    """Its slug. Its developer's own cloud is nowhere, as nothing is built here."""
    double = MemoryCluster()
    with monkeypatch.context() as patched:
        patched.setattr(cluster, "of", lambda _cell: double)
        return str(released(double).app.slug)


def namespaces(api: Api, user: User) -> list[str]:
    found = api.items(path("Namespace"), f"freehold/cloud={user.cloud.pk}", metadata_only=True)
    return [namespace["metadata"]["name"] for namespace in found]


def test_everything_of_a_cloud_is_in_its_own_cell(apis: dict[str, Api], monkeypatch: pytest.MonkeyPatch) -> None:
    slug = released_app(monkeypatch)
    people = {name: newcomer(name, f"person-{name}") for name in apis}
    placed: dict[str, Instance] = {}
    for name, person in people.items():
        assert {cell: namespaces(api, person) for cell, api in apis.items()} == {
            cell: [person.cloud.namespace] if cell == name else [] for cell in apis
        }
        placed[name], _ = install_app(person, app_slug=slug)
        assert placed[name].host.endswith(f".{DOMAINS[name]}")
        instances.reconcile(placed[name].pk)
        deployments = apis[name].items(path("Deployment", person.cloud.namespace), "")
        assert [d["metadata"]["labels"]["freehold/instance"] for d in deployments] == [placed[name].pk]
    for name in apis:
        assert feed.load_placements(connection.connection, name, None).keys() == {placed[name].pk}
    orphans.look()  # in both, and finds none
    assert {cell: len(cluster.of(cell).list_instances()) for cell in cluster.cells()} == {"first": 1, "second": 1}


def test_a_cell_that_nobody_told_of_is_an_error_and_no_other_cells_cluster(
    apis: dict[str, Api], settings: Settings
) -> None:
    settings.OTHER_CELLS = {}
    person = newcomer("second", "nowhere")
    cloud = Cloud.objects.get(owner=person)
    assert "FREEHOLD_OTHER_CELLS" in cloud.state_reason
    assert [namespaces(api, person) for api in apis.values()] == [[], []]
