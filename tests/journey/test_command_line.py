"""`freehold push` of folders that are not in this repository, then release, and installation by another account."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.journey import apps, data_apps
from tests.journey.command_line import CommandLine, laid_out, signed_in
from tests.journey.people import Person
from tests.journey.stack import Stack

MakePerson = Callable[[str], Person]


@pytest.fixture
def someone(person: MakePerson, tmp_path: Path) -> Callable[[str], tuple[Person, CommandLine]]:
    """A person who has signed in on their command line."""

    def make(name: str) -> tuple[Person, CommandLine]:
        who = person(name)
        return who, signed_in(who, tmp_path / name)

    return make


def test_a_folder_is_pushed_released_and_installed_by_somebody_else(
    someone: Callable[[str], tuple[Person, CommandLine]],
) -> None:
    _, developer = someone("dev")
    user, installer = someone("user")
    folder = laid_out(developer.folder / "app", apps.FASTAPI)
    project = developer.ok("push", cwd=folder)["project"]
    released = developer.ok("release", "--version", "1.0.0", "--notes", "first", cwd=folder)["release"]
    assert released["version"] == "1.0.0"

    instance = installer.ok("install", project)["instance"]
    assert instance["state"] == "running"
    assert '{"count":1}' in user.web.get(instance["url"]).text
    assert [row["id"] for row in installer.ok("instances")["results"]] == [instance["id"]]
    assert installer.ok("logs", instance["alias"])["instance"] == instance["id"]
    assert installer.ok("open", instance["alias"])["url"] == instance["url"]

    assert installer.ok("uninstall", instance["alias"])["removed"] == instance["id"]
    assert installer.ok("instances")["results"] == []
    assert user.web.get(instance["url"]).status_code == 404


def test_a_second_push_goes_to_the_same_project(someone: Callable[[str], tuple[Person, CommandLine]]) -> None:
    _, developer = someone("dev")
    folder = laid_out(developer.folder / "app", apps.STATIC)
    first, second = developer.ok("push", cwd=folder), developer.ok("push", cwd=folder)
    assert first["project"] == second["project"]
    assert first["revision"]["id"] != second["revision"]["id"]
    assert (folder / ".space" / ".gitignore").read_text() == "*\n"


PUT = "from deta import Deta; print(Deta().Base('b').put({'key': 'k', 'n': 7})['n'])"
GET = "from deta import Deta; print(Deta().Base('b').get('k'), Deta().Drive('d').list()['names'])"


def test_a_program_on_ones_own_machine_shares_the_data_of_ones_copy(
    someone: Callable[[str], tuple[Person, CommandLine]],
) -> None:
    who, developer = someone("dev")
    folder = laid_out(developer.folder / "app", data_apps.SHELL)
    copy = developer.ok("push", cwd=folder)["instance"]
    put = developer("exec", "--", "python3", "-c", PUT, cwd=folder)
    assert (put.code, put.out, put.err) == (0, "7\n", "")
    assert developer("exec", "--", "python3", "-c", GET, cwd=folder).out == "{'key': 'k', 'n': 7} []\n"
    curl = 'curl -sS -H "X-API-Key: $DETA_PROJECT_KEY" "https://$DETA_BASE_HOST/v1/${DETA_PROJECT_KEY%%_*}/b/items/k"'
    who.web.get(copy["url"])  # signs in at the app's address
    origin = {"Origin": copy["url"].rstrip("/")}
    assert who.web.post(copy["url"], content=curl.encode(), headers=origin).json() == {"key": "k", "n": 7}


def test_pages_that_run_on_ones_own_machine_share_the_data_of_ones_copy(
    someone: Callable[[str], tuple[Person, CommandLine]],
) -> None:
    who, developer = someone("dev")
    spacefile = data_apps.SHELL["Spacefile"].replace("run: python main.py", "run: python main.py, dev: python3 main.py")
    folder = laid_out(developer.folder / "app", data_apps.SHELL | {"Spacefile": spacefile})
    copy = developer.ok("push", cwd=folder)["instance"]
    who.web.get(copy["url"])  # signs in at the app's address
    item, path = {"key": "k", "n": 7}, "__space/v0/base/v1/dummy/b/items"
    with developer.developing(folder) as here:
        assert "Shell" in httpx.get(here, timeout=30).text
        page = {"Origin": here, "Sec-Fetch-Site": "same-origin"}
        put = httpx.put(f"{here}/{path}", json={"items": [item]}, headers=page, timeout=30)
        assert (put.status_code, put.json()) == (207, {"processed": {"items": [item]}})
        assert who.web.get(f"{copy['url']}{path}/k").json() == item
        file = f"{here}/__space/v0/drive/v1/dummy/d/files"
        assert httpx.post(f"{file}?name=a", content=b"hello", headers=page, timeout=30).status_code == 201
        assert httpx.get(f"{file}/download?name=a", timeout=30).content == b"hello"


def test_people_see_the_build_and_what_to_do_next(someone: Callable[[str], tuple[Person, CommandLine]]) -> None:
    _, developer = someone("dev")
    files = apps.FAILING_BUILD | {
        "Spacefile": apps.FAILING_BUILD["Spacefile"].replace("process.exit(3)", 'console.log("built it")'),
        "index.js": "require('http').createServer((q, a) => a.end('x')).listen(process.env.PORT)",
    }
    answer = developer("push", cwd=laid_out(developer.folder / "app", files))
    assert answer.code == 0, answer.out + answer.err
    assert "before the end" in answer.out
    assert "freehold release" in answer.out


def test_a_failed_build_is_a_failed_command(someone: Callable[[str], tuple[Person, CommandLine]]) -> None:
    _, developer = someone("dev")
    answer = developer("push", "--json", cwd=laid_out(developer.folder / "app", apps.FAILING_BUILD))
    assert answer.code == 1
    assert answer.document["error"]["message"]


def test_a_wrong_spacefile_is_told_before_anything_is_sent(
    someone: Callable[[str], tuple[Person, CommandLine]],
) -> None:
    _, developer = someone("dev")
    folder = laid_out(developer.folder / "app", {"Spacefile": "v: 0\nmicros: []\ncolour: blue\n"})
    for command in ("validate", "push"):
        answer = developer(command, "--json", cwd=folder)
        assert (answer.code, answer.document["error"]["field"]) == (1, "Spacefile")
        assert "colour" in answer.out
    assert not (folder / ".space").exists()


def test_a_wrong_password_is_exit_code_three(freehold: Stack, person: MakePerson, tmp_path: Path) -> None:
    who = person("typo")
    answer = CommandLine(tmp_path, freehold.console)(
        "login", "--email", who.email, "--password-stdin", "--json", given="not it\n"
    )
    assert answer.code == 3
    assert answer.document["error"]["message"]


def test_an_app_that_is_not_there_is_a_failed_command(someone: Callable[[str], tuple[Person, CommandLine]]) -> None:
    _, installer = someone("lost")
    answer = installer("install", "no-such-app", "--json")
    assert answer.code == 1
    assert answer.document["error"]["message"]
