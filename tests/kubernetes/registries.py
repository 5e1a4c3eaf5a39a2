"""How builds in pods of the testbed reach package registries: its cluster has no DNS, and its images know the certificates
of Debian alone. A proxy on this machine leads to what pip and npm are configured for, as one does for builds of the local
driver.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k8s.local.egress import Proxy, find_registries
from tests.contract.kubernetes_lane import BRIDGE_ADDRESS

_OWN_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")


@contextmanager
def reachable() -> Iterator[dict[str, str]]:
    """Variables of builds that lead there, for as long as this is open."""
    registries = find_registries()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = Proxy(registries.hosts, lambda *_: None).serve(BRIDGE_ADDRESS, 0)
    server = asyncio.run_coroutine_threadsafe(serving, loop).result(30)
    port = server.sockets[0].getsockname()[1]
    try:
        yield {**dict.fromkeys(_NAMES, f"http://{BRIDGE_ADDRESS}:{port}"), **registries.environment}
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def own_certificates() -> list[Path]:
    """What was added to Debian's on this machine, and may stand between it and the registries."""
    return sorted(_OWN_CERTIFICATES.glob("*.crt"))
