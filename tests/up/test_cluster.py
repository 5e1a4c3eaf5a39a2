"""`manage.py up` with a Kubernetes for the clouds: what it makes of CLUSTER_URL, and what it refuses."""

import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.core.management import CommandError
from pytest_django.fixtures import Settings

from k8s.connect import installation_of
from k8s.errors import Permanent
from provider.management.commands import prepare
from provider.up import attach, cluster, home, machine, postgres, table
from provider.up.complaint import Complaint
from provider.up.home import Home
from tenants.models import Installation
from tenants.reconcile.cluster import WrongInstallation, own_id, require_own

IMAGES = {"image.python": "p:1", "image.node": "n:1", "image.builder": "b:1"}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text("apiVersion: v1\nkind: Config\n")
    return file


def url(kubeconfig: Path, **more: str) -> str:
    return f"kubernetes://{kubeconfig}?{urlencode({**IMAGES, **more})}"


@pytest.fixture
def place(tmp_path: Path) -> Home:
    return home.prepare(tmp_path / "home")


def chosen(monkeypatch: pytest.MonkeyPatch, address: str, host: str = "192.0.2.7") -> cluster.Kubernetes | None:
    monkeypatch.setenv("CLUSTER_URL", address)
    monkeypatch.setenv("FREEHOLD_HOST_ADDR", host)
    return cluster.chosen()


def plan(place: Home, elsewhere: cluster.Kubernetes | None) -> table.Plan:
    database = postgres.cluster(place, {"FREEHOLD_DB_PASSWORD": "x", "FREEHOLD_DB_OWNER_PASSWORD": "y"})
    return table.Plan(place, 8000, 8443, database, {}, None, elsewhere)


@pytest.mark.parametrize("address", ["", "local:///somewhere?socket=/x&store=/y"])
def test_without_one_everything_is_on_this_machine(monkeypatch: pytest.MonkeyPatch, place: Home, address: str) -> None:
    assert chosen(monkeypatch, address) is None
    names = [process.name for process in table.services(plan(place, None))]
    assert "node" in names and "bundles" not in names
    assert "CLUSTER_URL" not in table.settings(plan(place, None))


def test_with_one_there_is_a_bundle_server_and_no_node(
    monkeypatch: pytest.MonkeyPatch, place: Home, kubeconfig: Path
) -> None:
    elsewhere = chosen(monkeypatch, url(kubeconfig))
    names = [process.name for process in table.services(plan(place, elsewhere))]
    assert "bundles" in names and not {"node", "runtime"} & set(names)


def test_what_the_person_left_out_leads_to_this_home(
    monkeypatch: pytest.MonkeyPatch, place: Home, kubeconfig: Path
) -> None:
    elsewhere = chosen(monkeypatch, url(kubeconfig))
    query = parse_qs(urlsplit(table.settings(plan(place, elsewhere))["CLUSTER_URL"]).query)
    port = place.ports.bundles
    assert query == {
        **{name: [image] for name, image in IMAGES.items()},
        "installation": [str(place.path / "installation")],
        "key": [str(place.path / "bundles.key")],
        "bundles": [f"http://192.0.2.7:{port}"],
        "results": [f"http://127.0.0.1:{port}"],
        "gate": ["192.0.2.7"],
        "outside": ["192.0.2.7"],
        "outside_port": ["8000", "8443"],
        "trusted": [str(place.path / "ca.pem"), str(place.path / "sandbox-ca.pem")],
    }


def test_apps_in_pods_find_their_data_by_a_name_that_leads_to_the_gate(
    monkeypatch: pytest.MonkeyPatch, place: Home, kubeconfig: Path
) -> None:
    found = table.settings(plan(place, chosen(monkeypatch, url(kubeconfig))))
    assert found["FREEHOLD_DATA_HOST"] == "database.deta.sh:8443"
    assert "FREEHOLD_DATA_HOST" not in table.settings(plan(place, None))


def test_what_the_person_named_stays(monkeypatch: pytest.MonkeyPatch, place: Home, kubeconfig: Path) -> None:
    named = {"installation": str(uuid.uuid4()), "bundles": "http://bundles.example", "gate": "192.0.2.9"}
    elsewhere = chosen(monkeypatch, url(kubeconfig, **named))
    query = parse_qs(urlsplit(table.settings(plan(place, elsewhere))["CLUSTER_URL"]).query)
    assert {name: query[name] for name in named} == {name: [value] for name, value in named.items()}


@pytest.mark.parametrize(
    ("address", "host", "words"),
    [
        ("kubernets:///x", "192.0.2.7", "kubernets"),
        ("kubernetes:///nowhere?image.python=p", "192.0.2.7", "image.node, image.builder"),
        (f"kubernetes:///nowhere?{urlencode(IMAGES)}", "192.0.2.7", "kubeconfig /nowhere"),
        (f"kubernetes://in-cluster?{urlencode(IMAGES)}", "", "FREEHOLD_HOST_ADDR"),
        (f"kubernetes://in-cluster?{urlencode(IMAGES)}", "my-host", "FREEHOLD_HOST_ADDR"),
        (f"kubernetes://in-cluster?{urlencode(IMAGES)}", "::1", "FREEHOLD_HOST_ADDR"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, address: str, host: str, words: str
) -> None:
    with pytest.raises(Complaint, match=words):
        chosen(monkeypatch, address, host)


def test_commands_of_the_home_find_its_cluster(monkeypatch: pytest.MonkeyPatch, place: Home, kubeconfig: Path) -> None:
    elsewhere = chosen(monkeypatch, url(kubeconfig))
    (place.path / "secrets.env").write_text("FREEHOLD_DB_PASSWORD=x\nFREEHOLD_DB_OWNER_PASSWORD=y\n")
    attach.remember(place, 8000, 8443, elsewhere)
    for name in ("CLUSTER_URL", "DATABASE_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("FREEHOLD_HOME", str(place.path))
    before = dict(attach.os.environ)
    try:
        attach.adopt_environment()
        assert attach.os.environ["CLUSTER_URL"].startswith(f"kubernetes://{kubeconfig}?")
    finally:
        attach.os.environ.clear()
        attach.os.environ.update(before)


def test_its_key_is_made_once_and_private(place: Home) -> None:
    cluster.ensure_key(place)
    file = place.path / "bundles.key"
    key = file.read_bytes()
    cluster.ensure_key(place)
    assert file.read_bytes() == key and len(key) >= 32
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_sandbox_is_asked_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    sandboxes = ("bwrap", "node", "nft", "ip")
    monkeypatch.setattr(machine.shutil, "which", lambda tool: None if tool in sandboxes else tool)
    machine.check_tools(sandboxes=False)
    with pytest.raises(Complaint):
        machine.check_tools()


@pytest.mark.django_db
def test_a_database_without_an_id_takes_the_clusters(settings: Settings, tmp_path: Path) -> None:
    named = str(uuid.uuid4())
    settings.CLUSTER_URL = f"kubernetes:///x?installation={named}"
    prepare._settle_installation(tmp_path / "installation")
    assert own_id() == named


@pytest.mark.django_db
def test_where_the_url_leaves_it_to_the_home_the_databases_id_is_written_there(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "installation"
    settings.CLUSTER_URL = f"kubernetes:///x?installation={file}"
    prepare._settle_installation(file)
    assert file.read_text().strip() == own_id() == installation_of(settings.CLUSTER_URL)
    prepare._settle_installation(file)
    Installation.objects.all().delete()
    Installation.objects.create(id=uuid.uuid4())  # as after another installation's database was restored
    with pytest.raises(CommandError, match="this database belongs to"):
        prepare._settle_installation(file)


@pytest.mark.django_db
def test_another_installations_cluster_stops_the_start_and_every_process() -> None:
    Installation.objects.create(id=uuid.uuid4())
    with pytest.raises(WrongInstallation, match=f"belongs to {own_id()}"):
        require_own(str(uuid.uuid4()))
    require_own(own_id())
    require_own(None)


@pytest.mark.parametrize("named", ["", "?installation=", "?installation=mine", "?installation=/nowhere/at/all"])
def test_an_id_that_is_none_is_refused(named: str) -> None:
    with pytest.raises(Permanent):
        installation_of(f"kubernetes:///x{named}")
