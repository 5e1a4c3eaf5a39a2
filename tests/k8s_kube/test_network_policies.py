"""What the policies of a cloud allow, computed as Kubernetes would: every allowed way is listed, and there is no other."""

from dataclasses import replace

import pytest

from k8s.cell import Cell
from k8s.manifests.network import policies
from tests.k8s_kube import reachability
from tests.k8s_kube.reachability import Pod
from tests.k8s_kube.specs import CELL, CLOUD
from tests.k8s_kube.ways import ALLOWED, every_way

PROVIDER = {"freehold/installation": CELL.installation, "freehold/role": "provider"}
OWN = {"freehold/installation": CELL.installation, "freehold/cloud": "c1"}


def allowed(direction: str, pod: Pod, other: Pod | str, port: int, protocol: str = "TCP", cell: Cell = CELL) -> bool:
    return reachability.allowed(policies(CLOUD, cell), direction, pod, other, port, protocol)


APP, BUILD, DATA, STRANGER = (Pod(role, OWN) for role in ("app", "build", "data", "whatever"))
GATE, BUNDLES = Pod("gate", PROVIDER), Pod("bundles", PROVIDER)
WEB, WORKER, OBSERVER, LIVE = (Pod(role, PROVIDER) for role in ("web", "worker", "observer", "live"))
FALSE_GATE = Pod("gate", {"freehold/installation": CELL.installation, "freehold/cloud": "c2"})
NEIGHBOUR = Pod("app", {"freehold/installation": CELL.installation, "freehold/cloud": "c2"})
DNS = Pod("", {}, {"k8s-app": "kube-dns"})


def test_only_the_gate_reaches_apps_and_only_on_their_port() -> None:
    askers = [GATE, BUNDLES, FALSE_GATE, NEIGHBOUR, APP, BUILD, DATA, DNS, "203.0.113.9"]
    assert [who for who in askers if allowed("ingress", APP, who, 8080)] == [GATE]
    assert not allowed("ingress", APP, GATE, 22)


def test_the_data_server_is_reached_by_the_gate_its_administrators_and_the_clouds_own_apps() -> None:
    false_worker = Pod("worker", {"freehold/installation": CELL.installation, "freehold/cloud": "c2"})
    askers = [GATE, WEB, WORKER, OBSERVER, LIVE, BUNDLES, FALSE_GATE, false_worker, NEIGHBOUR, APP, BUILD, DATA]
    asked = [who for who in [*askers, "203.0.113.9"] if allowed("ingress", DATA, who, 8080)]
    assert asked == [GATE, WEB, WORKER, OBSERVER, LIVE, APP]
    assert not any(allowed("ingress", DATA, who, 22) for who in askers)


def test_nobody_reaches_a_build() -> None:
    assert not any(allowed("ingress", BUILD, who, 8080) for who in (GATE, APP, NEIGHBOUR, "203.0.113.9"))


def test_a_pod_of_no_role_reaches_nobody_and_nobody_reaches_it() -> None:
    for other in (GATE, BUNDLES, APP, DATA, DNS, "203.0.113.9"):
        assert not allowed("egress", STRANGER, other, 443)
        assert not allowed("ingress", STRANGER, other, 8080)


def test_apps_reach_the_gate_the_bundles_their_data_and_names_but_no_app() -> None:
    ways = [(GATE, 443), (BUNDLES, 8009), (DATA, 8080), (DNS, 53)]
    assert all(allowed("egress", APP, other, port) for other, port in ways)
    assert allowed("egress", APP, DNS, 53, "UDP")
    assert not any(allowed("egress", APP, other, 8080) for other in (APP, NEIGHBOUR, BUILD, FALSE_GATE))


def test_an_app_without_the_internet_reaches_all_else_that_apps_reach() -> None:
    offline = Pod("app", APP.namespace, {"freehold/offline": "true"})
    for address in ("93.184.216.34", "2606:2800:220:1::1"):
        assert allowed("egress", APP, address, 443) and not allowed("egress", offline, address, 443)
        assert not allowed("egress", offline, address, 443, "UDP")
    assert all(allowed("egress", offline, other, port) for other, port in [(GATE, 443), (BUNDLES, 8009), (DATA, 8080)])
    assert allowed("ingress", offline, GATE, 8080)


def test_builds_reach_registries_and_bundles_but_neither_gate_nor_data() -> None:
    assert allowed("egress", BUILD, "93.184.216.34", 443)
    assert allowed("egress", BUILD, BUNDLES, 8009)
    assert not any(allowed("egress", BUILD, other, 8080) for other in (GATE, DATA, APP))


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.96.0.1",
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "172.20.0.1",
            "192.168.1.1",
            "100.64.1.1",
            "0.1.2.3",
        ),
        *(
            "224.0.0.1",
            "255.255.255.255",
            "198.51.100.9",
            "::1",
            "fd00:ec2::254",
            "fe80::1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ),
    ],
)
def test_private_link_local_and_metadata_addresses_are_out_of_reach(address: str) -> None:
    for port in (80, 443, 6443, 10250):
        assert not allowed("egress", APP, address, port)
        assert not allowed("egress", BUILD, address, port)


@pytest.mark.parametrize("address", ["93.184.216.34", "203.0.113.200", "2606:2800:220:1::1"])
@pytest.mark.parametrize("ranges", [True, False])
def test_the_public_internet_is_reached_but_for_mail(address: str, ranges: bool) -> None:
    cell = replace(CELL, port_ranges=ranges)
    assert all(allowed("egress", APP, address, port, cell=cell) for port in (80, 443, 8443, 5432))
    assert not any(allowed("egress", APP, address, port, cell=cell) for port in (25, 465, 587, 2525))


def test_only_known_ports_are_open_where_the_server_knows_no_ranges() -> None:
    assert allowed("egress", APP, "93.184.216.34", 12345)
    assert not allowed("egress", APP, "93.184.216.34", 12345, cell=replace(CELL, port_ranges=False))


@pytest.mark.parametrize("ranges", [True, False])
def test_what_is_allowed_is_the_list_and_nothing_else(ranges: bool) -> None:
    """Roles × directions × everybody × ports, in both address families."""
    cell = replace(CELL, port_ranges=ranges, blocked=(*CELL.blocked, "2001:db8:1::/64"))
    own = {**OWN, "freehold/role": "cloud"}
    ways = list(every_way(cell, own))
    assert len(ways) > 2000
    found = {way.named for way in ways if reachability.allowed(policies(CLOUD, cell), *way.question)}
    assert found == ALLOWED


BESIDE = replace(CELL, outside="10.0.0.7", outside_ports=(8000, 8443), bundle_url="http://10.0.0.7:10005")


def test_a_provider_beside_the_cluster_is_its_one_address_and_no_other() -> None:
    assert allowed("ingress", APP, "10.0.0.7", 8080, cell=BESIDE)
    assert not allowed("ingress", APP, "10.0.0.8", 8080, cell=BESIDE)
    assert not allowed("ingress", BUILD, "10.0.0.7", 8080, cell=BESIDE)
    assert allowed("ingress", DATA, "10.0.0.7", 8080, cell=BESIDE)
    assert not allowed("ingress", DATA, "10.0.0.8", 8080, cell=BESIDE)
    ports = (22, 5432, 6443, 8000, 8443, 10005)
    assert [port for port in ports if allowed("egress", APP, "10.0.0.7", port, cell=BESIDE)] == [8000, 8443, 10005]
    assert [port for port in ports if allowed("egress", BUILD, "10.0.0.7", port, cell=BESIDE)] == [10005]
    assert not any(allowed("egress", STRANGER, "10.0.0.7", port, cell=BESIDE) for port in ports)


def test_a_provider_in_pods_opens_no_address() -> None:
    assert not any(allowed("egress", APP, "10.0.0.7", port) for port in (8000, 8443, 10005))
