"""The first program in an app's sandbox: prepares what servers expect and starts the micro's command.

Standard library only; run it as `python3 -I -S launch.py` (about 10 ms). By default it stays: it starts the command in a
process group of its own, forwards SIGTERM and SIGINT to that group, reaps what the app leaves behind (it may be process 1)
and exits with the command's code (128 + n after signal n). With `--exec` it becomes the command instead, for sandboxes
that already have a process 1 which reaps; that saves the memory of one interpreter per micro.
"""

import os
import signal
import sys

USAGE = (
    "usage: launch.py [--exec] [--bundle DIR] [--root DIR] [--port N] [--python-path DIR]… [--runtime DIR] -- COMMAND"
)

# The whole group is asked to end. The shell between must not be the first to go: with process 1's child gone, the app would
# be killed in the middle of saving. With a trap it waits for the app, and then starts nothing further.
PATIENT = "trap 'exit 143' TERM\n"


def main(arguments: list[str]) -> int:
    options, command = parse(arguments)
    environment = prepare(dict(os.environ), options)
    os.chdir(under(options["--bundle"][0], options["--root"][0]))
    if "--exec" in options:
        os.setsid()
        os.execve("/bin/sh", ["sh", "-c", PATIENT + command], environment)  # noqa: S606
    return supervise(command, environment)


def parse(arguments: list[str]) -> tuple[dict[str, list[str]], str]:
    """({option: values}, shell line). Ends the program with code 2 when the arguments make no sense."""
    options: dict[str, list[str]] = {"--bundle": ["/bundle"], "--root": ["."], "--port": ["8080"], "--python-path": []}
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            break
        if word == "--exec":
            options[word] = []
        elif word == "--python-path":
            options[word].append(next(rest, ""))
        elif word in ("--bundle", "--root", "--port", "--runtime"):
            options[word] = [next(rest, "")]
        else:
            sys.exit(f"{USAGE}\nunknown option: {word}")
    command = " ".join(rest)
    if not command:
        sys.exit(USAGE)
    return options, command


def prepare(environment: dict[str, str], options: dict[str, list[str]]) -> dict[str, str]:
    """The app's environment: the port under every name a server may look for, and where its packages are."""
    port, bundle = options["--port"][0], options["--bundle"][0]
    packages = [under(bundle, path) for path in options["--python-path"]]
    environment.pop("HOSTNAME", None)  # Next.js and others would bind to it
    environment.update(PORT=port, UVICORN_PORT=port, UVICORN_HOST="0.0.0.0")  # noqa: S104
    if packages or "--runtime" in options:
        # The app's own packages win over what we bring.
        places = [*packages, *options.get("--runtime", []), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = ":".join(place for place in places if place)
    own = [f"{path}/bin" for path in packages] + [under(bundle, options["--root"][0]) + "/node_modules/.bin"]
    environment["PATH"] = ":".join([*own, environment.get("PATH", "/usr/bin:/bin")])
    return environment


def under(bundle: str, path: str) -> str:
    return os.path.normpath(os.path.join(bundle, path))  # noqa: PTH118 (pathlib costs 10 ms of every start)


def supervise(command: str, environment: dict[str, str]) -> int:
    """Start the command, pass signals on to its group, reap everything, and return its code."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.execve("/bin/sh", ["sh", "-c", PATIENT + command], environment)  # noqa: S606
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: forward(child, received))
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def forward(group: int, number: int) -> None:
    try:  # noqa: SIM105 (contextlib costs time of every start)
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # it ended by itself a moment ago


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
