"""Each rule of the Spacefile, by name; then anything at all."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps_catalog.spacefile import Problem, Spacefile, SpacefileErrors, json_schema, parse

WEB = "  - {name: web, src: ., engine: python3.9, primary: true}\n"


def micro(extra: str = "", engine: str = "python3.9", version: int = 0, root: str = "") -> str:
    """A Spacefile of one micro with further keys in flow style."""
    return f"v: {version}\n{root}micros:\n  - {{name: web, src: ., engine: {engine}{', ' + extra if extra else ''}}}\n"


def problems(text: str | bytes, files: list[str] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(SpacefileErrors) as caught:
        parse(text, files=files)
    return caught.value.problems


def keys(text: str | bytes, files: list[str] | None = None) -> list[str]:
    return [problem.key for problem in problems(text, files)]


def test_a_single_micro_is_primary_and_mounted_at_the_root() -> None:
    found = parse(micro())
    assert (found.v, found.auto_pwa, found.primary.name, found.primary.mount, found.primary.src) == (
        0,
        True,
        "web",
        "",
        "",
    )


def test_every_key_of_v0_is_read() -> None:
    found = parse("""
v: 0
icon: ./icon.png
app_name: Demo
auto_pwa: false
micros:
  - name: main
    src: ./main/
    engine: nodejs16
    primary: true
    commands: [npm run build]
    include: [dist, package.json]
    run: node dist/index.js
    dev: npm run dev
    presets:
      env:
        - {name: TOKEN, description: A token, default: "1"}
      api_keys: true
    public_routes: [/share/*]
    actions:
      - {id: clean, name: Clean up, description: now, trigger: schedule, default_interval: 5 minutes, path: x}
    provide_actions: true
  - {name: front_end, src: front, engine: react, path: /ui/, serve: out, public: true}
""")
    main, front = found.micros
    assert (found.icon, found.app_name, found.auto_pwa) == ("icon.png", "Demo", False)
    assert (main.src, main.include, main.presets.env[0].default, main.routes) == (
        "main",
        ("dist", "package.json"),
        "1",
        ("/share/*",),
    )
    assert (front.mount, front.serve, front.routes, found.warnings) == ("ui", "out", ("/*",), ())


@pytest.mark.parametrize("text", [micro("wat: 1"), micro(root="wat: 1\n"), micro("presets: {wat: 1}")])
def test_an_unknown_key_is_an_error_that_names_it(text: str) -> None:
    (problem,) = problems(text)
    assert problem.key.endswith("wat")
    assert problem.message == "unknown key"


def test_all_problems_come_at_once_with_line_micro_and_key() -> None:
    found = problems("v: 0\nmicros:\n  - name: web\n    src: ../x\n    engine: cobol\n    wat: 1\n    commands: []\n")
    assert [(problem.line, problem.micro, problem.key) for problem in found] == [
        (4, "web", "src"),
        (5, "web", "engine"),
        (6, "web", "wat"),
        (7, "web", "commands"),
    ]


@pytest.mark.parametrize(
    "text", ["v: 0", "v: 0\nmicros: []", "v: 2\nmicros:\n" + WEB, "micros:\n" + WEB, "v: true\nmicros:\n" + WEB]
)
def test_version_and_micros_are_required(text: str) -> None:
    assert set(keys(text)) <= {"v", "micros"}


def test_at_most_five_micros() -> None:
    rows = "".join(f"  - {{name: m{n}, src: ., engine: python3.9, primary: {str(n == 0).lower()}}}\n" for n in range(6))
    assert keys("v: 0\nmicros:\n" + rows) == ["micros"]


def test_micro_names_are_unique() -> None:
    (problem,) = problems("v: 0\nmicros:\n" + WEB + WEB.replace("true", "false").replace("src", "path: x, src"))
    assert "duplicate micro `web`" in problem.message


def test_one_primary_among_several() -> None:
    second = "  - {name: api, src: ., engine: python3.9, primary: true}\n"
    assert [p.message for p in problems("v: 0\nmicros:\n" + WEB + second)] == ["multiple primary micros present"]
    none = ("v: 0\nmicros:\n" + WEB + second).replace(", primary: true", "")
    assert "no primary micro present" in problems(none)[0].message


def test_static_needs_serve_and_only_served_engines_may_have_it() -> None:
    assert keys(micro(engine="static")) == ["serve"]
    assert keys(micro("serve: x")) == ["serve"]
    assert keys(micro("serve: x, include: [a]", engine="static")) == ["include"]


def test_public_and_public_routes_exclude_each_other_even_if_false() -> None:
    assert keys(micro("public: false, public_routes: [/x]")) == ["public"]


def test_env_defaults_are_text() -> None:
    assert keys(micro("presets: {env: [{name: A, default: 1}]}")) == ["presets.env.0.default"]


def test_the_platforms_own_variables_cannot_be_preset() -> None:
    found = parse(micro("presets: {env: [{name: DETA_PROJECT_KEY}, {name: MINE}]}"))
    assert [entry.name for entry in found.primary.presets.env] == ["MINE"]
    assert "DETA_PROJECT_KEY" in found.warnings[0]


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../../x", "C:/x", "a\\b", '"a\\0"', "~/x"])
@pytest.mark.parametrize("key", ["src", "icon", "serve", "include"])
def test_paths_stay_inside_the_project(key: str, path: str) -> None:
    if key == "src":
        text = micro().replace("src: .", f"src: {path}")
    elif key == "icon":
        text = micro(root=f"icon: {path}\n")
    elif key == "serve":
        text = micro(f"serve: {path}", engine="static")
    else:
        text = micro(f"include: [{path}]")
    assert keys(text)[0].split(".")[0] == key


@pytest.mark.parametrize(("path", "mount"), [("api", "api"), ("/api/", "api"), ("api/v1", "api"), (None, "second")])
def test_the_mount_is_the_first_segment_of_path(path: str | None, mount: str) -> None:
    extra = f", path: {path}" if path else ""
    found = parse("v: 0\nmicros:\n" + WEB + f"  - {{name: second, src: ., engine: nodejs16{extra}}}\n")
    assert found.micros[1].mount == mount


@pytest.mark.parametrize("path", ["__space", "/__space/x", "/", "..", "a b", "ü", '"a\\nb"'])
def test_a_mount_is_a_plain_segment_and_not_reserved(path: str) -> None:
    assert keys("v: 0\nmicros:\n" + WEB + f"  - {{name: second, src: ., engine: nodejs16, path: {path}}}\n") == ["path"]


def test_two_micros_do_not_share_a_mount() -> None:
    rows = "  - {name: a, src: ., engine: nodejs16, path: x/1}\n  - {name: b, src: ., engine: nodejs16, path: x/2}\n"
    assert keys("v: 0\nmicros:\n" + WEB + rows) == ["path"]


def test_actions_are_unique_in_the_app_and_five_per_micro() -> None:
    action = "{{id: a{0}, name: A{0}, trigger: schedule, default_interval: 1 hour}}"
    six = ", ".join(action.format(n) for n in range(6))
    assert keys(micro(f"actions: [{six}]")) == ["actions"]
    twice = f"{action.format(1)}, {action.format(1)}"
    assert keys(micro(f"actions: [{twice}]")) == ["actions.1.id", "actions.1.name"]


@pytest.mark.parametrize(
    "text", ["1 minute", "15 minutes", "0/15 * * * *", "0 9 * * mon-fri", "1,2 0 ? jan,3 *", "0 0 1 * ?"]
)
def test_schedules_that_the_grammar_allows(text: str) -> None:
    parse(micro(f'actions: [{{id: a, name: A, trigger: schedule, default_interval: "{text}"}}]'))


@pytest.mark.parametrize(
    "text",
    [
        "1 minutes",
        "2 hour",
        "0 days",
        "* * * *",
        "61 * * * *",
        "0 0 1 * 1",
        "* * * * 1/2",
        "5-1 * * * *",
        "* * * * * *",
        "9 weeks",
        "",
    ],
)
def test_schedules_that_it_does_not(text: str) -> None:
    entry = f'actions: [{{id: a, name: A, trigger: schedule, default_interval: "{text}"}}]'
    assert keys(micro(entry)) == ["actions.0.default_interval"]


@pytest.mark.parametrize("engine", ["nodejs14.x", "nodejs16.x", "nodejs20", "python3.11"])
def test_engines_of_other_tables_are_read_with_a_warning(engine: str) -> None:
    found = parse(micro(engine=engine))
    assert found.primary.engine == engine.removesuffix(".x")
    assert len(found.warnings) == 1


@pytest.mark.parametrize("written", ["/data", "{path: /data/, size_mib: 200}"])
def test_v1_has_a_volume_in_a_short_and_a_long_form(written: str) -> None:
    found = parse(micro(engine="python3.11", version=1, root=f"volume: {written}\n"))
    assert found.volume is not None
    assert (found.volume.path, found.volume.size_mib) == ("/data", 200 if "size" in written else 100)


def test_a_volume_may_stand_at_a_micro_and_is_the_instances_own() -> None:
    found = parse(micro("volume: /data", engine="python3.11", version=1))
    assert found.volume is not None
    assert found.volume.path == "/data"
    assert keys(micro("volume: /data", version=1, root="volume: /other\n")) == ["volume"]
    assert keys(micro("volume: /data")) == ["volume"]


@pytest.mark.parametrize("path", ["data", "/etc/x", "/", "/data/../etc", "/app", '"/a\\nb"'])
def test_a_volume_is_a_folder_of_its_own(path: str) -> None:
    assert keys(micro(version=1, root=f"volume: {path}\n")) == ["volume.path"]


def test_v0_refuses_what_v1_brought() -> None:
    assert keys(micro("health: /up", root="volume: /data\n")) == ["volume", "health"]
    parse(micro("health: /up, migrate: ./m, size: {memory_mib: 128}, egress: [api.example.org]", version=1))


def test_names_in_the_upload_are_compared() -> None:
    assert keys(micro(root="icon: i.png\n"), ["main.py"]) == ["icon"]
    assert keys(micro().replace("src: .", "src: api"), ["main.py"]) == ["src"]
    (problem,) = problems(micro("serve: dist", engine="static"), ["index.html"])
    assert ".spaceignore" in problem.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"v: 0\na: &x 1\n", "anchors"),
        (b"a: *x\n", "aliases"),
        (b"v: !!python/object:os.system 0\n", "tags"),
        (b"v: 0\n---\nv: 0\n", "one YAML document"),
        (b"v: 0\nv: 0\n", "twice"),
        (b"[" * 60_000, "nested"),
        (b"a: " + b"{b: " * 5000, "nested"),
        (b"- x\n" * 10_000, "too many"),
        (b"#" * 70_000, "64 KiB"),
        (b"\xff\xfe", "UTF-8"),
        (b"a: \x00", "YAML"),
        (b"", "mapping"),
        (b"? [a]\n: 1", "plain text"),
    ],
)
def test_hostile_yaml_is_refused_fast_with_its_reason(text: bytes, says: str) -> None:
    start = time.perf_counter()
    assert says in str(problems(text)[0])
    assert time.perf_counter() - start < 1


def test_a_normal_file_takes_less_than_five_milliseconds() -> None:
    text = micro(root="icon: icon.png\n")
    best = min(_seconds(text) for _ in range(20))
    assert best < 0.005


def _seconds(text: str) -> float:
    start = time.perf_counter()
    parse(text)
    return time.perf_counter() - start


def test_the_schema_names_every_key_and_no_other() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(Spacefile.model_fields) - {"warnings"}
    assert schema["additionalProperties"] is False


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_anything_is_parsed_or_refused_with_problems(text: str | bytes) -> None:
    try:
        parse(text)
    except SpacefileErrors as errors:
        assert errors.problems


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab./: *", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "src", "engine", "path", "presets", "env", "actions", "serve", "include", "volume", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["v", "micros", "icon", "volume"]), _json | st.lists(_json, max_size=3)))
def test_any_shape_of_data_is_parsed_or_refused_with_problems(data: dict[str, object]) -> None:
    import json

    try:
        parse(json.dumps(data), files=["a"])
    except SpacefileErrors as errors:
        assert all(problem.message for problem in errors.problems)


IMAGE = "registry.example:5000/team/tool@sha256:" + "0a" * 32


def test_a_custom_micro_may_name_an_image_by_its_digest() -> None:
    found = parse(micro(f'image: "{IMAGE}"', engine="custom", version=1))
    assert (found.primary.image, found.primary.run, found.warnings) == (IMAGE, None, ())


@pytest.mark.parametrize(
    ("extra", "engine", "key"),
    [
        (f'image: "{IMAGE}"', "python3.9", "image"),
        ('image: "registry.example/tool:latest"', "custom", "image"),
        (f'image: "{IMAGE}", commands: [make]', "custom", "commands"),
        (f'image: "{IMAGE}", include: [dist]', "custom", "include"),
    ],
)
def test_an_image_stands_only_where_it_can_be_run_as_it_is(extra: str, engine: str, key: str) -> None:
    assert keys(micro(extra, engine=engine, version=1)) == [key]


def test_an_image_needs_the_newer_version() -> None:
    assert keys(micro(f'image: "{IMAGE}"', engine="custom")) == ["image"]
