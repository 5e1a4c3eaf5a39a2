"""`freehold` as somebody has it on their machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from tests.free_ports import free_port
from tests.journey.people import Person
from tests.journey.stack import SOURCE


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


@dataclass(frozen=True)
class CommandLine:
    """With a config folder and folders of its owner's own."""

    folder: Path
    url: str

    def __call__(self, *words: str, given: str = "", cwd: Path | None = None) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "provider.cli.main", *words],
            cwd=cwd or self.folder,
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=900,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def developing(self, folder: Path) -> Iterator[str]:
        """`freehold dev` in `folder`; its address, once it answers there."""
        port = free_port()
        words = (sys.executable, "-m", "provider.cli.main", "dev", "--port", str(port))
        process = subprocess.Popen(words, cwd=folder, env=self._environment, stdout=subprocess.PIPE, text=True)
        try:
            said = list(takewhile(lambda line: "is your app" not in line, process.stdout or ()))
            assert process.poll() is None, "".join(said)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=60)

    @property
    def _environment(self) -> dict[str, str]:
        ours = {"XDG_CONFIG_HOME": str(self.folder / "config"), "FREEHOLD_URL": self.url, "PYTHONPATH": str(SOURCE)}
        return os.environ | ours

    def ok(self, *words: str, cwd: Path | None = None) -> dict[str, Any]:
        """The JSON document of a command that succeeds."""
        answer = self(*words, "--json", cwd=cwd)
        assert answer.code == 0, answer.out + answer.err
        return answer.document


def signed_in(who: Person, folder: Path) -> CommandLine:
    """The command line of somebody who has signed in there; `folder` is made."""
    folder.mkdir()
    freehold = CommandLine(folder, who.stack.console)
    done = freehold("login", "--email", who.email, "--password-stdin", given=who.password + "\n")
    assert done.code == 0, done.err
    return freehold


def laid_out(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def published(developer: CommandLine, installer: CommandLine, folder: Path, *options: str) -> str:
    """Push what is in `folder`, release it, and install it as somebody else; returns the address of their copy."""
    pushed = developer.ok("push", *options, cwd=folder)
    if "--no-install" not in options:
        assert pushed["instance"]["state"] == "running"
    developer.ok("release", "--version", "1", cwd=folder)
    return str(installer.ok("install", pushed["project"])["instance"]["url"])
