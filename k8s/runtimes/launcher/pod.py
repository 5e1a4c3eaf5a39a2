"""The launcher in a pod: fetches the micro's bundle, then keeps its process as launch.py does, and says how it ended.

Takes launch.py's arguments; standard library only. In the environment: FREEHOLD_BUNDLE_URL, _TOKEN, _DIGEST,
FREEHOLD_MEMORY_MIB for its words, and FREEHOLD_TRUSTED: certificates to trust beside the image's. The app sees none of them.
"""

import os
import signal
import sys

if not __package__:  # started as a script, isolated from everything else (PEP 366)
    # Process 1 does not hear what it has no handler for: a pod that is deleted as it starts would stay for its whole
    # grace. So this comes before anything else, the other imports included.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    own = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib is one of those imports
    sys.path[:0] = [os.path.dirname(own), "/opt/freehold/lib"]  # noqa: PTH120
    __package__ = os.path.basename(own)  # noqa: PTH119
    __import__(__package__)

from pathlib import Path  # noqa: E402

from . import fetch, launch  # noqa: E402
from .keeping import Outcome, keep  # noqa: E402
from .relay import Listening  # noqa: E402
from .trust import trusting  # noqa: E402

BUNDLES = Path("/bundle")
DRAIN_S = 1.5  # other pods' proxies still send new connections for a moment after TERM


def main(arguments: list[str]) -> int:
    options, command = launch.parse(arguments)
    outcome = Outcome()
    source = fetch.Source.from_environment()
    try:
        bundle = fetch.unpacked(source, BUNDLES)
    except fetch.Unavailable as error:
        return outcome.end(f"could not be prepared: {error}", 78)
    trust = trusting(os.environ.get("FREEHOLD_TRUSTED", ""), BUNDLES)
    options["--bundle"] = [str(bundle)]
    port = int(options["--port"][0])
    environment = launch.prepare({**trust, **_without_ours(dict(os.environ))}, options)
    os.chdir(launch.under(options["--bundle"][0], options["--root"][0]))
    listening = Listening(port)
    code = keep(
        ("/bin/sh", "-c", launch.PATIENT + command), environment, outcome, on_wait=listening.look, drain_s=DRAIN_S
    )
    return outcome.end(_ending(code, outcome, listening), code)


def _ending(code: int, outcome: Outcome, listening: Listening) -> str:
    reason = outcome.describe(code, os.environ.get("FREEHOLD_MEMORY_MIB", ""))
    return reason if listening.seen else f"{reason} before it listened on port {listening.port}"


def _without_ours(environment: dict[str, str]) -> dict[str, str]:
    names = ("BUNDLE_URL", "BUNDLE_TOKEN", "BUNDLE_DIGEST", "MEMORY_MIB", "TRUSTED")
    ours = {f"FREEHOLD_{name}" for name in names}
    return {name: value for name, value in environment.items() if name not in ours}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
