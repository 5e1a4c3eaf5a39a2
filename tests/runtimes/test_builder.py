"""build.py on small real projects, with the registries that this machine uses."""

import json
import os
from pathlib import Path

import pytest

from tests.runtimes.conftest import Build, Start

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n\n@app.get('/')\ndef hello():\n    return {'hello': 'asgi'}\n"
EXPRESS = "require('express')().get('/', (q, s) => s.send('hello express')).listen(process.env.PORT)\n"
EXPRESS_PACKAGE = '{"name": "x", "dependencies": {"express": "^4"}}'


def test_a_fastapi_app_with_requirements_runs_without_a_run_line(build: Build, start: Start, runtime: Path) -> None:
    built = build(
        {"main.py": FASTAPI, "requirements.txt": "fastapi\n"}, {"name": "web", "engine": "python3.9", "src": ""}
    )
    assert built.status == 0, built.log
    assert built.micros["web"]["command"] == "python3 -m freehold_server main:app"
    assert "python3.9 runs on python3." in built.micros["web"]["notes"][0]
    assert "[web] Installing dependencies with uv" in built.log
    assert built.last.startswith("Total Size")
    server = start(built.argv("web"), built.cwd("web"), built.env("web", runtime))
    assert server.ask("/").text == '{"hello":"asgi"}'


def test_unpinned_requirements_of_a_retired_engine_are_resolved_as_of_their_time(build: Build) -> None:
    built = build(
        {"main.py": "app = print", "requirements.txt": "idna\n"}, {"name": "web", "engine": "python3.8", "src": "."}
    )
    (info,) = (built.out / "web/deps").glob("idna-*.dist-info")
    assert info.name == "idna-3.10.dist-info"


def test_as_of_decides_what_unpinned_means(build: Build) -> None:
    micro = {"name": "web", "engine": "python3.11", "src": "."}
    built = build({"main.py": "app = print", "requirements.txt": "idna\n"}, micro, as_of="2022-01-01")
    (info,) = (built.out / "web/deps").glob("idna-*.dist-info")
    assert info.name == "idna-3.3.dist-info"


def test_the_name_deta_never_reaches_the_registry(build: Build) -> None:
    files = {"main.py": "app = print", "requirements.txt": "deta~=1.1.0\nidna\n"}
    built = build(files, {"name": "web", "engine": "python3.9", "src": "."})
    assert built.status == 0, built.log
    assert not list((built.out / "web/deps").glob("deta*"))


def test_a_bare_console_script_runs_from_another_place(build: Build, start: Start, runtime: Path) -> None:
    files = {"main.py": FASTAPI, "requirements.txt": "fastapi\nuvicorn\n"}
    built = build(files, {"name": "web", "engine": "python3.9", "src": "", "run": "uvicorn main:app"})
    assert built.status == 0, built.log
    assert (built.out / "web/deps/bin/uvicorn").read_text().startswith("#!/usr/bin/env python3\n")
    moved = built.out.rename(built.out.with_name("moved"))
    built.out = moved
    port = _port()
    server = start(built.argv("web"), built.cwd("web"), {**built.env("web", runtime), "UVICORN_PORT": str(port)}, port)
    assert server.ask("/").status == 200


def _port() -> int:
    from tests.runtimes.conftest import free_port

    return free_port()


def test_requirements_that_cannot_be_installed_name_the_package(build: Build) -> None:
    files = {"main.py": "app = print", "requirements.txt": "idna==0.0.999\n"}
    built = build(files, {"name": "web", "engine": "python3.11", "src": "."})
    assert built.status == 1
    assert built.last.startswith("Build failed: [web] requirements.txt could not be installed:")
    assert "idna==0.0.999" in built.last


def test_python_without_run_needs_main_with_app(build: Build) -> None:
    micro = {"name": "web", "engine": "python3.9", "src": "."}
    assert "there is no main.py" in build({"x.py": ""}, micro).last
    assert "defines no app" in build({"main.py": "application = 1"}, micro).last
    assert "not valid Python" in build({"main.py": "def ("}, micro).last


def test_an_express_app_runs_without_a_run_line(build: Build, start: Start, runtime: Path) -> None:
    built = build(
        {"index.js": EXPRESS, "package.json": EXPRESS_PACKAGE}, {"name": "web", "engine": "nodejs20", "src": ""}
    )
    assert built.status == 0, built.log
    assert "[web] Installing dependencies with npm" in built.log
    server = start(built.argv("web"), built.cwd("web"), built.env("web", runtime))
    assert server.ask("/").text == "hello express"


def test_node_keeps_dependencies_resolvable_and_flattens_single_files_with_include(build: Build) -> None:
    package = (
        '{"name": "x", "type": "module", "dependencies": {"ms": "2.1.3"}, "devDependencies": {"isarray": "2.0.5"}}'
    )
    files = {"package.json": package, "src/a.js": "", "secret.txt": ""}
    commands = ["mkdir -p out/deep && echo 1 > out/deep/app.js", "ls node_modules/isarray/package.json"]
    include = ["out/deep/app.js", "src"]
    micro = {
        "name": "web",
        "engine": "nodejs16",
        "src": ".",
        "commands": commands,
        "include": include,
        "run": "node app.js",
    }
    built = build(files, micro)
    assert built.status == 0, built.log
    app = built.cwd("web")
    assert sorted(path.name for path in app.iterdir()) == ["app.js", "node_modules", "out", "package.json", "src"]
    assert (app / "node_modules/ms").is_dir()
    assert not (app / "node_modules/isarray").exists()


def test_a_node_micro_without_index_and_run_says_so(build: Build) -> None:
    assert "no index.js" in build({"app.js": ""}, {"name": "web", "engine": "nodejs16", "src": "."}).last


def test_a_folder_of_html_becomes_a_static_micro(build: Build) -> None:
    built = build(
        {"site/index.html": "hi", "other.txt": ""}, {"name": "s", "engine": "static", "src": ".", "serve": "site"}
    )
    assert (built.micros["s"]["kind"], built.micros["s"]["serve"]) == ("static", "s/app")
    assert [path.name for path in built.cwd("s").iterdir()] == ["index.html"]


def test_a_folder_to_serve_that_was_not_uploaded_is_explained(build: Build) -> None:
    built = build({"x": ""}, {"name": "s", "engine": "static", "src": ".", "serve": "dist"})
    assert ".spaceignore" in built.last
    assert built.status == 1


def test_a_frontend_without_serve_is_built_and_its_output_found(build: Build) -> None:
    package = '{"name": "x", "scripts": {"build": "mkdir dist && echo built > dist/index.html"}}'
    built = build({"package.json": package}, {"name": "ui", "engine": "vue", "src": ""})
    assert built.status == 0, built.log
    assert (built.cwd("ui") / "index.html").read_text() == "built\n"


def framework(script: str) -> dict[str, str]:
    """What a framework leaves, without the framework."""
    script += " && mkdir -p node_modules/x && touch node_modules/x/index.js"
    return {"package.json": json.dumps({"name": "x", "scripts": {"build": script}}), "public/a.txt": "1", "secret": "x"}


NEXT = "mkdir -p .next/static {0} && echo 1 > {0}/server.js && echo 2 > .next/static/b.js"


def test_next_is_shipped_as_its_standalone_server_with_its_assets(build: Build) -> None:
    built = build(framework(NEXT.format(".next/standalone")), {"name": "web", "engine": "next", "src": ""})
    assert built.status == 0, built.log
    assert built.micros["web"]["command"] == "node .next/standalone/server.js"
    files = {path.relative_to(built.cwd("web")).as_posix() for path in built.cwd("web").rglob("*") if path.is_file()}
    own = {f".next/standalone/{name}" for name in ("server.js", "public/a.txt", ".next/static/b.js")}
    assert files == {*own, "package.json"}


def test_include_says_what_ships_of_a_next_whose_server_brings_its_own_packages(build: Build) -> None:
    micro = {"name": "web", "engine": "next", "src": "", "include": [".next/standalone", "public"]}
    built = build(framework(NEXT.format(".next/standalone")), micro)
    assert built.status == 0, built.log
    assert {path.name for path in built.cwd("web").iterdir()} == {".next", "public"}


def test_next_that_takes_the_project_for_a_workspace_is_found_below_its_own_name(build: Build) -> None:
    files = {f"apps/web/{name}": text for name, text in framework(NEXT.format(".next/standalone/apps/web")).items()}
    built = build(files, {"name": "web", "engine": "next", "src": "apps/web"})
    assert built.status == 0, built.log
    assert built.micros["web"]["command"] == "node .next/standalone/apps/web/server.js"
    assert (built.cwd("web") / ".next/standalone/apps/web/public/a.txt").is_file()


@pytest.mark.parametrize(
    ("engine", "left", "hint"),
    [
        ("next", ".next/server/app.js", "next.config must say output: 'standalone'"),
        ("nuxt", ".output/public/index.html", "the preset node-server"),
        ("svelte-kit", ".svelte-kit/output/x", "@sveltejs/adapter-node"),
    ],
)
def test_a_framework_without_its_server_says_what_to_do(build: Build, engine: str, left: str, hint: str) -> None:
    files = framework(f"mkdir -p $(dirname {left}) && touch {left}")
    built = build(files, {"name": "web", "engine": engine, "src": ""})
    assert built.status == 1
    assert hint in built.last


@pytest.mark.parametrize(
    ("engine", "server", "needs_packages"),
    [("nuxt", ".output/server/index.mjs", False), ("svelte-kit", "build/index.js", True)],
)
def test_other_frameworks_ship_what_their_server_needs(
    build: Build, engine: str, server: str, needs_packages: bool
) -> None:
    files = framework(f"mkdir -p $(dirname {server}) && touch {server}")
    built = build(files, {"name": "web", "engine": engine, "src": ""})
    assert built.status == 0, built.log
    assert built.micros["web"]["command"] == f"node {server}"
    shipped = {path.name for path in built.cwd("web").iterdir()}
    assert shipped == {server.split("/")[0], "package.json"} | ({"node_modules"} if needs_packages else set())


def test_a_framework_that_is_started_otherwise_ships_everything(build: Build) -> None:
    micro = {"name": "web", "engine": "next", "src": "", "run": "npx next start"}
    built = build(framework("mkdir .next && touch .next/BUILD_ID"), micro)
    assert built.status == 0, built.log
    assert built.micros["web"]["command"] == "npx next start"
    assert {path.name for path in built.cwd("web").iterdir()} >= {".next", "node_modules", "public", "secret"}


def test_commands_run_in_order_in_the_micros_folder_with_shell_features(build: Build) -> None:
    commands = ["A=1 sh -c 'echo $A > a'", "cat a | tr 1 2 > b", 'test -w "$HOME"']
    built = build({"api/x": ""}, {"name": "c", "engine": "custom", "src": "api", "commands": commands, "run": "./x"})
    assert built.status == 0, built.log
    assert (built.cwd("c") / "b").read_text() == "2\n"


def test_a_failing_command_ends_the_build_with_its_status(build: Build) -> None:
    micro = {"name": "c", "engine": "custom", "src": ".", "commands": ["exit 7", "touch never"], "run": "./x"}
    built = build({"x": ""}, micro)
    assert (built.status, built.last) == (1, "Build failed: [c] command ended with status 7: exit 7")
    assert not (built.out / "manifest.json").exists()


def test_apt_and_sudo_fail_with_a_reason(build: Build) -> None:
    micro = {"name": "c", "engine": "custom", "src": ".", "commands": ["sudo apt install x"], "run": "./x"}
    assert "apt and sudo are not available" in build({"x": ""}, micro).last


def test_scripts_and_programs_are_executable_again(build: Build) -> None:
    files = {"run.sh": "#!/bin/sh\n", "data.txt": "x"}
    built = build(files, {"name": "c", "engine": "custom", "src": ".", "run": "./run.sh"})
    assert os.access(built.cwd("c") / "run.sh", os.X_OK)
    assert not os.access(built.cwd("c") / "data.txt", os.X_OK)


def test_links_stay_only_if_relative_and_inside(build: Build) -> None:
    commands = ["ln -s x good", "ln -s /etc/passwd bad", "ln -s ../../../etc/passwd worse", "ln -s nowhere dangling"]
    built = build({"x": "1"}, {"name": "c", "engine": "custom", "src": ".", "commands": commands, "run": "./x"})
    assert sorted(path.name for path in built.cwd("c").iterdir()) == ["good", "x"]


def test_a_micro_whose_folder_is_missing_is_named(build: Build) -> None:
    assert (
        "micro c src api not found"
        in build({"x": ""}, {"name": "c", "engine": "custom", "src": "api", "run": "x"}).last
    )


def test_sources_outside_the_project_are_refused(build: Build) -> None:
    built = build({"x": ""}, {"name": "c", "engine": "static", "src": ".", "serve": "../../../etc"})
    assert "leaves the project" in built.last


def test_building_twice_gives_equal_files(build: Build, tmp_path: Path) -> None:
    files = {"main.py": "import idna\napp = print\n", "requirements.txt": "idna==3.10\n"}
    micro = {"name": "web", "engine": "python3.11", "src": "."}

    def content() -> dict[str, bytes]:
        out = build(files, micro).out
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    first = content()
    (tmp_path / "out").rename(tmp_path / "before")
    assert content() == first


def test_a_pinned_version_newer_than_a_retired_engine_is_installed_all_the_same(build: Build) -> None:
    files = {"package.json": '{"name": "x", "dependencies": {"semver": "7.7.1"}}', "index.js": ""}
    micro = {"name": "web", "engine": "nodejs16", "src": "."}
    assert build(files, micro, as_of="2024-01-01").status == 1
    built = build(files, micro)
    assert built.status == 0, built.log
    assert "trying with the packages of today" in built.log
