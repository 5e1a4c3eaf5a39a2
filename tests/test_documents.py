"""What the documents promise is there."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent


def test_every_setting_is_documented() -> None:
    settings = (SOURCE / "provider" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', settings))
    assert read, "settings are read by these functions"
    missing = {name for name in read if f"`{name}`" not in (SOURCE / "docs" / "operators" / "settings.md").read_text()}
    assert not missing


def test_every_command_of_the_client_is_documented() -> None:
    from provider.cli.main import app

    text = (SOURCE / "docs" / "developers" / "command-line.md").read_text()
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert [name for name in names if f"`freehold {name}" not in text] == []


def test_every_decision_is_in_the_list() -> None:
    folder = SOURCE / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    assert [file.name for file in folder.glob("0*.md") if file.name not in listed] == []
