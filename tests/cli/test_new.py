"""`freehold new`, `link`, `env`, `update`: what is found, written and sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from apps_catalog.spacefile import parse
from provider.cli import detecting
from provider.cli.failures import Usage
from provider.cli.settings import dotenv
from tests.cli.conftest import FlakyProvider, Freehold

COPY = {"id": "inscopy", "alias": "herons-dev", "host": "h", "url": "http://h/", "version": "heron-abcd"}
META = {"id": "herons-x", "name": "Herons", "alias": "herons-x"}


def package(**dependencies: str) -> str:
    return json.dumps({"dependencies": {}, "devDependencies": dependencies})


@pytest.mark.parametrize(
    ("files", "engine"),
    [
        ({"requirements.txt": "fastapi"}, "python3.11"),
        ({"main.py": "", "package.json": "{}"}, "python3.11"),
        ({"package.json": package(**{"react-scripts": "5"})}, "react"),
        ({"package.json": package(**{"@vitejs/plugin-react": "4", "vite": "5"})}, "react"),
        ({"package.json": package(**{"svelte": "4", "@sveltejs/vite-plugin-svelte": "3"})}, "svelte"),
        ({"package.json": package(**{"@sveltejs/kit": "2", "@sveltejs/vite-plugin-svelte": "3"})}, "svelte-kit"),
        ({"package.json": package(**{"@vitejs/plugin-vue": "5"})}, "vue"),
        ({"package.json": package(next="14")}, "next"),
        ({"package.json": package(nuxt="3")}, "nuxt"),
        ({"package.json": package(express="4")}, "nodejs20"),
        ({"package.json": "not json"}, "nodejs20"),
        ({"go.mod": "module x"}, "custom"),
        ({"index.html": "<p>"}, "static"),
    ],
)
def test_an_engine_is_found_by_the_files_that_are_there(tmp_path: Path, files: dict[str, str], engine: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (found,) = detecting.micros(tmp_path)
    assert found.engine == engine
    assert parse(detecting.spacefile((found,))).primary.engine == engine


def test_folders_of_a_project_become_its_micros(tmp_path: Path) -> None:
    for folder, file in (
        ("web app", "index.html"),
        ("api", "main.py"),
        ("node_modules", "package.json"),
        (".x", "main.py"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text("")
    found = detecting.micros(tmp_path)
    assert [(micro.name, micro.src, micro.engine) for micro in found] == [
        ("api", "./api", "python3.11"),
        ("web-app", "./web app", "static"),
    ]
    assert [micro.mount for micro in parse(detecting.spacefile(found)).micros] == ["", "web-app"]


def test_new_writes_a_spacefile_and_makes_the_project(
    tmp_path: Path, provider: FlakyProvider, freehold: Freehold
) -> None:
    (tmp_path / "main.py").write_text("")
    provider.on("POST projects/", (201, {"slug": "herons-x", "name": "Herons"}))
    done = freehold("new", "--name", "Herons", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["project"] == "herons-x"
    assert parse((tmp_path / "Spacefile").read_bytes()).primary.engine == "python3.11"
    assert json.loads((tmp_path / ".space" / "meta").read_text())["id"] == "herons-x"
    again = freehold("new", "--json")
    assert (again.returncode, json.loads(again.stdout)["error"]["code"]) == (1, "linked")


def test_new_signed_out_writes_the_file_and_leaves_the_project_to_push(tmp_path: Path, freehold: Freehold) -> None:
    (tmp_path / "index.html").write_text("")
    done = freehold("new", token="")
    assert done.returncode == 0 and "freehold login" in done.stdout
    assert (tmp_path / "Spacefile").exists() and not (tmp_path / ".space").exists()


def test_new_says_when_nothing_is_recognised_and_begins_blank_on_request(tmp_path: Path, freehold: Freehold) -> None:
    nothing = freehold("new", "--json", token="")
    assert (nothing.returncode, json.loads(nothing.stdout)["error"]["code"]) == (1, "nothing_found")
    assert freehold("new", "--blank", token="").returncode == 0
    assert (tmp_path / "Spacefile").read_text().endswith("v: 1\n")


def test_link_names_the_project(tmp_path: Path, provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("GET projects/herons-x/", (200, {"slug": "herons-x", "name": "Herons"}))
    assert freehold("link", "herons-x").returncode == 0
    assert json.loads((tmp_path / ".space" / "meta").read_text())["url"] == provider.url
    unknown = freehold("link", "nope", "--json")
    assert (unknown.returncode, json.loads(unknown.stdout)["error"]["code"]) == (1, "not_found")


def linked(tmp_path: Path, provider: FlakyProvider) -> None:
    (tmp_path / ".space").mkdir()
    (tmp_path / ".space" / "meta").write_text(json.dumps({**META, "url": provider.url}))
    provider.on("GET projects/herons-x/", (200, {"slug": "herons-x", "builder_instance": "inscopy"}))
    provider.on("GET instances/inscopy/", (200, COPY))


def test_env_fills_in_and_shows_no_values(tmp_path: Path, provider: FlakyProvider, freehold: Freehold) -> None:
    linked(tmp_path, provider)
    row: dict[str, Any] = {"name": "TOKEN", "description": "", "micros": ["main"], "is_set": True, "has_default": False}
    provider.on("PATCH instances/inscopy/", (202, {**COPY, "operation": "opn1"}))
    provider.on("GET operations/opn1/", (200, {"id": "opn1", "state": "succeeded", "steps": []}))
    provider.on("GET instances/inscopy/config/", (200, {"settings": [row]}))
    (tmp_path / ".env").write_text("# mine\nexport A='1 2'\nB=x=y\n")
    done = freehold("env", "--file", ".env", "--set", "TOKEN=s3cret", "--unset", "OLD", "--json")
    assert done.returncode == 0, done.stderr
    (sent,) = [asked.body for asked in provider.asked if asked.method == "PATCH"]
    assert json.loads(sent) == {"config": {"A": "1 2", "B": "x=y", "TOKEN": "s3cret", "OLD": None}}
    assert "s3cret" not in done.stdout + done.stderr
    assert json.loads(done.stdout)["changed"] == ["A", "B", "OLD", "TOKEN"]
    assert freehold("env").stdout.split() == ["TOKEN", "set", "main"]
    assert freehold("env", "--set", "TOKEN").returncode == 2


@pytest.mark.parametrize("text", ["=x", "no equals sign", "A=1\n  =2"])
def test_a_file_of_settings_names_the_line_that_is_none(text: str) -> None:
    with pytest.raises(Usage, match="line"):
        dotenv(text)


def offer(*demands: str) -> dict[str, Any]:
    told = [{"key": key, "text": f"It may {key}."} for key in demands]
    return {"release": "rel2", "version": "2", "needs_consent": list(demands), "demands": told, "news": []}


def test_an_update_asks_before_it_agrees(provider: FlakyProvider, freehold: Freehold) -> None:
    provider.on("GET instances/", (200, {"results": [COPY], "next": None}))
    provider.on("GET instances/inscopy/", (200, {**COPY, "version": "2"}))
    done = {"id": "opn1", "kind": "update", "state": "succeeded", "steps": []}
    provider.on("POST instances/inscopy/update/", (200, offer("egress:x")), (200, offer("egress:x")), (202, done))
    provider.on("GET operations/opn1/", (200, done))
    refused = freehold("update", "herons-dev", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (1, "needs_consent")
    agreed = freehold("update", "herons-dev", "--agree")
    assert agreed.returncode == 0 and "newly: It may egress:x." in agreed.stdout
    posted = [json.loads(asked.body) for asked in provider.asked if asked.method == "POST"]
    assert posted == [{}, {}, {"release": "rel2", "consent": ["egress:x"]}]


def test_the_schema_of_spacefiles_is_printed_for_editors(freehold: Freehold) -> None:
    schema = json.loads(freehold("validate", "--schema").stdout)
    assert {"v", "micros", "icon", "volume"} <= set(schema["properties"])
