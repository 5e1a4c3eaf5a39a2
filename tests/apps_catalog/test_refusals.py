"""The issue's list of bad input, each refused by its field within a second and 256 MiB, before anything is written."""

import json
import pickle
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.apps_catalog import hostile

# In a process of its own, so that peaks are its own; the kernel's peak is set back before each case.
MEASURED = r"""
import io, json, os, pickle, re, sys, time
from apps_catalog import bundles, discovery
from apps_catalog.spacefile import SpacefileErrors, parse
cases = pickle.loads(sys.stdin.buffer.read())
written = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.append(str(arguments[0]))
    if event in ("os.mkdir", "os.rename", "os.link", "os.symlink", "subprocess.Popen", "os.exec", "os.system"):
        written.append(event)
def now(field):
    return int(re.search(field + r":\s+(\d+)", open("/proc/self/status").read())[1])
def refused(kind, content):
    try:
        if kind == "bundle":
            bundles.check(io.BytesIO(content))
        elif kind == "spacefile":
            parse(content)
        else:
            discovery.parse(content)
    except bundles.BundleError as error:
        return [[error.field, error.message, error.limit]]
    except (SpacefileErrors, discovery.DiscoveryErrors) as errors:
        return [[problem.key, problem.message, None] for problem in errors.problems]
    return []
refused("spacefile", b"v: 0"), refused("discovery", b"x"), refused("bundle", b"")  # what is only loaded once
sys.addaudithook(watch)
answers = {}
for name, (kind, content) in cases.items():
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    written.clear()
    before, began = now("VmRSS"), time.monotonic()
    said = refused(kind, content)
    took = time.monotonic() - began
    answers[name] = [said, took, (now("VmHWM") - before) / 1024, list(written)]
print(json.dumps(answers))
"""


@dataclass(frozen=True)
class Refusal:
    """problems: (field, sentence, limit). growth_mib: of memory while it was looked at."""

    problems: list[tuple[str, str, int | None]]
    seconds: float
    growth_mib: float
    written: list[str]


def cases() -> dict[str, tuple[str, bytes]]:
    found = {f"bundle-{name}": ("bundle", content) for name, content in hostile.bundles().items()}
    found |= {f"spacefile-{name}": ("spacefile", content) for name, content in hostile.spacefiles().items()}
    return found | {f"discovery-{name}": ("discovery", case[0]) for name, case in hostile.discoveries().items()}


@pytest.fixture(scope="module")
def refusals() -> dict[str, Refusal]:
    command = [sys.executable, "-c", MEASURED]
    done = subprocess.run(command, input=pickle.dumps(cases()), capture_output=True, check=True, timeout=300)
    answers = json.loads(done.stdout)
    return {name: Refusal([tuple(p) for p in said], *more) for name, (said, *more) in answers.items()}


NAMES = [f"bundle-{name}" for name in hostile.bundles()] + [f"spacefile-{name}" for name in hostile.spacefiles()]
NAMES += [f"discovery-{name}" for name in hostile.discoveries()]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_refused_in_a_second_and_256_mib_and_writes_nothing(name: str, refusals: dict[str, Refusal]) -> None:
    refusal = refusals[name]
    assert refusal.problems and all(sentence for _, sentence, _ in refusal.problems)
    assert refusal.seconds < 1 and refusal.growth_mib < 256, refusal
    assert refusal.written == []


@pytest.mark.parametrize("name", list(hostile.discoveries()))
def test_a_discovery_field_over_its_limit_is_named_with_the_limit(name: str, refusals: dict[str, Refusal]) -> None:
    _, field, limit = hostile.discoveries()[name]
    (problem,) = refusals[f"discovery-{name}"].problems
    assert problem[0] == field
    assert limit is None or str(limit) in problem[1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("escape", "leaves the project"),
        ("absolute", "absolute"),
        ("backslash", "backslash"),
        ("link", "symbolic link"),
        ("character-device", "device"),
        ("block-device", "device"),
        ("pipe", "pipe"),
        ("duplicate", "same name"),
        ("same-but-for-case", "same name"),
        ("bomb", "200 times"),
        ("lying-bomb", "more than it declares"),
        ("million-entries", "ZIP64"),
        ("million-entries-that-are-few", "at most 20000"),
        ("wrong-encoding", "UTF-8"),
        ("deep", "40 folders"),
        ("long-name", "1000 bytes"),
    ],
)
def test_a_hostile_bundle_is_told_what_is_wrong_with_it(name: str, says: str, refusals: dict[str, Refusal]) -> None:
    ((field, sentence, _),) = refusals[f"bundle-{name}"].problems
    assert field == "bundle" and says in sentence


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tags", "tags are not allowed"),
        ("aliases", "anchors and aliases"),
        ("laughs", "anchors and aliases"),
        ("depth", "nested too deep, at most 12"),
        ("depth-of-mappings", "nested too deep, at most 12"),
        ("many-values", "at most 4000"),
        ("too-large", "larger than 64 KiB"),
        ("utf-16", "UTF-8"),
        ("latin-1", "UTF-8"),
        ("surrogate", "UTF-8"),
    ],
)
def test_a_hostile_spacefile_is_told_what_is_wrong_with_it(name: str, says: str, refusals: dict[str, Refusal]) -> None:
    assert says in refusals[f"spacefile-{name}"].problems[0][1]
