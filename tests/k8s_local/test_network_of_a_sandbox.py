import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from k8s.local.layout import NetworkPlan
from tests.contract.apps import Tenant
from tests.contract.test_builds import PAGE, STATIC, finished
from tests.k8s_local.conftest import PROBE, Ask, asker, needs_root

pytestmark = needs_root


@contextmanager
def listener(address: str, port: int = 0) -> Iterator[int]:
    """A server of the machine, like its PostgreSQL; yields its port."""
    with socket.create_server((address, port)) as server:
        yield server.getsockname()[1]


def machine_addresses() -> list[str]:
    answer = subprocess.run(["ip", "-4", "-j", "address"], capture_output=True, check=True).stdout
    return [entry["local"] for link in json.loads(answer) for entry in link["addr_info"]]


def test_no_server_of_the_machine_is_reached_on_any_of_its_addresses(inside: Ask) -> None:
    for address in machine_addresses():
        with listener(address) as port:
            assert inside(f"connects('{address}', {port})") is False, address


def test_the_gate_is_reached_on_the_bridge_and_on_the_own_loopback(inside: Ask, plan: NetworkPlan) -> None:
    for port in (18000, 18443):
        with listener(plan.gate_address, port):
            assert inside(f"connects('{plan.gate_address}', {port})") is True
            assert inside(f"connects('127.0.0.1', {port})") is True


def test_the_gates_address_offers_nothing_else(inside: Ask, plan: NetworkPlan) -> None:
    with listener(plan.gate_address) as port:
        assert inside(f"connects('{plan.gate_address}', {port})") is False


def test_the_way_out_of_builds_is_closed_to_apps(tenant: Tenant, inside: Ask, plan: NetworkPlan) -> None:
    finished(tenant, tenant.build(PAGE, STATIC))  # the first build opens it
    socket.create_connection((plan.gate_address, plan.egress_port), 2).close()
    assert inside(f"connects('{plan.gate_address}', {plan.egress_port})") is False


def test_the_own_host_name_leads_to_the_gate(inside: Ask, plan: NetworkPlan) -> None:
    for host in ("notes-abc.apps.localhost", "freehold.localhost"):
        assert inside(f"socket.gethostbyname('{host}')") == plan.gate_address
    assert inside("socket.gethostbyname('localhost')") == "127.0.0.1"


def test_another_sandbox_is_not_reached_whoever_owns_it(tenant: Tenant) -> None:
    other = Tenant(tenant.lane)
    tenant.lane.cluster.ensure_cloud(other.cloud())
    inside = asker(tenant, tenant.instance(PROBE))
    for owner in (tenant, other):
        address, _, port = owner.run(owner.instance()).partition(":")
        assert inside(f"connects('{address}', {port})") is False
    tenant.lane.cluster.delete_cloud(other.cloud_id)


def test_private_and_metadata_ranges_are_closed(inside: Ask) -> None:
    rules = "[connects(a, 80, 0.4) for a in ('169.254.169.254', '10.0.0.1', '172.16.0.1', '192.168.0.1', '100.64.0.1')]"
    assert inside(rules) == [False] * 5


@contextmanager
def beyond(plan: NetworkPlan, network: str) -> Iterator[str]:
    """A server on port 80 of an address that is not the machine's own, but one hop behind it; yields the address.

    network: its first three numbers.
    """
    namespace, near, far = f"t{plan.key}", f"{network}.1", f"{network}.2"
    script = f"""
    ip netns add {namespace}; ip link add {namespace} type veth peer name eth0 netns {namespace}
    ip address add {near}/30 dev {namespace}; ip link set {namespace} up
    ip -n {namespace} address add {far}/30 dev eth0; ip -n {namespace} link set eth0 up
    ip -n {namespace} route add default via {near}
    """
    serve = "import socket; s = socket.create_server(('0.0.0.0', 80)); print('up', flush=True)\nwhile True: s.accept()"
    subprocess.run(["/bin/sh", "-c", script], check=True)
    try:
        command = ["ip", "netns", "exec", namespace, "python3", "-c", serve]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            server.stdout.readline()
            socket.create_connection((far, 80), 2).close()  # from the machine itself it is reached
            yield far
            server.kill()
    finally:
        subprocess.run(["ip", "netns", "delete", namespace], check=False)


def test_packets_to_private_ranges_do_not_leave_the_machine(inside: Ask, plan: NetworkPlan) -> None:
    """A listener on an address of the 10/8 that is not the machine's own would answer if the rules let it through."""
    with beyond(plan, f"10.99.{int(plan.key[:2], 16)}") as far:
        assert inside(f"connects('{far}', 80)") is False


def test_an_app_without_the_internet_reaches_the_gate_alone(tenant: Tenant, inside: Ask, plan: NetworkPlan) -> None:
    offline = asker(tenant, tenant.instance(PROBE, micros=(replace(tenant.micro(), offline=True),)))
    with beyond(plan, "203.0.113") as far, listener(plan.gate_address, 18000):
        assert inside(f"connects('{far}', 80, 5)") is True
        assert offline(f"connects('{far}', 80, 5)") is False
        assert offline(f"connects('{plan.gate_address}', 18000)") is True
        assert offline("connects('127.0.0.1', 18000)") is True
        assert offline("socket.gethostbyname('notes-abc.apps.localhost')") == plan.gate_address
    # It is told so at once, names included, and cannot ask a name server of its own choice either.
    assert offline("socket.gethostbyname('example.org')").startswith("raised")
    send = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('203.0.113.9', 53))"
    assert offline(send).startswith("raised PermissionError")


def test_apps_that_bind_loopback_or_everything_are_both_reached(tenant: Tenant) -> None:
    for bind in ("127.0.0.1", "0.0.0.0"):
        micro = tenant.micro(env={"BIND": bind})
        assert asker(tenant, tenant.instance(PROBE, micros=(micro,)))("os.environ['BIND']") == bind


def test_a_node_app_that_names_no_address_is_reached(tenant: Tenant) -> None:
    code = "require('http').createServer((q, a) => a.end('from node')).listen(process.env.PORT)"
    micro = replace(tenant.micro(), engine="nodejs20", command="node main.py")
    spec = tenant.instance(code, micros=(micro,))
    assert tenant.lane.get(tenant.run(spec)) == "from node"


def test_raw_and_host_wide_sockets_are_refused(inside: Ask) -> None:
    for family, kind in (("socket.AF_PACKET", "socket.SOCK_RAW"), ("socket.AF_INET", "socket.SOCK_RAW")):
        assert inside(f"socket.socket({family}, {kind})").startswith("raised")
    assert "Address family not supported" in inside("socket.socket(40, socket.SOCK_STREAM)")  # vsock knows no namespace
