"""The process table of `manage.py up`. A new process is one entry in `services`; docs/architecture.md lists them too.

A process is listed after those that it needs; stopping goes the other way.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from k8s.naming import FORMER_DATA_HOSTS
from provider import programs
from provider.up import node, postgres, probes
from provider.up.child import SOURCE
from provider.up.cluster import Kubernetes
from provider.up.firsttime import Catalog
from provider.up.home import Home
from provider.up.process import Process

LOOPBACK = "127.0.0.1"
CONSOLE_HOST = "freehold.localhost"
APPS_DOMAIN = "apps.localhost"
# What the platform's own variables are called: everything else of the person's environment (proxies, package mirrors)
# is handed on.
OWN_NAMES = ("FREEHOLD_", "DATABASE_URL", "REDIS_URL", "CLUSTER_URL", "SECRET_KEY", "DJANGO_", "PYTEST_")
GATE_LAG_S = 5.0  # without the agent's heartbeat for this long cookies stop counting
PREPARE_RUNTIME = (
    "import sys; from pathlib import Path; from k8s.runtimes.python.prepare import prepare;"
    "prepare(Path(sys.argv[1]), Path(sys.argv[2]))"
)


@dataclass(frozen=True)
class Plan:
    """What one run of `manage.py up` was asked to do.

    preparation: what `manage.py prepare` needs in its environment, None where there is nothing to prepare.
    cluster: where clouds are, None: on this machine.
    """

    home: Home
    port: int
    tls_port: int
    database: postgres.Cluster
    secrets: Mapping[str, str]
    preparation: Mapping[str, str] | None
    cluster: Kubernetes | None = None


def bare_environment(home: Home) -> dict[str, str]:
    """For programs that are not ours and need none of our secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_NAMES)}
    return kept | {"FREEHOLD_HOME": str(home.path), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def settings(plan: Plan) -> dict[str, str]:
    """What provider/settings.py and the agents read. Policy that the person set in the environment wins."""
    home, ports = plan.home, plan.home.ports
    policy = {
        "FREEHOLD_SIGNUP": "open",
        "FREEHOLD_EMAIL_VERIFICATION": "none",
        "FREEHOLD_EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
    }
    chosen = {name: value for name, value in os.environ.items() if name.startswith("FREEHOLD_")}
    fixed = {
        "FREEHOLD_HOME": str(home.path),
        "FREEHOLD_RUN": str(home.run),
        "FREEHOLD_PORT": str(plan.port),
        "FREEHOLD_TLS_PORT": str(plan.tls_port),
        "FREEHOLD_CONSOLE_URL": f"http://{CONSOLE_HOST}:{plan.port}",
        "FREEHOLD_TRUSTED_ORIGINS": f"https://{CONSOLE_HOST}:{plan.tls_port}",
        "FREEHOLD_APPS_DOMAIN": APPS_DOMAIN,
        "FREEHOLD_WEB_ADDR": f"127.0.0.1:{ports.web}",
        "FREEHOLD_LIVE_ADDR": f"127.0.0.1:{ports.live}",
        "FREEHOLD_STATIC_ADDR": f"127.0.0.1:{ports.static}",
        "FREEHOLD_METRICS_PORT": str(ports.metrics),
        "DATABASE_URL": plan.database.url(),
        "REDIS_URL": f"unix://{home.redis_socket}",
        "DJANGO_SETTINGS_MODULE": "provider.settings",
    }
    if plan.cluster:
        fixed["CLUSTER_URL"] = plan.cluster.complete(home, (plan.port, plan.tls_port))
        # In a pod `localhost` is the pod itself, and curl takes no other address for names below it.
        fixed["FREEHOLD_DATA_HOST"] = f"{FORMER_DATA_HOSTS[0]}:{plan.tls_port}"
    private = {"FREEHOLD_DB_PASSWORD", "FREEHOLD_DB_OWNER_PASSWORD"}  # inside DATABASE_URL, or nobody's business
    inherited = bare_environment(home) | policy | chosen
    return inherited | {n: v for n, v in plan.secrets.items() if n not in private} | fixed


def redis_server(socket: Path) -> tuple[str, ...]:
    """Keeps nothing on disk: whatever is in Redis may be lost at any time."""
    where = ("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(socket.parent))
    return ("redis-server", *where, "--save", "", "--appendonly", "no", "--maxmemory", "128mb", "--loglevel", "warning")


def stores(plan: Plan) -> tuple[Process, ...]:
    return (
        Process(
            name="postgres",
            argv=plan.database.server(),
            env=bare_environment(plan.home),
            probe=probes.postgres(plan.database.port, postgres.APP, postgres.DATABASE),
            essential=True,
            stop_signal=signal.SIGINT,  # fast: ends sessions, writes a checkpoint
            stop_timeout_s=30,
        ),
        Process(
            name="redis",
            argv=redis_server(plan.home.redis_socket),
            env=bare_environment(plan.home),
            probe=probes.redis(plan.home.redis_socket),
            essential=True,
        ),
    )


def first_steps(plan: Plan) -> tuple[Process, ...]:
    if plan.preparation is None:
        return ()
    env = settings(plan) | dict(plan.preparation)
    return (Process("prepare", programs.prepare(), env, after=("postgres", "redis"), once=True, essential=True),)


def _places(plan: Plan) -> tuple[Process, ...]:
    """What brings code to where it runs, and the server of static micros."""
    home, ports = plan.home, plan.home.ports
    # The static server shares the folder of unpacked artifacts with the node agent, where there is one.
    unpacked = home.path / "node" / "bundles"
    static = programs.static(LOOPBACK, ports.static, home.path / "store", unpacked, clears=plan.cluster is not None)
    runs = _cluster_side(plan, plan.cluster) if plan.cluster else _node(plan)
    packing = programs.module("provider.up.data_program", str(home.path), programs.tool("uv"))
    return (
        *runs,
        Process("data-program", packing, bare_environment(home), once=True),
        Process("static", static, bare_environment(home), probes.tcp(ports.static)),
    )


def _node(plan: Plan) -> tuple[Process, ...]:
    """Instances on this machine: the node agent with what its sandboxes need."""
    home, env = plan.home, settings(plan)
    runtime, uv = home.path / "runtime" / "python", programs.tool("uv")
    return (
        Process("runtime", (sys.executable, "-c", PREPARE_RUNTIME, str(runtime), uv), env, once=True),
        Process(
            name="node",
            argv=programs.module("k8s.local.agent", *node.arguments(home, plan.port, plan.tls_port, CONSOLE_HOST, uv)),
            env=env,
            probe=node.ping(home),
            after=("runtime",),
            keeps_children=True,
            before_stop=node.shutdown(home),
            stop_timeout_s=30,
        ),
    )


def _cluster_side(plan: Plan, cluster: Kubernetes) -> tuple[Process, ...]:
    """Instances in pods, which fetch their code from here. They stay when this machine's part stops."""
    port = plan.home.ports.bundles
    return (
        Process(
            name="bundles",
            argv=programs.bundles((cluster.host, LOOPBACK), port, plan.home.path / "store"),
            env=bare_environment(plan.home) | {"CLUSTER_URL": settings(plan)["CLUSTER_URL"]},
            probe=probes.http(port, "/healthz"),
            after=tuple(process.name for process in first_steps(plan)),
        ),
    )


def _django(plan: Plan) -> tuple[Process, ...]:
    """What answers people and programs, and what works in the background."""
    home, ports, env = plan.home, plan.home.ports, settings(plan)
    data = ("postgres", "redis", *(process.name for process in first_steps(plan)))
    return (
        Process(
            name="web",
            argv=programs.web(LOOPBACK, ports.web),
            env=env | {"FREEHOLD_DB_POOL": "true"},
            probe=probes.http(ports.web, "/ca.pem", CONSOLE_HOST),
            after=data,
        ),
        Process(
            name="live",
            argv=programs.live(LOOPBACK, ports.live),
            env=env | {"FREEHOLD_WAKES_AT_ONCE": "false" if plan.cluster else "true"},
            probe=probes.tcp(ports.live),
            after=data,
        ),
        Process(
            name="worker",
            argv=programs.worker(),
            env=env,
            probe=probes.pulse(home.redis_socket, "freehold:pulse:worker"),
            after=data,
            stop_timeout_s=20,
        ),
        Process(
            name="beat",
            argv=programs.beat(home.run / "beat"),
            env=env,
            probe=probes.pulse(home.redis_socket, "freehold:pulse:beat"),
            after=data,
        ),
        Process("observer", programs.observer(), env, after=data),
    )


def _gate(plan: Plan) -> tuple[Process, ...]:
    home, env = plan.home, settings(plan)
    inside = plan.cluster.host if plan.cluster else node.bridge_address(home)
    return (
        Process(
            name="gate",
            argv=programs.gate(),
            env=env | {"FREEHOLD_GATE_BRIDGE": inside},
            probe=probes.tcp(plan.port),
            after=("web",),
            stop_signal=signal.SIGUSR1,  # lets running requests end
            stop_timeout_s=3,
        ),
        Process(
            name="gate-agent",
            argv=programs.gate_agent(),
            env=env,
            probe=probes.heartbeat(home.run / "gate-agent.json", GATE_LAG_S),
            after=("gate",),
        ),
    )


def services(plan: Plan) -> tuple[Process, ...]:
    return (*_places(plan), *_django(plan), *_gate(plan), *_seed(plan))


def _seed(plan: Plan) -> tuple[Process, ...]:
    if Catalog(plan.home.path, SOURCE).is_published:
        return ()
    running = ("bundles" if plan.cluster else "node", "live", "worker", "beat", "observer", "gate-agent")
    return (Process("seed", programs.manage("seed"), settings(plan), after=running, once=True),)


def full(plan: Plan) -> tuple[Process, ...]:
    return (*stores(plan), *first_steps(plan), *services(plan))
