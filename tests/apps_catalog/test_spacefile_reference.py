"""Rules of the former platform's reference that no other file here tells, one test named after each."""

import json

import pytest

from apps_catalog.spacefile import SpacefileErrors, json_schema, parse
from apps_catalog.spacefile.schedule import Cron, Rate, parse_interval
from tests.apps_catalog.test_spacefile import WEB, keys, micro, problems

SECOND = "  - {{name: api, src: ., engine: nodejs16{0}}}\n"
ACTION = "{{id: a{0}, name: A{0}, trigger: schedule, default_interval: 1 hour}}"
V0_ENGINES = "static react svelte vue next nuxt svelte-kit python3.9 python3.8 nodejs16 custom".split()


def two(extra: str = "") -> str:
    return "v: 0\nmicros:\n" + WEB + SECOND.format(extra)


@pytest.mark.parametrize("engine", V0_ENGINES)
def test_every_engine_of_the_former_platform_is_one(engine: str) -> None:
    extra = "serve: x" if engine == "static" else "run: ./x"
    assert parse(micro(extra, engine=engine)).primary.engine == engine


def test_an_engine_that_is_none_is_refused_with_those_there_are() -> None:
    (problem,) = problems(micro(engine="cobol"))
    assert problem.key == "engine" and all(engine in problem.message for engine in V0_ENGINES)


@pytest.mark.parametrize("name", ["a", "A9", "my-micro", "under_score", "0", "a" * 63])
def test_a_micros_name_is_letters_digits_hyphens_and_underscores(name: str) -> None:
    assert parse(micro().replace("name: web", f'name: "{name}"')).primary.name == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a.b", "a/b", "ä", "a\\n", "a" * 64])
def test_any_other_name_of_a_micro_is_refused(name: str) -> None:
    assert keys(micro().replace("name: web", f'name: "{name}"')) == ["name"]


@pytest.mark.parametrize("key", ["name", "src", "engine"])
def test_name_src_and_engine_of_a_micro_are_required(key: str) -> None:
    text = "v: 0\nmicros:\n  - {name: web, src: ., engine: python3.9}\n"
    left = {"name": "name: web, ", "src": "src: ., ", "engine": ", engine: python3.9"}[key]
    (problem,) = problems(text.replace(left, ""))
    assert (problem.key, problem.message) == (key, "is required")


def test_app_name_has_at_most_twelve_characters() -> None:
    assert parse(micro(root="app_name: abcdefghijkl\n")).app_name == "abcdefghijkl"
    (problem,) = problems(micro(root="app_name: abcdefghijklm\n"))
    assert problem.key == "app_name" and "12" in problem.message


def test_what_is_not_said_has_its_default() -> None:
    found = parse(micro())
    primary = found.primary
    assert (found.icon, found.app_name, found.volume) == (None, None, None)
    assert (primary.commands, primary.include, primary.run, primary.dev, primary.routes) == ((), (), None, None, ())
    assert (primary.presets.env, primary.presets.api_keys, primary.provide_actions) == ((), False, False)
    assert (primary.health, primary.migrate, primary.size, primary.egress, primary.image) == (None,) * 5


@pytest.mark.parametrize("key", ["commands", "include", "public_routes", "actions"])
def test_a_list_that_is_written_has_at_least_one_entry(key: str) -> None:
    (problem,) = problems(micro(f"{key}: []"))
    assert problem.key == key and "at least 1" in problem.message


def test_presets_that_are_written_have_at_least_one_variable() -> None:
    assert keys(micro("presets: {env: []}")) == ["presets.env"]


@pytest.mark.parametrize("key", ["include", "public_routes"])
def test_entries_of_include_and_public_routes_are_unique(key: str) -> None:
    assert keys(micro(f"{key}: [/a, /b, /a]".replace("/", "" if key == "include" else "/"))) == [f"{key}.2"]


def test_a_public_route_has_at_least_one_character() -> None:
    assert keys(micro('public_routes: [""]')) == ["public_routes.0"]


def test_public_is_a_short_word_for_every_path() -> None:
    assert parse(micro("public: true")).primary.routes == ("/*",)
    assert parse(micro("public: false")).primary.routes == ()


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ("presets: {env: [{name: A, wat: 1}]}", "presets.env.0.wat"),
        ("presets: {env: [{description: x}]}", "presets.env.0.name"),
        ("presets: {api_keys: 1}", "presets.api_keys"),
        ("actions: [{id: a, name: A, trigger: schedule, default_interval: 1 day, wat: 1}]", "actions.0.wat"),
        ("actions: [{name: A, trigger: schedule, default_interval: 1 day}]", "actions.0.id"),
        ("actions: [{id: a, trigger: schedule, default_interval: 1 day}]", "actions.0.name"),
        ("actions: [{id: a, name: A, default_interval: 1 day}]", "actions.0.trigger"),
        ("actions: [{id: a, name: A, trigger: schedule}]", "actions.0.default_interval"),
        ("actions: [{id: a, name: A, trigger: webhook, default_interval: 1 day}]", "actions.0.trigger"),
    ],
)
def test_presets_and_actions_have_their_keys_and_no_others(extra: str, key: str) -> None:
    assert keys(micro(extra)) == [key]


def test_the_description_of_an_action_has_at_most_142_characters() -> None:
    entry = "actions: [{{id: a, name: A, trigger: schedule, default_interval: 1 day, description: {0}}}]"
    assert len(parse(micro(entry.format("x" * 142))).primary.actions[0].description) == 142
    (problem,) = problems(micro(entry.format("x" * 143)))
    assert problem.key == "actions.0.description" and "142" in problem.message


def test_an_action_may_name_the_path_that_handles_it() -> None:
    entry = "actions: [{id: a, name: A, trigger: schedule, default_interval: 1 day, path: /x}]"
    assert parse(micro(entry)).primary.actions[0].path == "/x"


def test_actions_are_unique_across_all_micros() -> None:
    action = f"actions: [{ACTION.format(1)}]"
    text = "v: 0\nmicros:\n" + WEB.replace("}", f", {action}}}", 1) + SECOND.format(f", {action}")
    assert [(p.micro, p.key) for p in problems(text)] == [("api", "actions.0.id"), ("api", "actions.0.name")]


def test_an_app_has_at_most_25_actions() -> None:
    rows = [
        f"  - {{name: m{at}, src: ., engine: nodejs16, primary: {str(at == 0).lower()}, actions: ["
        + ", ".join(ACTION.format(f"{at}x{number}") for number in range(5))
        + "]}\n"
        for at in range(5)
    ]
    assert sum(len(found.actions) for found in parse("v: 0\nmicros:\n" + "".join(rows)).micros) == 25
    one_more = rows[4].replace("actions: [", f"actions: [{ACTION.format('more')}, ")
    assert keys("v: 0\nmicros:\n" + "".join([*rows[:4], one_more])) == ["actions"]


def test_the_primary_micro_is_at_the_root_whatever_its_path_says() -> None:
    found = parse(micro("path: /api"))
    assert found.primary.mount == "" and "path is ignored" in found.warnings[0]


def test_without_a_path_a_micro_is_mounted_by_its_name() -> None:
    assert parse(two()).micros[1].mount == "api"


def test_a_path_of_several_segments_is_its_first_with_a_warning() -> None:
    found = parse(two(", path: x/y"))
    assert found.micros[1].mount == "x" and "first segment" in found.warnings[0]


@pytest.mark.parametrize("src", [".", "./", "./api/", "api", "./a/../api"])
def test_src_is_relative_to_the_project_however_it_is_written(src: str) -> None:
    found = parse(micro().replace("src: .", f"src: {src}"), files=["api/main.py"])
    assert found.primary.src == ("" if src in (".", "./") else "api")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "v: 0\nmicros:\n" + WEB + SECOND.format("").replace("api", "web"),
            "micro names have to be unique, duplicate micro `web` found",
        ),
        (two(", primary: true"), "multiple primary micros present"),
    ],
)
def test_what_the_former_client_said_is_said_in_its_words(text: str, message: str) -> None:
    assert message in [problem.message for problem in problems(text)]


def test_a_micro_whose_folder_is_missing_is_named_with_it() -> None:
    (problem,) = problems(two().replace("src: ., engine: nodejs16", "src: ./gone, engine: nodejs16"), ["main.py"])
    assert problem.message == "micro api src ./gone not found"


@pytest.mark.parametrize("key", ["icon", "app_name", "auto_pwa", "micros", "v"])
def test_a_key_that_stands_twice_is_refused(key: str) -> None:
    text = micro(root="icon: i.png\napp_name: A\nauto_pwa: true\n") + f"{key}: x\n"
    assert "appears twice" in problems(text)[0].message


@pytest.mark.parametrize(("written", "flag"), [("yes", True), ("no", False), ("on", True), ("Off", False)])
def test_the_former_platforms_words_for_true_and_false_are_read(written: str, flag: bool) -> None:
    assert parse(micro(root=f"auto_pwa: {written}\n")).auto_pwa is flag


def test_a_rate_is_a_number_and_its_unit() -> None:
    assert [parse_interval(text) for text in ("1 minute", "15 minutes", "1 hour", "2 days")] == [
        Rate(1, "minute"),
        Rate(15, "minute"),
        Rate(1, "hour"),
        Rate(2, "day"),
    ]


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("0/15 * * * *", "minutes", {0, 15, 30, 45}),
        ("1/20 * * * *", "minutes", {1, 21, 41}),
        ("*/30 * * * *", "minutes", {0, 30}),
        ("10-20/5 * * * *", "minutes", {10, 15, 20}),
        ("1,2,59 * * * *", "minutes", {1, 2, 59}),
        ("* 22-23 * * *", "hours", {22, 23}),
        ("* * 31 * *", "days", {31}),
        ("* * * JAN-mar *", "months", {1, 2, 3}),
        ("* * * * 0", "weekdays", {0}),
        ("* * * * 7", "weekdays", {0}),
        ("* * * * fri-sat", "weekdays", {5, 6}),
        ("* * ? * mon", "weekdays", {1}),
    ],
)
def test_a_cron_field_means_its_values(text: str, field: str, values: set[int]) -> None:
    found = parse_interval(text)
    assert isinstance(found, Cron) and getattr(found, field) == values


@pytest.mark.parametrize("text", ["0 0 L * *", "0 0 * * mon#1", "0 0 15W * *", "0 0 1 * ? 2026", "0 0 12 * * ?"])
def test_the_older_clouds_cron_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_interval(text)


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ("size: {cpu_millis: 9}", "size.cpu_millis"),
        ("size: {memory_mib: 15}", "size.memory_mib"),
        ("size: {memory_mib: 1.5}", "size.memory_mib"),
        ("size: {wat: 1}", "size.wat"),
        ("size: 512", "size"),
        ("health: up", "health"),
        ("health: /a b", "health"),
        ("health: '/a?b'", "health"),
        ("migrate: ' '", "migrate"),
        ("egress: anywhere", "egress"),
        ("egress: [http://x.example]", "egress.0"),
        ("egress: [10.0.0.1/8]", "egress.0"),
    ],
)
def test_what_v1_adds_has_its_limits(extra: str, key: str) -> None:
    assert key in keys(micro(extra, version=1))


def test_hosts_of_egress_are_read_with_a_warning_that_they_are_only_told() -> None:
    found = parse(micro("egress: [api.example.org, '*.example.org']", engine="python3.11", version=1))
    assert found.primary.egress == ("api.example.org", "*.example.org")
    assert "not enforced" in found.warnings[0]
    assert parse(micro("egress: none", engine="python3.11", version=1)).warnings == ()


@pytest.mark.parametrize("engine", ["static", "react", "svelte", "vue"])
@pytest.mark.parametrize("extra", ["health: /up", "migrate: ./m"])
def test_files_have_no_health_and_nothing_to_migrate(engine: str, extra: str) -> None:
    serve = ", serve: x" if engine == "static" else ""
    (problem,) = problems(micro(extra + serve, engine=engine, version=1))
    assert problem.key == extra.split(":")[0] and engine in problem.message


def test_the_schema_agrees_with_the_parser_on_files_that_are_right_and_wrong() -> None:
    engines = set(json_schema()["$defs"]["Micro"]["properties"]["engine"]["enum"])
    assert set(V0_ENGINES) <= engines
    required = {name: set(part.get("required", ())) for name, part in json_schema()["$defs"].items()}
    assert required["Micro"] == {"name", "src", "engine"}
    assert required["Action"] == {"id", "name", "trigger", "default_interval"}
    assert required["EnvPreset"] == {"name"}
    assert all(part.get("additionalProperties") is False for part in json_schema()["$defs"].values())


def test_a_blank_project_parses_and_is_not_valid() -> None:
    with pytest.raises(SpacefileErrors, match="micros: is required"):
        parse("# a comment\nv: 0\n")


def test_a_refusal_is_told_as_text_and_as_data() -> None:
    with pytest.raises(SpacefileErrors) as caught:
        parse(micro("wat: 1, public: 2"))
    told = [{"line": p.line, "micro": p.micro, "key": p.key, "message": p.message} for p in caught.value.problems]
    assert {"line": 3, "micro": "web", "key": "wat", "message": "unknown key"} in json.loads(json.dumps(told))
    assert str(caught.value).count("line 3, micro web") == 2
