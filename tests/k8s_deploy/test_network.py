"""Who reaches whom inside of the provider, and what of it clouds reach: by both sides' policies together."""

from k8s.manifests.network import DATA_ADMINISTRATORS, policies
from k8s.specs import CloudSpec
from tests.k8s_deploy.rendered import of_kind, pods
from tests.k8s_kube.reachability import Pod, allowed, connects
from tests.k8s_kube.specs import CELL

OURS = list(of_kind("NetworkPolicy").values())
HERE = {"freehold/installation": CELL.installation, "freehold/role": "provider"}
IN_CLOUD = {"freehold/installation": CELL.installation, "freehold/role": "cloud", "freehold/cloud": "c1"}
OF_CLOUD = policies(CloudSpec("c1", "cloud-c1", 1000, 1024, 1024, 5), CELL)
PROVIDER = {name: Pod(name, HERE) for name in pods()}
LISTENING = {"web": 8000, "live": 8001, "static": 8005, "bundles": 8009, "gate": 8443}


def test_inside_of_the_provider_these_reach_each_other_and_no_others() -> None:
    found = {
        (client, server)
        for client in PROVIDER
        for server, port in LISTENING.items()
        if server != "gate" and connects(OURS, PROVIDER[client], PROVIDER[server], port)
    }
    assert found == {
        *(("gate", server) for server in ("web", "live", "static")),
        *((client, "bundles") for client in ("live", "worker", "observer")),
    }


def test_scheduled_actions_come_to_the_gate_from_workers_alone() -> None:
    clients = {**PROVIDER, **{role: Pod(role, IN_CLOUD) for role in ("app", "build", "data")}}
    found = {name for name, pod in clients.items() if allowed(OURS, "ingress", PROVIDER["gate"], pod, 8010)}
    assert found == {"worker"}
    assert {name for name, pod in PROVIDER.items() if connects(OURS, pod, PROVIDER["gate"], 8010)} == {"worker"}


def test_clouds_reach_the_gate_and_the_bundle_server_and_nothing_else_of_the_provider() -> None:
    found = {
        (role, server)
        for role in ("app", "build", "data")
        for server, port in LISTENING.items()
        if allowed(OF_CLOUD, "egress", Pod(role, IN_CLOUD), PROVIDER[server], port)
        and allowed(OURS, "ingress", PROVIDER[server], Pod(role, IN_CLOUD), port)
    }
    assert found == {("app", "gate"), *((role, "bundles") for role in ("app", "build", "data"))}


def test_only_the_gate_reaches_apps_and_beside_it_administrators_the_data_server() -> None:
    reached = {"app": {"gate"}, "build": set(), "data": {"gate", *DATA_ADMINISTRATORS}}
    for role, whose in reached.items():
        inside = Pod(role, IN_CLOUD)
        leave = {name for name, pod in PROVIDER.items() if allowed(OURS, "egress", pod, inside, 8080)}
        enter = {name for name, pod in PROVIDER.items() if allowed(OF_CLOUD, "ingress", inside, pod, 8080)}
        assert leave & enter == whose
        assert leave - {"gate"} == whose - {"gate"}, "nobody may leave for where nobody lets them in"


def test_strangers_from_outside_reach_the_gate_alone() -> None:
    for name, port in LISTENING.items():
        for stranger in ("203.0.113.9", "2001:db8::9", Pod("app", {"someone": "else"})):
            assert allowed(OURS, "ingress", PROVIDER[name], stranger, port) == (name == "gate")


def test_only_those_who_need_them_reach_stores_mail_and_the_apiserver() -> None:
    def may(port: int) -> set[str]:
        return {name for name, pod in PROVIDER.items() if allowed(OURS, "egress", pod, "10.0.0.5", port)}

    stores = set(PROVIDER) - {"static", "bundles"}
    assert may(5432) == may(6379) == stores
    assert may(587) == {"web", "worker"}
    assert may(6443) == may(443) == {"live", "worker", "observer", "bundles"}
    assert may(80) == may(22) == set()


def test_with_payments_the_console_reaches_the_public_internet_on_one_port_and_nothing_private() -> None:
    policies = list(of_kind("NetworkPolicy", folder="base").values())
    paying = [*policies, *of_kind("NetworkPolicy", folder="payments").values()]
    outside, inside = ("54.187.174.169", "2a01::1"), ("10.0.0.5", "169.254.169.254", "100.64.0.1", "fd00::1", "fe80::1")
    for address in outside:
        assert not allowed(policies, "egress", PROVIDER["web"], address, 443)
        assert allowed(paying, "egress", PROVIDER["web"], address, 443)
        assert not any(allowed(paying, "egress", PROVIDER["web"], address, port) for port in (22, 80, 8443))
    for address in inside:
        assert not allowed(paying, "egress", PROVIDER["web"], address, 443)
    for name, pod in PROVIDER.items():
        if name != "web":
            before = [allowed(policies, "egress", pod, address, 443) for address in outside]
            assert before == [allowed(paying, "egress", pod, address, 443) for address in outside]
