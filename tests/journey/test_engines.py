"""Apps of every engine family, from a folder to another person's running instance, by the command line alone."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.journey import engines
from tests.journey.people import Person
from tests.journey.stack import SOURCE
from tests.journey.test_command_line import CommandLine, someone

__all__ = ["someone"]
Someone = Callable[[str], tuple[Person, CommandLine]]
START = SOURCE / "docs" / "developers" / "start.md"


def laid_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def published(someone: Someone, files: dict[str, str]) -> tuple[Person, str]:
    """(somebody else, the address of their copy)."""
    _, developer = someone("dev")
    user, installer = someone("user")
    folder = laid_out(developer.folder / "app", files)
    pushed = developer.ok("push", cwd=folder)
    assert pushed["instance"]["state"] == "running"
    developer.ok("release", "--version", "1", cwd=folder)
    return user, str(installer.ok("install", pushed["project"])["instance"]["url"])


def whole(web: httpx.Client, url: str) -> str:
    """The page with the scripts that it loads: what a framework renders in the browser is in one of them."""
    page = web.get(url)
    assert page.status_code == 200
    scripts = [urljoin(url, found) for found in re.findall(r'src="([^"]+\.js)"', page.text)]
    return page.text + "".join(web.get(script).text for script in scripts)


@pytest.mark.parametrize("family", ["react", "svelte", "vue", "svelte-kit", "flask", "custom"])
def test_an_app_of_each_family_runs_in_somebody_elses_cloud(someone: Someone, family: str) -> None:
    files: dict[str, str] = getattr(engines, family.upper().replace("-", "_"))
    user, url = published(someone, files)
    assert f"hello from {family}" in whole(user.web, url)


def test_two_processes_share_one_address(someone: Someone) -> None:
    user, url = published(someone, engines.TWO_NODES)
    assert user.web.get(url + "x/y").text == "hello from web /x/y"
    assert user.web.get(url + "data/x?n=1").text == "api saw /x?n=1"
    assert user.web.get(url + "database").text == "hello from web /database"


@pytest.mark.parametrize(
    ("section", "names", "answers"),
    [
        ("Python", {"Spacefile", "requirements.txt", "main.py"}, {"": '{"count":1}'}),
        ("Node", {"Spacefile", "package.json", "index.js"}, {"": "hello"}),
        (
            "Two micros",
            {"Spacefile", "api/requirements.txt", "api/main.py", "pages/index.html"},
            {"api/word": '{"word":"hello"}', "": "fetch('/api/word')"},
        ),
    ],
)
def test_a_start_works_as_the_documents_say(
    someone: Someone, section: str, names: set[str], answers: dict[str, str]
) -> None:
    files = written_in(section)
    assert set(files) == names
    user, url = published(someone, files)
    for path, said in answers.items():
        assert said in user.web.get(url + path).text


def written_in(section: str) -> dict[str, str]:
    """The files in a section of the documents, named by their first lines; a file of JSON has no room for its name."""
    text = START.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    files = {}
    for kind, block in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
        named = re.match(r"(?:#|//|<!--) (\S+)", block)
        if kind == "json":
            files["package.json"] = block
        elif named and kind != "sh":
            files[named[1]] = block.split("\n", 1)[1]
    return files
