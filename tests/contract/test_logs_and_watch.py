import itertools
import threading

import pytest

from k8s.errors import NotFound
from k8s.specs import Change, LogLine
from tests.contract.apps import Tenant, new_id
from tests.contract.lanes import until


def test_logs_tell_output_and_errors_apart(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.run(spec)
    found = lambda: {(line.stream, line.text) for line in tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id)}  # noqa: E731
    until(lambda: {("out", "starting"), ("err", "a warning")} <= found())


def test_the_tail_is_the_last_lines_oldest_first(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    for number in range(5):
        tenant.lane.get(upstream, f"/print/line-{number}")
    lines = lambda: [line.text for line in tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id, tail=2)]  # noqa: E731
    until(lambda: lines() == ["line-3", "line-4"])


def test_following_yields_new_lines_as_they_come(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    follow = tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id, tail=0, follow=True)
    timer = threading.Timer(0.3, lambda: tenant.lane.get(upstream, "/print/later"))
    timer.start()
    line = next(line for line in follow if line.text == "later")
    assert line.micro == "main"
    assert line.at.endswith("Z")


def test_logs_of_one_micro_hold_nothing_of_the_other(tenant: Tenant) -> None:
    spec = tenant.instance(micros=(tenant.micro("front"), tenant.micro("back")))
    tenant.run(spec)
    logs = lambda micro: list(tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id, micro=micro))  # noqa: E731
    until(lambda: len(logs("front")) >= 2)
    assert {line.micro for line in logs("front")} == {"front"}
    assert {line.micro for line in logs(None)} == {"front", "back"}


def test_logs_of_an_unknown_instance_or_micro_are_not_found(tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    tenant.lane.cluster.apply_instance(spec)
    with pytest.raises(NotFound):
        tenant.lane.cluster.logs(spec.cloud_id, new_id())
    with pytest.raises(NotFound):
        tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id, micro="nobody")


def test_a_new_watch_begins_with_everything_that_exists(tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.is_at(spec))
    assert Change(spec.cloud_id, spec.instance_id) in list(tenant.lane.cluster.watch(0.5))


def test_a_watch_tells_of_changes_and_ends_in_time(tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    timer = threading.Timer(0.3, lambda: tenant.lane.cluster.apply_instance(spec))
    timer.start()
    changes = tenant.lane.cluster.watch(10)
    assert Change(spec.cloud_id, spec.instance_id) in changes
    timer.join()
    assert list(itertools.islice(tenant.lane.cluster.watch(0.3), 0)) == []


def test_a_log_line_is_whole(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.lane.get(tenant.run(spec), "/print/" + "x" * 5000)
    lines: list[LogLine] = []

    def arrived() -> bool:
        lines[:] = tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id, tail=1)
        return lines[-1].text == "x" * 5000

    until(arrived)
