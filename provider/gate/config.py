"""The proxy's configuration, rendered from settings. Imports no Django: `manage.py up` starts the gate before it."""

import hashlib
import os
import pwd
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from k8s.naming import FORMER_DATA_HOSTS
from provider.gate import errors, limits, pages
from provider.gate.appsession import cookie_name
from provider.gate.limits import Limits
from tenants.action_token import action_token

HERE = Path(__file__).resolve().parent
# Filled by the agent over the control socket. Empty at every start, so a gate without an agent knows no host and no key.
MAPS = (
    *("hosts", "moving", "mounts", "upstreams", "waking", "classes", "revoked", "keys", "state"),
    *("data", "servers", "sign", "fresh", "datakeys"),  # provider/gate/feed_data.py
    *("appkeys", "guests", "public"),  # provider/gate/feed_access.py
    *("used", "streams"),  # filled by the proxy itself: keys that programs used and when, and whose each open stream is
)
# A path that can be no other in disguise, and no reserved one; the start of a pattern.
_PLAIN_PATH = "^(/(?!__)[A-Za-z0-9_~-][A-Za-z0-9_.~+@,=:!$-]*)*/?"
# Where apps reach their data: by DETA_BASE_HOST, and by what the former platform called it.
DATA_HOSTS = ("localhost", *FORMER_DATA_HOSTS)


@dataclass(frozen=True)
class GateConfig:
    """home: FREEHOLD_HOME, run: FREEHOLD_RUN. addresses: where the public listens; bridge: the sandboxes' side, "" if none.

    data_host: a name of this installation's own for data, "" if none.

    web, live, static: "address:port". certificate: a PEM file with chain and key; None: no https. Rates are requests per
    10 s: console_rate and ask_rate per client address (of IPv6 ones the first 64 bits), host_rate per collection.
    client_connections: open ones of a client address. classes: limits of instances. body_limit_bytes: the console's.
    asks_at_once: decisions that one thread of the proxy waits for at the same time.
    """

    home: Path
    run: Path
    addresses: tuple[str, ...]
    bridge: str
    port: int
    tls_port: int
    certificate: Path | None
    console_host: str
    data_host: str
    web: str
    live: str
    static: str
    secret: str
    body_limit_bytes: int
    actions: str
    action_limit_s: int = 20
    console_rate: int = 5_000
    ask_rate: int = 3_000
    host_rate: int = 500_000
    host_connections: int = 2_000
    client_connections: int = 2_000
    classes: Mapping[str, Limits] = field(default_factory=lambda: limits.CLASSES)
    asks_at_once: int = 256
    max_connections: int = 8_192
    threads: int = 2
    metrics: str = (
        ""  # "address:port" where the proxy's numbers can be fetched, besides its inner socket; empty: nowhere
    )

    @property
    def folder(self) -> Path:
        return self.home / "gate"

    @property
    def control_socket(self) -> Path:
        return self.run / "gate.sock"

    @property
    def inner_socket(self) -> Path:
        """Answers `GET /ready` (200 once the maps are loaded) and `GET /metrics` (Prometheus text)."""
        return self.run / "gate-inner.sock"

    @property
    def configuration(self) -> Path:
        return self.folder / "haproxy.cfg"


def from_environment(environ: Mapping[str, str] = os.environ) -> GateConfig:
    """The names are those of provider/settings.py and of the supervisor. Raises KeyError naming what must be set."""
    home = Path(environ["FREEHOLD_HOME"])
    certificate = Path(environ.get("FREEHOLD_CERTIFICATE") or home / "gate.pem")
    run = Path(environ.get("FREEHOLD_RUN") or home / "run")
    console = environ.get("FREEHOLD_CONSOLE_URL", "http://freehold.localhost:8000")
    return GateConfig(
        home=home,
        run=run,
        addresses=tuple(environ.get("FREEHOLD_GATE_BIND", "127.0.0.1").split(",")),
        bridge=environ.get("FREEHOLD_GATE_BRIDGE", ""),
        port=int(environ.get("FREEHOLD_PORT", "8000")),
        tls_port=int(environ.get("FREEHOLD_TLS_PORT", "8443")),
        certificate=certificate if certificate.exists() else None,
        console_host=urlsplit(console).hostname or "freehold.localhost",
        data_host=environ.get("FREEHOLD_DATA_HOST", "").partition(":")[0].lower(),
        web=environ["FREEHOLD_WEB_ADDR"],
        live=environ["FREEHOLD_LIVE_ADDR"],
        static=environ.get("FREEHOLD_STATIC_ADDR", "127.0.0.1:8005"),
        secret=environ["FREEHOLD_GATE_SECRET"],
        # A bundle and what a multipart form adds to it.
        body_limit_bytes=(int(environ.get("FREEHOLD_BUNDLE_LIMIT_MIB", "250")) + 1) * 1024 * 1024,
        actions=environ.get("FREEHOLD_ACTIONS_ADDR") or f"unix:{run}/gate-actions.sock",
        console_rate=int(environ.get("FREEHOLD_GATE_CONSOLE_RATE", "5000")),
        ask_rate=int(environ.get("FREEHOLD_GATE_ASK_RATE", "3000")),
        client_connections=int(environ.get("FREEHOLD_GATE_CLIENT_CONNECTIONS", "2000")),
        classes=limits.parse(environ.get("FREEHOLD_GATE_LIMITS", "")),
        metrics=environ.get("FREEHOLD_GATE_METRICS", ""),
    )


def render(config: GateConfig) -> str:
    """The text of haproxy.cfg."""
    paths = {"maps": config.folder, "pages": config.folder, "lua_file": HERE / "decide.lua"}
    paths |= {"data_lua_file": HERE / "data.lua", "hold_lua_file": HERE / "hold.lua"}
    paths |= {"actions_lua_file": HERE / "actions.lua"}
    paths |= {"public_lua_file": HERE / "public.lua"}
    values = vars(config) | paths | {"control_socket": config.control_socket, "inner_socket": config.inner_socket}
    values |= {"privileges": _privileges(), "data_hosts": " ".join(_data_hosts(config))}
    values |= {"plain_path": _PLAIN_PATH, "refusals": _refusals(values)}
    values["least_rate"] = min(one.requests for one in config.classes.values())
    values["least_open"] = min(one.open for one in config.classes.values())
    values |= {"errors": errors.pages(config.folder), "errors_for_programs": errors.for_programs()}
    values |= {"away": errors.console_pages(config.folder), "away_for_programs": errors.console_for_programs()}
    values["console_rules"] = _fill("console.cfg.template", values).strip()
    values["access_rules"] = _fill("access.cfg.template", values).rstrip()
    values["stream_rules"] = _fill("streams.cfg.template", values).rstrip()
    values["cookie_rules"] = _fill("cookies.cfg.template", values).rstrip()
    values["answer_rules"] = _fill("answers.cfg.template", values).rstrip()
    values["again_onward_rules"] = _fill("again_onward.cfg.template", values).rstrip()
    values["onward_rules"] = _fill("onward.cfg.template", values).rstrip()
    values["limited"] = _fill("limited.cfg.template", values).rstrip()
    values["asset_rules"] = _fill("assets.cfg.template", values).rstrip()
    values["instance_rules"] = _fill("instances.cfg.template", values).rstrip()
    values["data_rules"] = _fill("data.cfg.template", values).rstrip()
    token = action_token(config.secret)
    values |= {"actions_token_sha256": hashlib.sha256(token.encode()).hexdigest(), "gate_name": secrets.token_hex(8)}
    unix = config.actions.startswith("unix:")
    values |= {"actions_bind": f"unix@{config.actions.removeprefix('unix:')} mode 600" if unix else config.actions}
    values["action_rules"] = _fill("actions.cfg.template", values).rstrip()
    values["metrics_bind"] = f"bind {config.metrics}" if config.metrics else ""
    values["frontends"] = _frontends(config, values)
    return _fill("haproxy.cfg.template", values)


def _data_hosts(config: GateConfig) -> list[str]:
    return [*dict.fromkeys(host for host in (config.data_host, *DATA_HOSTS) if host)]


def write(config: GateConfig) -> Path:
    """Write haproxy.cfg, empty maps and pages into FREEHOLD_HOME/gate (0700) and return haproxy.cfg. Repeating is safe."""
    config.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in MAPS:
        _private(config.folder / f"{name}.map", "")
    # What a class means stands in the configuration; which class an instance is of, the agent says.
    for name, figure in (("rates", "requests"), ("opens", "open")):
        lines = (f"{rate_class} {getattr(one, figure)}\n" for rate_class, one in config.classes.items())
        _private(config.folder / f"{name}.map", "".join(lines))
    for name, page in pages.FIXED.items():
        _private(config.folder / f"{name}.html", page)
    _private(config.configuration, render(config))
    return config.configuration


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _fill(template: str, values: Mapping[str, object]) -> str:
    """The template with every <<name>> replaced; several lines keep the indentation of the first. KeyError if unknown."""
    return re.sub(r"<<(\w+)>>", lambda found: str(values[found[1]]), (HERE / template).read_text())


def _privileges() -> str:
    """Debian's package makes a user for the proxy; sockets and files are opened before root is given up."""
    try:
        pwd.getpwnam("haproxy")
    except KeyError:
        return ""
    return "user haproxy\n  group haproxy" if os.geteuid() == 0 else ""


def _frontends(config: GateConfig, values: Mapping[str, object]) -> str:
    """One that reads http and, by the first byte, hands TLS on; one that ends TLS. The same rules in both."""
    plain = {"name": "plain", "scheme": "http", "mode": "tcp", "sniff": _SNIFF, "to_tls": ""}
    plain |= {"binds": _binds(config, config.port)}
    if config.certificate is None:
        return _frontend(plain, values)
    hop = f"abns@freehold-gate-{hashlib.sha256(str(config.run).encode()).hexdigest()[:12]}"
    # The second certificate is for clients inside sandboxes that name the former platform's data hosts.
    former = config.home / "former.pem"
    files = (config.certificate, former) if former.exists() else (config.certificate,)
    ends_tls = f"ssl {' '.join(f'crt {file}' for file in files)} alpn h2,http/1.1"
    binds = f"{_binds(config, config.tls_port, ends_tls)}\n  bind {hop} accept-proxy {ends_tls}"
    secure = {"name": "secure", "scheme": "https", "mode": "http", "sniff": "", "to_tls": "", "binds": binds}
    plain["to_tls"] = "use_backend to_tls if { req.payload(0,1) -m bin 16 }"
    to_tls = f"backend to_tls\n  mode tcp\n  server tls {hop} send-proxy-v2\n\n"
    return to_tls + _frontend(plain, values) + _frontend(secure, values)


def _frontend(which: Mapping[str, str], values: Mapping[str, object]) -> str:
    own = {**values, **which, "cookie": cookie_name(which["scheme"])}
    own["again_rules"] = _fill("again.cfg.template", own).rstrip()
    own["known_rules"] = _fill("known.cfg.template", own).rstrip()
    return _fill("frontend.cfg.template", own)


# 0x16 begins every TLS handshake and no request line.
_SNIFF = """tcp-request inspect-delay 5s
  tcp-request content accept if { req.payload(0,1) -m bin 16 }
  tcp-request content switch-mode http if { req.len gt 0 }
  tcp-request content reject if WAIT_END"""


def _refusals(values: Mapping[str, object]) -> str:
    kinds = {"people": errors.undecided(Path(str(values["pages"]))), "programs": errors.undecided_for_programs()}
    return "".join(
        _fill("refusals.cfg.template", {**values, "name": f"refusals_of_{who}", "undecided": said})
        for who, said in kinds.items()
    )


def _binds(config: GateConfig, port: int, more: str = "") -> str:
    lines = [f"bind {address}:{port} {more}".rstrip() for address in config.addresses]
    if config.bridge:
        # `transparent`: the bridge may be made again while the gate runs.
        lines.append(f"bind {config.bridge}:{port} transparent {more}".rstrip())
    return "\n  ".join(lines)
