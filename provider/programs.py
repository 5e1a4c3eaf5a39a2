"""Command lines of the provider's own processes, said once: one machine's process table and a cluster's pods run the same.

`python -m provider.programs NAME` becomes that process as it runs in a pod: it listens on the pod's address, at the port
that its Service in k8s/deploy names, and keeps its files where FREEHOLD_HOME and FREEHOLD_RUN say.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent.parent
# What pods listen on, and Services in k8s/deploy lead to.
WEB, LIVE, STATIC, BUNDLES = 8000, 8001, 8005, 8009
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a pod has one address, and NetworkPolicies say who reaches it


def tool(name: str) -> str:
    """A program that came with a Python package of ours."""
    return str(Path(sys.executable).parent / name)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(_SOURCE / "manage.py"), *arguments)


def web(host: str, port: int) -> tuple[str, ...]:
    where = ("--host", host, "--port", str(port), "--workers", "1", "--backlog", "1024")
    how = ("--interface", "wsgi", "--blocking-threads", "8", "--log-level", "warning")
    return (tool("granian"), *where, *how, "provider.wsgi:application")


def live(host: str, port: int) -> tuple[str, ...]:
    return module("provider.live", "--host", host, "--port", str(port))


def worker() -> tuple[str, ...]:
    threads = ("-P", "threads", "-c", "4", "-l", "warning", "--without-gossip", "--without-mingle")
    return (*module("celery"), "-A", "provider.celery", "worker", *threads)


def beat(schedule: Path) -> tuple[str, ...]:
    """schedule: where it notes when it last sent what; may be lost."""
    return (*module("celery"), "-A", "provider.beat", "beat", "-s", str(schedule), "--pidfile=", "-l", "warning")


def observer() -> tuple[str, ...]:
    return manage("observe")


def gate() -> tuple[str, ...]:
    return module("provider.gate.serve")


def gate_agent() -> tuple[str, ...]:
    return module("provider.gate.agent")


def prepare() -> tuple[str, ...]:
    return manage("prepare")


def tables() -> tuple[str, ...]:
    """Ends well once the database's tables are as this version needs them."""
    return manage("migrate", "--check")


def static(host: str, port: int, store: Path, unpacked: Path, *, clears: bool) -> tuple[str, ...]:
    """store: artifacts by digest. clears: it deletes what nobody wants of `unpacked`, since nobody else does."""
    folders = ("--store", str(store), "--bundles", str(unpacked))
    return module("k8s.runtimes.static", "--listen", f"{host}:{port}", *folders, *(("--clears",) if clears else ()))


def bundles(hosts: Sequence[str], port: int, store: Path) -> tuple[str, ...]:
    listening = [word for host in hosts for word in ("--listen", f"{host}:{port}")]
    return module("k8s.bundles", *listening, "--store", str(store))


# Process → its command line in a pod, from (FREEHOLD_HOME, FREEHOLD_RUN).
IN_A_POD: dict[str, Callable[[Path, Path], tuple[str, ...]]] = {
    "web": lambda home, run: web(_EVERYWHERE, WEB),
    "live": lambda home, run: live(_EVERYWHERE, LIVE),
    "worker": lambda home, run: worker(),
    "beat": lambda home, run: beat(run / "beat"),
    "observer": lambda home, run: observer(),
    "gate": lambda home, run: gate(),
    "gate-agent": lambda home, run: gate_agent(),
    "static": lambda home, run: static(_EVERYWHERE, STATIC, home / "store", home / "unpacked", clears=True),
    "bundles": lambda home, run: bundles((_EVERYWHERE,), BUNDLES, home / "store"),
    "prepare": lambda home, run: prepare(),
    "tables": lambda home, run: tables(),
}


def main(arguments: list[str], environ: Mapping[str, str] = os.environ) -> None:
    """Becomes the process; returns never. Ends with a sentence when there is none of that name."""
    if len(arguments) != 1 or arguments[0] not in IN_A_POD:
        sys.exit(f"python -m provider.programs NAME, one of: {', '.join(IN_A_POD)}")
    home = Path(environ["FREEHOLD_HOME"])
    command = IN_A_POD[arguments[0]](home, Path(environ.get("FREEHOLD_RUN") or home / "run"))
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
