"""Lines of the log: whatever is written while something is worked on says whose it is."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from k8s.errors import Temporary
from provider.logs import Json, Lines
from tenants import logs
from tenants.models import Operation
from tenants.services.instances import install_app
from tests.worlds import MemoryCluster, active_person, released, settle

LINE = "level=%(levelname)s logger=%(name)s %(message)s"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a process with FREEHOLD_LOG_FORMAT=json writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("some.place", logging.WARNING, "f.py", 1, message, arguments, info)


@pytest.mark.django_db
def test_every_line_about_an_operation_names_cloud_instance_and_operation(
    cluster: MemoryCluster, written: io.StringIO
) -> None:
    user = active_person(cluster)
    release = released(cluster)
    settle()
    cluster.break_before["apply_instance"] = [Temporary("the cluster is slow today")]
    written.truncate(0)
    written.seek(0)
    instance, operation = install_app(user, app_slug=release.app.slug)
    settle()
    Operation.objects.update(not_before=None)
    settle()
    lines = told(written)
    assert {"postponed", "operation_over"} <= {line["event"] for line in lines}
    for line in lines:
        ids = (line["cloud"], line["instance"], line["operation"])
        assert ids == (user.cloud.pk, instance.pk, operation.pk), line
    (over,) = [line for line in lines if line["event"] == "operation_over"]
    assert (over["kind"], over["state"], over["tries"]) == ("install", "succeeded", "2")
    (late,) = [line for line in lines if line["event"] == "postponed"]
    assert late["why"] == "the cluster is slow today"


def test_lines_of_libraries_carry_the_ids_too_and_no_id_is_there_twice() -> None:
    with logs.about(cloud="cld1", instance=None):
        logs.also(operation="opn1")
        assert Lines(LINE).format(record("Retrying %s", "/a")).endswith("Retrying /a cloud=cld1 operation=opn1")
        assert Lines(LINE).format(record("waits cloud=%s why=%s", "cld1", "x y")).count("cloud=") == 1
    assert Lines(LINE).format(record("nothing")) == "level=WARNING logger=some.place nothing"


def test_an_object_says_what_the_line_says() -> None:
    with logs.about(cloud="cld1"):
        line = record("waits instance=%s why=%s", "ins1", "it said “no”\nand left", error=ValueError("x"))
        found = json.loads(Json().format(line))
    assert {name: found[name] for name in ("cloud", "instance", "why", "event", "level", "logger")} == {
        "cloud": "cld1",
        "instance": "ins1",
        "why": "it said “no”\nand left",
        "event": "waits",
        "level": "WARNING",
        "logger": "some.place",
    }
    assert "ValueError: x" in found["traceback"] and found["at"].endswith("+00:00")
    free = json.loads(Json().format(record('Watching for "x" with a=b')))
    assert "event" not in free and "a" not in free
