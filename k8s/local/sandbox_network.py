"""A network of its own for every sandbox: a namespace on an isolated port of one bridge, and the rules around it."""

import json
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from k8s.errors import Permanent
from k8s.local.layout import APP_PORT, NetworkPlan, resolvers

# Not the documentation ranges: package mirrors may sit there. Never a library's idea of "private" (it changes).
_BLOCKED = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "224.0.0.0/3",
)  # fmt: skip

# $1 link, $2 bridge, $3 address with prefix, $4 gate address, $5 MTU, $6 rules for the inside
_CONNECT = """set -e
ip -batch - <<END
netns add $1
link add $1 mtu $5 type veth peer name eth0 mtu $5 netns $1
link set $1 master $2 up
link set $1 type bridge_slave isolated on
END
exec nsenter --net=/run/netns/$1 /bin/sh -ec '
ip -batch - <<END
link set lo up
address add $3 dev eth0
link set eth0 up
route add default via $4
END
cd /proc/sys/net
echo 1 > ipv6/conf/all/disable_ipv6
echo 1 > ipv4/conf/eth0/route_localnet
echo 0 > ipv4/ip_unprivileged_port_start
echo "$6" | nft -f -
' sh "$@"
"""


@dataclass(frozen=True)
class Network:
    """The bridge of one node home. gate_ports: the ports of the gate on the bridge's address. allowed: ranges that apps
    may reach although they are blocked otherwise (the machine's own mirror, for instance)."""

    plan: NetworkPlan
    gate_ports: tuple[int, ...]
    allowed: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Make the bridge and the machine's rules, or bring them up to date. Safe to repeat; open connections stay."""
        if not (Path("/sys/class/net") / self.plan.bridge).exists():
            _run("ip", "link", "add", self.plan.bridge, "type", "bridge")
        _run("ip", "link", "set", self.plan.bridge, "address", _hardware_address(self.plan.bridge))
        gate = f"{self.plan.gate_address}/{self.plan.subnet.prefixlen}"
        _run("ip", "address", "replace", gate, "dev", self.plan.bridge)
        _run("ip", "link", "set", self.plan.bridge, "mtu", str(_default_mtu()), "up")
        Path(f"/proc/sys/net/ipv6/conf/{self.plan.bridge}/disable_ipv6").write_text("1")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        _run("nft", "-f", "-", text=host_rules(self.plan, self.gate_ports, self.allowed, _machine_networks(self.plan)))

    def remove(self) -> None:
        """Take bridge and rules away. Gone already is success."""
        subprocess.run(["ip", "link", "delete", self.plan.bridge], capture_output=True, check=False)
        subprocess.run(["nft", "delete", "table", "inet", self.plan.table], capture_output=True, check=False)

    def connect(self, slot: int, *, offline: bool = False) -> None:
        """Make the network namespace of `slot`. offline: only the gate is reached. Raises Permanent when refused."""
        link, plan = self.plan.link(slot), self.plan
        address = f"{plan.address(slot)}/{plan.subnet.prefixlen}"
        inside = inner_rules(plan.gate_address, self.gate_ports, offline=offline)
        _run(
            "/bin/sh", "-c", _CONNECT, "sh", link, plan.bridge, address, plan.gate_address, str(_default_mtu()), inside
        )

    def disconnect(self, slot: int) -> None:
        """Remove the namespace; its cable goes with it. Gone already is success."""
        link = self.plan.link(slot)
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
        if (Path("/run/netns") / link).exists():
            subprocess.run(["ip", "netns", "delete", link], capture_output=True, check=False)

    def slots(self) -> list[int]:
        """Slots that have a namespace now, whoever made it."""
        prefix = self.plan.link(0)[:-1]
        found = Path("/run/netns").glob(f"{prefix}*") if Path("/run/netns").exists() else iter(())
        return [int(entry.name.removeprefix(prefix), 16) for entry in found]

    def members(self, slot: int) -> list[int]:
        """Process ids inside the namespace of `slot`, as the machine counts them."""
        answer = subprocess.run(["ip", "netns", "pids", self.plan.link(slot)], capture_output=True, check=False)
        return [int(word) for word in answer.stdout.split()]


def inner_rules(gate_address: str, gate_ports: tuple[int, ...], *, offline: bool = False) -> str:
    """Rules inside a namespace: apps that bind 127.0.0.1 are reached too, and 127.0.0.1 leads to the gate.

    The last of `gate_ports` speaks TLS: the former platform's data hosts, named in the hosts file, are reached at 443.
    offline: what else leaves is refused, which nothing inside can undo, having no capability.
    """
    ports = ", ".join(map(str, gate_ports))
    closed = _OFFLINE.format(gate=gate_address, ports=ports) if offline else ""
    return f"""table ip freehold {{
chain inbound {{ type nat hook prerouting priority -100;
  iifname "eth0" tcp dport {APP_PORT} dnat to 127.0.0.1:{APP_PORT}
}}
chain outbound {{ type nat hook output priority -100;
  ip daddr 127.0.0.0/8 tcp dport {{ {ports} }} dnat to {gate_address}
  ip daddr {gate_address} tcp dport 443 dnat to {gate_address}:{gate_ports[-1]}
}}
chain leaving {{ type nat hook postrouting priority 100;
  oifname "eth0" masquerade
}}
{closed}}}
"""


_OFFLINE = """chain closed {{ type filter hook output priority 0;
  oifname "lo" accept
  ct state established,related accept
  ip daddr {gate} tcp dport {{ {ports} }} accept
  reject with icmp type admin-prohibited
}}
"""


def host_rules(plan: NetworkPlan, gate_ports: tuple[int, ...], allowed: tuple[str, ...], machine: list[str]) -> str:
    """The machine's own table: replaced as a whole in one transaction, so no packet ever meets half of it."""
    ports, blocked = ", ".join(map(str, gate_ports)), ", ".join([*_BLOCKED, *machine])
    lookups = f"ip daddr {{ {', '.join(resolvers())} }} meta l4proto {{ tcp, udp }} th dport 53 accept"
    exceptions = f"ip daddr {{ {', '.join(allowed)} }} accept" if allowed else ""
    return f"""add table inet {plan.table}
delete table inet {plan.table}
table inet {plan.table} {{
set blocked {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {blocked} }}
}}
chain input {{ type filter hook input priority -10; policy accept;
  iifname != "{plan.bridge}" accept
  ct state established accept
  meta nfproto ipv6 drop
  ip saddr {plan.builds} ip daddr {plan.gate_address} tcp dport {plan.egress_port} accept
  ip saddr {plan.builds} drop
  ip daddr {plan.gate_address} tcp dport {{ {ports} }} accept
  drop
}}
chain forward {{ type filter hook forward priority -10; policy accept;
  iifname != "{plan.bridge}" oifname != "{plan.bridge}" accept
  ct state established accept
  oifname "{plan.bridge}" drop
  meta nfproto ipv6 drop
  ip saddr {plan.builds} drop
  {lookups if resolvers() else ""}
  {exceptions}
  ip daddr @blocked drop
  tcp dport 25 drop
  accept
}}
chain postrouting {{ type nat hook postrouting priority 100; policy accept;
  ip saddr {plan.subnet} oifname != "{plan.bridge}" masquerade
}}
}}
"""


def _machine_networks(plan: NetworkPlan) -> list[str]:
    """Addresses and subnets of the machine's own interfaces, other homes' bridges included."""
    answer = json.loads(_run("ip", "-4", "-j", "address"))
    found = [
        IPv4Interface(f"{entry['local']}/{entry['prefixlen']}")
        for link in answer
        for entry in link.get("addr_info", [])
    ]
    networks = {interface.network for interface in found} | {IPv4Network(interface.ip) for interface in found}
    return sorted(str(network) for network in networks if not network.overlaps(plan.subnet))


def _hardware_address(link: str) -> str:
    """What it has now; once it is set, it stays. Else a bridge takes another one as cables come and go, and whoever learnt
    the last one a moment ago answers to that for seconds."""
    return (Path("/sys/class/net") / link / "address").read_text().strip()


def _default_mtu() -> int:
    routes = json.loads(_run("ip", "-4", "-j", "route", "show", "default") or "[]")
    device = Path("/sys/class/net") / routes[0]["dev"] / "mtu" if routes else None
    return int(device.read_text()) if device and device.exists() else 1500


def _run(*command: str, text: str = "") -> str:
    try:
        return subprocess.run(command, input=text, capture_output=True, check=True, text=True).stdout
    except FileNotFoundError as error:
        raise Permanent(f"{command[0]} is missing on this machine; install iproute2 and nftables") from error
    except subprocess.CalledProcessError as error:
        raise Permanent(f"the machine refused a network for a sandbox: {error.stderr.strip()[:500]}") from error
