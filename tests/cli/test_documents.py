"""The developers' documents name commands and options that there are, and every one that there is."""

import re
import shlex
from typing import Any

import pytest
import typer

from provider.cli.main import app
from tests.cli.conftest import SOURCE

DOCUMENTS = (*sorted((SOURCE / "docs" / "developers").glob("*.md")), SOURCE / "README.md")
OF_EVERY_COMMAND = {"--url", "--json", "--help", "--dir"}  # told of once for all of them


def written() -> list[str]:
    """Every `freehold …` in a block of shell or between backticks, without comments and marks of what is optional."""
    found: list[str] = []
    for document in DOCUMENTS:
        text = document.read_text()
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`(freehold[^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        found += [re.sub(r"[\[\]]|\s#.*", " ", line) for line in lines if line.startswith("freehold ")]
    return sorted({line.replace("\\|", "|").replace("…", "").strip() for line in found})


def resolved(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def options(command: Any) -> set[str]:
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {name for name in own if name.startswith("-")} | {"--help"}


@pytest.mark.parametrize("line", written())
def test_a_command_that_is_written_is_one_with_these_options(line: str) -> None:
    words = shlex.split(line)[1:]
    command, rest = resolved(words)
    assert len(rest) < len(words) or words[0].startswith("-"), f"freehold has no command {words[0]}"
    named = [word.partition("=")[0] for word in (rest[: rest.index("--")] if "--" in rest else rest)]
    assert {word for word in named if re.fullmatch(r"--?[a-z].*", word)} <= options(command)


def test_every_command_is_written_about_with_all_its_options() -> None:
    told: dict[str, set[str]] = {}
    for line in written():
        command = resolved(shlex.split(line)[1:])[0]
        told.setdefault(command.name, set()).update(re.findall(r"--?[a-z][a-z-]*", line))
    untold = [
        f"{name} {'/'.join(names)}"
        for name, command in resolved([])[0].commands.items()
        for names in [[option for option in parameter.opts if option.startswith("-")] for parameter in command.params]
        if names and not set(names) & (told.get(name, set()) | OF_EVERY_COMMAND)
    ]
    assert (untold, set(resolved([])[0].commands) - set(told)) == ([], set())
