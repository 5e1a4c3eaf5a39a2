"""The node agent: turns spec files into sandboxed processes, on one machine.

`python -m k8s.local.agent --home … --socket … --store …`. Level-triggered: it looks at a spec when poked and at all of them
every other second. Ending it (SIGTERM, SIGINT, or −9) leaves instances running; the next agent goes on with them.
`--stop-all` stops every sandbox of the home instead and takes network and groups away; specs stay.
"""

import argparse
import asyncio
import fcntl
import logging
import os
import shutil
import signal
import sys
from pathlib import Path

from k8s.local import artifacts, control, sandbox, sandbox_volume
from k8s.local.fleet import Fleet
from k8s.local.host import Host
from k8s.local.journal import log
from k8s.local.layout import NodeHome, network_plan
from k8s.local.sandbox import Node
from k8s.local.sandbox_cgroup import Cgroups
from k8s.local.sandbox_network import Network

_LOOK_S = 2.0
_SWEEP_LOOKS = 300  # unused bundles are cleared every so many looks
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class Agent:
    """One running agent: follows the specs of its home until shutdown is asked for on its socket."""

    def __init__(self, node: Node) -> None:
        left = sandbox.records(node)
        self._node = node
        self._host = Host(node, left)
        self._fleet = Fleet(self._host, left)
        self._closing = asyncio.Event()

    async def run(self, socket: Path) -> None:
        await asyncio.to_thread(self._fleet.clear_dead)
        self._fleet.look()
        self._host.spares.fill()
        fleet = self._fleet
        verbs = control.Verbs(fleet.poke, fleet.everything, fleet.usage, fleet.samples, self._shut_down)
        server = await control.serve(socket, self._host, verbs)
        log.info(
            "event=ready home=%s bridge=%s", self._node.home.root, self._node.plan.bridge if self._node.network else "-"
        )
        looks = 0
        while not self._closing.is_set():
            try:
                await asyncio.wait_for(self._closing.wait(), _LOOK_S)
            except TimeoutError:
                looks += 1
                await self._look_again(looks)
        server.close()
        socket.unlink(missing_ok=True)

    async def _look_again(self, looks: int) -> None:
        try:
            self._fleet.look()
            if looks % _SWEEP_LOOKS == 0:
                wanted = self._fleet.wanted_digests()
                await asyncio.to_thread(artifacts.clear_unused, self._node.home.bundles, wanted)
        except Exception:  # a file that cannot be read now is looked at again in two seconds
            log.exception("event=look_failed")

    async def _shut_down(self) -> None:
        await self._fleet.close()
        await self._host.spares.close()
        await asyncio.to_thread(clear_machine, self._node)
        self._closing.set()


def clear_machine(node: Node) -> None:
    """Stop whatever sandbox is left and take away what the machine holds for them; specs, volumes and logs stay."""
    for record in sandbox.records(node):
        sandbox.clear(node, record)
    for cloud_id, name in node.cgroups.sandboxes():
        node.cgroups.clear(cloud_id, name)
    disks = [*(node.home.root / "volumes").glob("*/*"), *(node.home.root / "cache").glob("*")]
    disks += (node.home.root / "work").glob("*/*")
    for folder in {path.with_suffix("") for path in disks}:
        sandbox_volume.release(folder)
    if node.network:
        for slot in node.network.slots():
            node.network.disconnect(slot)
        node.network.remove()
    node.cgroups.remove()


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m k8s.local.agent", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, required=True, help="the node's state")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True, help="the artifact store")
    parser.add_argument("--gate-port", type=int, default=8000)
    parser.add_argument("--tls-port", type=int, default=8443)
    parser.add_argument("--console-host", default="freehold.localhost")
    parser.add_argument("--runtime", type=Path, help="what Python sandboxes get beside the app")
    parser.add_argument("--uv", type=Path, help="the uv program, for builds")
    parser.add_argument(
        "--ca-file", type=Path, action="append", default=[], help="a certificate to trust inside, beside the system's"
    )
    parser.add_argument("--allow-net", action="append", default=[], metavar="CIDR", help="a blocked range to allow")
    parser.add_argument("--allow-unisolated", action="store_true", help="run apps without root, without isolation")
    parser.add_argument("--stop-all", action="store_true", help="stop every sandbox of this home and end")
    return parser.parse_args(arguments)


def build_node(options: argparse.Namespace) -> Node:
    """Folders, network plan and limits from the command line. Ends the program with a sentence where it cannot go on."""
    home = NodeHome(options.home.resolve())
    home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.run.mkdir(exist_ok=True)
    if not shutil.which("bwrap"):
        sys.exit("bubblewrap is missing: install it (Debian: apt-get install bubblewrap) and start again")
    plan, isolated = network_plan(home.root), os.geteuid() == 0
    return Node(
        home=home,
        plan=plan,
        store=options.store.resolve(),
        network=Network(plan, (options.gate_port, options.tls_port), tuple(options.allow_net)) if isolated else None,
        cgroups=Cgroups.find(plan.cgroup) if isolated else Cgroups(plan.cgroup, ()),
        console_host=options.console_host,
        builder=_copy_builder(home),
        runtime=options.runtime,
        uv=options.uv,
        trusted=_trusted(home, options.ca_file),
    )


def _copy_builder(home: NodeHome) -> Path:
    """Our program for the inside of builds, readable by every cloud's user however private the checkout is."""
    inside = home.root / "inside" / "builder"
    inside.mkdir(parents=True, exist_ok=True)
    for source in (Path(__file__).resolve().parent.parent / "runtimes" / "builder").glob("*.py"):
        draft = inside / f".{source.name}"
        draft.write_bytes(source.read_bytes())
        draft.chmod(0o644)
        draft.replace(inside / source.name)  # a sandbox may be starting from the old one
    return inside


def _trusted(home: NodeHome, ca_files: list[Path]) -> Path | None:
    """The system's certificates and ours in one file, since every language reads exactly one."""
    parts = [file.read_text() for file in (_SYSTEM_BUNDLE, *ca_files) if file.exists()]
    if not parts:
        return None
    bundle = home.root / "trusted.pem"
    bundle.write_text("\n".join(parts))
    bundle.chmod(0o644)
    return bundle


def check_isolation(node: Node, *, allowed: bool) -> None:
    """Say in one line what is not isolated; end the program where that was not asked for."""
    lacking = [f"no limits of {name}" for name in node.cgroups.missing()]
    if node.network is None:
        lacking = ["apps share this machine's network and user", *lacking]
    if lacking:
        log.warning("event=not_isolated detail=%s", "; ".join(lacking).replace(" ", "_"))
    if node.network is None and not allowed:
        sys.exit("apps would not be isolated from this machine: run as root, or pass --allow-unisolated")


def hold(home: NodeHome) -> int:
    """The descriptor that makes this the home's only agent. Ends the program when there is another one."""
    descriptor = os.open(home.root / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another node agent already works on {home.root}")
    return descriptor


async def _main(node: Node, socket: Path) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not an orderly end: that would run the clean-up of every task, and instances are to stay.
        loop.add_signal_handler(number, os._exit, 0)
    if node.network:
        await asyncio.to_thread(node.network.prepare)
    await Agent(node).run(socket)


def main(arguments: list[str]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s level=%(levelname)s %(message)s", stream=sys.stderr)
    options = parse(arguments)
    os.umask(0o022)  # what sandboxes are to read is made by this process; the home itself is closed
    node = build_node(options)
    hold(node.home)
    if options.stop_all:
        clear_machine(node)
        return
    check_isolation(node, allowed=options.allow_unisolated)
    asyncio.run(_main(node, options.socket))


if __name__ == "__main__":
    main(sys.argv[1:])
