"""What holds for any Spacefile whatever: right ones are read as written, and nothing ends in another error than ours."""

import json
import re
import time
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps_catalog.spacefile import Spacefile, SpacefileErrors, parse
from apps_catalog.spacefile.document import MAX_BYTES, MAX_DEPTH, YamlProblem, read
from apps_catalog.spacefile.schedule import Cron, Rate, parse_interval

LIMIT_S = 1.0
# PyYAML, which writes the files, leaves 08 and 0e0 without quotes: for YAML 1.1 no numbers, for its successor they are.
# 0e too, to which an action's number is added.
_NUMBERS_SINCE = re.compile("0[0-9]*[89][0-9]*|[0-9]+e[0-9]*")
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8).filter(
    lambda word: not _NUMBERS_SINCE.fullmatch(word)
)
# What YAML gives a meaning, and what files have been seen to hold.
YAMLISH = st.text("{}[]-:?#&*!|>%@`'\",\n \tabv01.~\x00\x85\u2028\ufeff\U0001f600", max_size=200)
VALID = """v: 1
icon: icon.png
volume: {path: /data, size_mib: 100}
micros:
  - name: web
    src: ./web
    engine: python3.11
    primary: true
    commands: [make all]
    include: [dist]
    run: ./serve
    public_routes: [/share/*]
    presets: {env: [{name: TOKEN, description: A token, default: "1"}], api_keys: true}
    actions: [{id: tidy, name: Tidy, trigger: schedule, default_interval: 1 day}]
    health: /up
    migrate: ./migrate
    size: {cpu_millis: 100, memory_mib: 256}
    egress: [api.example.org]
  - {name: page, src: page, engine: static, serve: ., path: /ui/}
"""


def outcome(text: str | bytes, files: list[str] | None = None) -> Spacefile | SpacefileErrors:
    """Any other exception, and any that takes too long, fails the test."""
    began = time.monotonic()
    try:
        result: Spacefile | SpacefileErrors = parse(text, files=files)
    except SpacefileErrors as errors:
        assert errors.problems and all(problem.message for problem in errors.problems)
        result = errors
    assert time.monotonic() - began < LIMIT_S
    return result


@given(st.one_of(YAMLISH, st.binary(max_size=500), st.text(max_size=300)))
@example(b"\xff\xfev\x00:\x00")
@example("a: " * 20_000)
@example("'" * MAX_BYTES)
@example('"\\x' + "0" * 60_000)
@example("? " * 30_000)
@example("- " * 30_000)
@example("{" * 60_000)
@example("a: |9\n" + " " * 60_000)
@example("%YAML 9.9\n---\nv: 0\n")
@example("v: 1e400\nmicros: []\n")
@example("v: 0\nmicros:\n  - {name: .nan, src: .inf, engine: 0x1f}\n")
def test_any_bytes_are_read_or_refused_with_problems_in_under_a_second(text: str | bytes) -> None:
    outcome(text)


@given(st.data())
def test_a_file_that_was_damaged_is_read_or_refused_with_lines_that_it_has(data: st.DataObject) -> None:
    raw = bytearray(VALID.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=4))
    found = outcome(bytes(raw), ["web/main.py", "page/index.html", "icon.png"])
    if isinstance(found, SpacefileErrors):
        lines = len(bytes(raw).decode("utf-8", "replace").splitlines()) + 1
        assert all(problem.line is None or 1 <= problem.line <= lines for problem in found.problems)


@given(st.data())
def test_a_line_that_was_moved_doubled_or_left_out_never_breaks_the_parser(data: st.DataObject) -> None:
    lines = VALID.splitlines(keepends=True)
    at, to = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    change = data.draw(st.sampled_from(["move", "double", "drop", "indent"]))
    line = lines[at]
    if change in ("move", "drop"):
        del lines[at]
    if change in ("move", "double"):
        lines.insert(to, line)
    if change == "indent":
        lines[at] = data.draw(st.sampled_from(["  ", "\t", " " * 40])) + line
    outcome("".join(lines))


actions = st.builds(
    lambda number, unit: {"trigger": "schedule", "default_interval": f"{number} {unit}{'s' if number > 1 else ''}"},
    st.integers(1, 60),
    st.sampled_from(["minute", "hour", "day"]),
)


@st.composite
def right_files(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    micros: list[dict[str, Any]] = []
    for at, name in enumerate(names):
        engine = draw(st.sampled_from(["python3.9", "nodejs16", "custom", "static", "react", "next"]))
        micro: dict[str, Any] = {"name": name, "src": draw(st.sampled_from([".", "./", name, f"./{name}/"]))}
        micro |= {"engine": engine, "primary": at == 0}
        if engine in ("static", "react"):
            micro["serve"] = draw(words)
        elif draw(st.booleans()):
            micro["include"] = draw(st.lists(words, min_size=1, max_size=3, unique=True))
        if draw(st.booleans()):
            micro["run"] = draw(words)
        routes = st.lists(words.map(lambda word: f"/{word}/*"), min_size=1, max_size=3, unique=True)
        micro |= draw(st.sampled_from([{}, {"public": True}])) or {"public_routes": draw(routes)}
        env = draw(st.lists(words.map(str.upper), max_size=3, unique=True))
        if env:
            micro["presets"] = {"env": [{"name": f"X{key}", "default": draw(words)} for key in env]}
        timed = draw(st.lists(actions, max_size=3))
        if timed:
            micro["actions"] = [{"id": f"{name}{n}", "name": f"{name} {n}", **action} for n, action in enumerate(timed)]
        micros.append(micro)
    return {"v": 0, "micros": micros}


@given(right_files())
@settings(max_examples=60)
def test_a_right_file_is_read_as_it_was_written_in_any_style_of_yaml(data: dict[str, Any]) -> None:
    block = parse(yaml.safe_dump(data, sort_keys=False))
    assert block == parse(json.dumps(data)) == parse(yaml.safe_dump(data, default_flow_style=True))
    for written, micro in zip(data["micros"], block.micros, strict=True):
        assert (micro.name, micro.engine, micro.run) == (written["name"], written["engine"], written.get("run"))
        assert [(a.id, a.default_interval) for a in micro.actions] == [
            (a["id"], a["default_interval"]) for a in written.get("actions", [])
        ]
        assert micro.routes == (("/*",) if written.get("public") else tuple(written.get("public_routes", ())))
    assert [micro.primary for micro in block.micros] == [True] + [False] * (len(block.micros) - 1)


@given(right_files(), st.data())
@settings(max_examples=60)
def test_one_mistake_in_a_right_file_is_one_problem_that_names_it(data: dict[str, Any], draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data["micros"]) - 1))
    mistake = draw.draw(st.sampled_from([("wat", 1), ("provide_actions", 7), ("dev", ""), ("commands", [])]))
    data["micros"][at][mistake[0]] = mistake[1]
    found = outcome(json.dumps(data))
    assert isinstance(found, SpacefileErrors)
    assert [(p.micro, p.key) for p in found.problems] == [(data["micros"][at]["name"], mistake[0])]


@given(st.recursive(words | st.booleans() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=20))
def test_the_documents_reader_gives_what_plain_json_would(data: Any) -> None:
    try:
        assert read(json.dumps(data)).data == data
    except YamlProblem as problem:
        assert str(MAX_DEPTH) in str(problem)


@given(st.one_of(st.text(max_size=30), st.text("0123456789 */,-?mon", max_size=30)))
def test_any_text_is_a_schedule_or_is_refused_with_a_sentence(text: str) -> None:
    try:
        found = parse_interval(text)
    except ValueError as error:
        assert str(error)
        return
    if isinstance(found, Rate):
        assert found.value >= 1
        return
    assert isinstance(found, Cron)
    fields = ((found.minutes, 0, 59), (found.hours, 0, 23), (found.days, 1, 31), (found.months, 1, 12))
    for values, low, high in (*fields, (found.weekdays, 0, 6)):
        assert values and low <= min(values) and max(values) <= high
