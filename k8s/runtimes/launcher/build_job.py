"""A build in a pod: source from the bundle server, the builder, the result packed and handed in once.

Everything that runs here belongs to the developer, this program included: what counts is checked by the server.
"""

import os
import signal
import sys

if not __package__:  # started as a script, as pod.py is; it says why so
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    own = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120
    sys.path[:0] = [os.path.dirname(own), "/opt/freehold/lib"]  # noqa: PTH120
    __package__ = os.path.basename(own)  # noqa: PTH119
    __import__(__package__)

import hashlib  # noqa: E402
from pathlib import Path  # noqa: E402

from k8s.errors import ClusterError  # noqa: E402
from k8s.local import artifacts  # noqa: E402

from . import fetch  # noqa: E402
from .keeping import Outcome, keep  # noqa: E402
from .trust import trusting  # noqa: E402

WORK = Path("/work")
_BUILDER = ("/usr/bin/python3", "/opt/freehold/builder/build.py", "--uv", "/opt/freehold/bin/uv")
_FAILED = "Build failed: "


def main() -> int:
    outcome, source = Outcome(), fetch.Source.from_environment()
    try:
        outcome.note("unpacking the source")
        _unpack(source)
        reason = _build(outcome)
        if reason:
            return outcome.end(reason, 1)
        outcome.note("packing the result")
        _hand_in(source)
    except (fetch.Unavailable, ClusterError, OSError) as error:
        return outcome.end(f"The build could not be finished: {error}", 1)
    return 0


def _unpack(source: fetch.Source) -> None:
    for name in ("src", "out", "cache"):
        (WORK / name).mkdir()
    zipped = WORK / "source.zip"
    fetch.download(source, zipped)
    artifacts.unpack_source(zipped, WORK / "src")
    zipped.unlink()


def _build(outcome: Outcome) -> str:
    """Why it failed, or nothing."""
    folders = [word for name in ("src", "out", "cache") for word in (f"--{name}", str(WORK / name))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    environment |= trusting(os.environ.get("FREEHOLD_TRUSTED", ""), WORK)
    timeout_s = int(os.environ["FREEHOLD_BUILD_TIMEOUT_S"])
    argv = (*_BUILDER, *folders, "--plan", "/plan/plan.json")
    code = keep(argv, environment, outcome, timeout_s=timeout_s)
    if code == 0:
        return ""
    if code == 124:
        return f"The build took longer than {timeout_s} s."
    sentences = [line for line in outcome.recent if line.startswith(_FAILED.encode())]
    if sentences:
        return sentences[-1].decode(errors="replace").removeprefix(_FAILED)
    return f"The builder {outcome.describe(code, os.environ['FREEHOLD_MEMORY_MIB'])}."


def _hand_in(source: fetch.Source) -> None:
    packed = WORK / "artifact.tar.gz"
    artifacts.pack(WORK / "out", packed, int(os.environ["FREEHOLD_OUTPUT_LIMIT_MIB"]) * 1024**2)
    with packed.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        content.seek(0)
        try:
            source.put(f"/results/sha256:{digest}", content, packed.stat().st_size)
        except fetch.Refused as error:
            raise fetch.Unavailable(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
