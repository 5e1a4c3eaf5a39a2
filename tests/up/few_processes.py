"""The supervisor with a table of small programs: `python -m tests.up.few_processes --home HOME …` as `manage.py up`.

Each is /bin/sh or Python and behaves in one way that matters: steady, crashing, forking, deaf to signals.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from provider.up import command, home, ports, status
from provider.up.process import Probe, Process
from provider.up.supervisor import Supervisor, end_leftovers
from provider.up.table import bare_environment

FORKING = "import os, time; os.fork(); open(os.environ['FREEHOLD_HOME'] + '/forking', 'w').close(); time.sleep(3600)"
DETACHING = (
    "import os, subprocess, time; subprocess.Popen(['sleep', '3600'], start_new_session=True);"
    "open(os.environ['FREEHOLD_HOME'] + '/keeping', 'w').close(); time.sleep(3600)"
)


def wrote(path: Path) -> Probe:
    async def probe(started_at: float) -> str:
        return "" if path.exists() and path.stat().st_mtime >= started_at - 1 else "has not written yet"

    return probe


def table(place: home.Home) -> tuple[Process, ...]:
    env = bare_environment(place)

    def process(name: str, *argv: str, **more: object) -> Process:
        return Process(name, argv, env, **more)  # type: ignore[arg-type]

    return (
        process("first", "sh", "-c", "sleep 0.2; echo done", once=True),
        process("steady", "sleep", "3600", after=("first",)),
        process("crashing", "sh", "-c", "echo what went wrong; exit 3"),
        process("deaf", "sh", "-c", "trap '' TERM; while :; do sleep 1; done", stop_timeout_s=0.5),
        # As Redis, which loses its environment: only its number and start say whose it is.
        process("nameless", "env", "-i", "sh", "-c", "trap '' TERM; while :; do sleep 1; done", stop_timeout_s=0.5),
        process("forking", sys.executable, "-c", FORKING, probe=wrote(place.path / "forking")),
        process(
            "keeping",
            sys.executable,
            "-c",
            DETACHING,
            probe=wrote(place.path / "keeping"),
            keeps_children=True,
        ),
    )


async def run(path: Path) -> None:
    place = home.prepare(path)
    home.lock(place)
    await end_leftovers(place)
    ports.choose(place.path)
    supervisor = Supervisor(place, table(place))
    command.listen_for_signals(supervisor)
    await status.serve(supervisor)
    await supervisor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    asyncio.run(run(parser.parse_args().home))
