"""Starting and stopping the single-node cluster."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from k8s.testbed import configuration, credentials, images
from k8s.testbed.daemons import Daemons
from k8s.testbed.place import BRIDGE, NODE, SERVICE_RANGE, Place

_KUBELET_PORT = 10250
_STOP_ORDER = ("containerd", "scheduler", "controller-manager", "apiserver", "etcd")


def up(place: Place, *, control_plane_only: bool = False) -> Path:
    """Start what does not run yet; returns the admin kubeconfig. Raises SystemExit beside somebody else's node."""
    if not control_plane_only:
        _refuse_beside_another(place)
    place.state.mkdir(parents=True, exist_ok=True)
    credentials.ensure(place)
    daemons = Daemons(place.state)
    _start_control_plane(place, daemons)
    if not control_plane_only:
        _start_node(place, daemons)
    return place.kubeconfig


def down(place: Place, *, wipe: bool = False) -> None:
    """Stop the pods, then each daemon by its own id; `wipe` also forgets all state. Not running is success."""
    if not place.state.is_dir():
        return
    daemons = Daemons(place.state)
    had_node = (place.state / "kubelet").is_dir()
    for name in ("kubelet", "proxy"):
        daemons.stop(name)
    if daemons.running("containerd"):
        _remove_containers(place)
    for name in _STOP_ORDER:
        daemons.stop(name)
    if wipe:
        _wipe(place, had_node)


def crash(place: Place) -> None:
    """Kill −9 what turns objects into containers, and start it again; the containers live on."""
    daemons = Daemons(place.state)
    for name in ("kubelet", "controller-manager", "scheduler"):
        daemons.kill(name)
    up(place)
    # The Node object still says Ready from before: ask the kubelet itself.
    daemons.wait_for("the kubelet", lambda: _accepts(_KUBELET_PORT))


def _refuse_beside_another(place: Place) -> None:
    known = (place.state / "proxy.json").exists()  # until a wipe, which takes the chains along
    if not known and ":KUBE-SERVICES" in _output("iptables-save"):
        raise SystemExit(
            "testbed: this machine already runs a Kubernetes node (KUBE chains in iptables): set KUBECONFIG"
        )


def _start_control_plane(place: Place, daemons: Daemons) -> None:
    commands = configuration.control_plane(place)
    for name in ("etcd", "apiserver"):
        daemons.start(name, commands.pop(name))
    daemons.wait_for("the apiserver", _asking(place, "get", "--raw", "/readyz"))
    for name, command in commands.items():
        daemons.start(name, command)
    kubectl = ("kubectl", "--kubeconfig", str(place.kubeconfig), "apply", "--filename", "-")
    subprocess.run(kubectl, input=json.dumps(configuration.STORAGE_CLASS), text=True, check=True, capture_output=True)
    daemons.wait_for("the default namespace", _asking(place, "get", "namespace", "default"))


def _start_node(place: Place, daemons: Daemons) -> None:
    configuration.write_node_files(place)
    daemons.start("containerd", ("containerd", "--config", "containerd/config.toml"))
    daemons.wait_for("containerd", lambda: _succeeds(*place.ctr, "version"))
    images.ensure_pause(place)
    _keep_services_here()
    for name, command in configuration.node(place).items():
        daemons.start(name, command)
    jsonpath = '{.status.conditions[?(@.type=="Ready")].status}'
    daemons.wait_for(
        f"the node {NODE}", _asking(place, "get", "node", NODE, "-o", f"jsonpath={jsonpath}", expect="True")
    )


def _keep_services_here() -> None:
    """Addresses of Services that are gone must be refused: a router of this machine's network may answer for anything.

    After kube-proxy's translation, so Services that exist never meet the rule; `_wipe` knows it by its comment.
    """
    for chain in ("OUTPUT", "FORWARD"):
        rule = (chain, "-d", SERVICE_RANGE, "-m", "comment", "--comment", "KUBE-TESTBED", "-j", "REJECT")
        if not _succeeds("iptables", "--check", *rule):
            subprocess.run(("iptables", "--append", *rule), check=True)


def _remove_containers(place: Place) -> None:
    for task in _output(*place.ctr, "tasks", "ls", "-q").split():
        _succeeds(*place.ctr, "tasks", "kill", "--signal", "SIGKILL", task)
        _succeeds(*place.ctr, "tasks", "rm", "--force", task)
    for container in _output(*place.ctr, "containers", "ls", "-q").split():
        _succeeds(*place.ctr, "containers", "rm", container)


def _wipe(place: Place, had_node: bool) -> None:
    """`up` refuses to start beside another node, so chains, bridge and addresses of a node's are this one's."""
    if had_node:
        rules = _output("iptables-save").splitlines(keepends=True)
        kept = "".join(rule for rule in rules if "KUBE-" not in rule)
        if len(kept) != len("".join(rules)):
            subprocess.run(("iptables-restore",), input=kept, text=True, check=True)
        _succeeds("ip", "link", "delete", BRIDGE)
        shutil.rmtree("/var/lib/cni/networks/pods", ignore_errors=True)
    for _ in range(20):  # a mount may come free only once what it carries is gone
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        ours = [mount for mount in mounts if mount.startswith(f"{place.state}/")]
        if not ours:
            break
        for mount in reversed(ours):
            _succeeds("umount", "--lazy", mount)
        time.sleep(0.1)
    shutil.rmtree(place.state)


def _asking(place: Place, *arguments: str, expect: str = "") -> Callable[[], bool]:
    command = ("kubectl", "--kubeconfig", str(place.kubeconfig), "--request-timeout=5s", *arguments)

    def ask() -> bool:
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode == 0 and expect in done.stdout

    return ask


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout
