"""What the documents promise is there."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent


READERS = re.compile(r'''(?:env\.\w+\(|environ(?:\.get)?[\[(]|getenv\(|envvar=)\s*"([A-Z][A-Z_]+)"''')
GIVEN = re.compile(r""""((?:FREEHOLD_[A-Z_]+|[A-Z]+_URL|SECRET_KEY))":""")
NOT_OURS = {"PATH", "PYTHONPATH"}


def test_every_setting_is_documented() -> None:
    """Read by settings, the supervisor, the gate, commands or the client; or given by the supervisor to the others."""
    own = [file for file in (SOURCE / "provider").rglob("*.py") if "migrations" not in file.parts]
    read = {name for file in own for name in READERS.findall(file.read_text())}
    given = {name for file in (SOURCE / "provider" / "up").glob("*.py") for name in GIVEN.findall(file.read_text())}
    assert {"SECRET_KEY", "FREEHOLD_ALLOW_NET", "FREEHOLD_GATE_BIND", "FREEHOLD_URL"} <= read
    assert "FREEHOLD_WEB_ADDR" in given
    text = (SOURCE / "docs" / "operators" / "settings.md").read_text()
    assert sorted(name for name in (read | given) - NOT_OURS if f"`{name}`" not in text) == []


def test_no_setting_is_documented_that_nothing_knows() -> None:
    text = (SOURCE / "docs" / "operators" / "settings.md").read_text()
    sources = "".join(file.read_text() for file in (SOURCE / "provider").rglob("*.py"))
    assert [name for name in re.findall(r"`([A-Z][A-Z]*_[A-Z_]+)`", text) if name not in sources] == []


def test_every_command_of_the_client_is_documented() -> None:
    from provider.cli.main import app

    text = (SOURCE / "docs" / "developers" / "command-line.md").read_text()
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert [name for name in names if f"`freehold {name}" not in text] == []


def test_every_decision_is_in_the_list() -> None:
    folder = SOURCE / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    assert [file.name for file in folder.glob("0*.md") if file.name not in listed] == []
