"""A worker killed with -9 at each step of an install and of a removal: the work ends as it would have, once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.chaos.blockade import Blockade, blockade, database_url
from tests.journey.people import Person, credentials
from tests.journey.stack import Stack, client, until
from tests.journey.test_closing import state_of, the_date_comes

# Where the worker is stopped: it wants to write this row, so what comes before has been done and is not recorded.
INSTALL = ("operation", "step prepare", "step start", "step address", "instance")
REMOVAL = ("operation", "step stop", "step clear", "instance")
CLOSING = ("operation", "step stop", "step erase", "step account", "cloud", "instance")
LIMIT_S = 150  # the supervisor waits longer from one death to the next


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True)
class Begun:
    operation: str
    instance: str
    cloud: str = ""


def kill_worker_at(stack: Stack, place: str, begin: Callable[[], Begun]) -> Begun:
    """Begin something, let the worker come as far as `place`, kill it there."""
    worker = stack.pid_of("worker")
    with blockade(database_url(stack)) as held:
        with frozen(worker):
            begun = begin()
            _hold(held, place, begun)
        held.wait_for_a_victim()
        os.kill(worker, signal.SIGKILL)
        until(lambda: worker not in stack.processes(), 10, "the worker dead")
    return begun


def installing(owner: Person, app: str) -> Callable[[], Begun]:
    def begin() -> Begun:
        made = owner.install(app)
        return Begun(made["operation"], made["id"])

    return begin


def removing(owner: Person, instance_id: str) -> Callable[[], Begun]:
    return lambda: Begun(owner.call("DELETE", f"instances/{instance_id}/")["id"], instance_id)


def closing(stack: Stack, leaver: Person, instance_id: str) -> Callable[[], Begun]:
    """On the day of the erasure."""

    def begin() -> Begun:
        cloud = leaver.call("DELETE", "cloud/")
        the_date_comes(stack, cloud["id"])
        return Begun(cloud["operation"], instance_id, cloud["id"])

    return begin


def _hold(held: Blockade, place: str, begun: Begun) -> None:
    if place == "operation":
        held.hold_operation(begun.operation)
    elif place == "instance":
        held.hold_instance(begun.instance)
    elif place == "cloud":
        held.hold_cloud(begun.cloud)
    else:
        held.hold_step(begun.operation, place.removeprefix("step "))


@pytest.mark.parametrize("place", INSTALL)
def test_an_install_ends_with_exactly_one_running_instance(
    freehold: Stack, owner: Person, app: str, place: str
) -> None:
    begun = kill_worker_at(freehold, place, installing(owner, app))
    assert owner.finished(begun.operation, LIMIT_S)["state"] == "succeeded"
    instance = owner.instance(begun.instance)
    assert instance["state"] == "running"
    assert owner.web.get(f"{instance['url']}seen").status_code == 200
    assert len(freehold.sandboxes(instance["host"])) == 1
    assert [row["id"] for row in owner.call("GET", "instances/")["results"]] == [begun.instance]
    owner.remove(begun.instance)


@pytest.mark.parametrize("place", REMOVAL)
def test_a_removal_ends_with_nothing_left(freehold: Stack, owner: Person, app: str, place: str) -> None:
    instance = owner.running(app)
    assert len(freehold.sandboxes(instance["host"])) == 1
    begun = kill_worker_at(freehold, place, removing(owner, instance["id"]))
    assert owner.finished(begun.operation, LIMIT_S)["state"] == "succeeded"
    assert freehold.sandboxes(instance["host"]) == []
    assert owner.call("GET", "instances/")["results"] == []
    usage = owner.call("GET", "cloud/")["usage"]
    assert (usage["instances"], usage["cpu_millis"], usage["memory_mib"]) == (0, 0, 0)
    until(lambda: owner.web.get(instance["url"]).status_code == 404, 10, "its address gone")


@pytest.mark.parametrize("place", CLOSING)
def test_a_closed_account_ends_with_nothing_left(freehold: Stack, keeper: str, place: str) -> None:
    leaver = Person(freehold, "leaver")
    instance = leaver.running(keeper)
    begun = kill_worker_at(freehold, place, closing(freehold, leaver, instance["id"]))
    until(lambda: state_of(freehold, begun.cloud) == "closed", LIMIT_S, "the account closed")
    assert freehold.sandboxes(instance["host"]) == []
    assert not (freehold.home / "node" / "clouds" / begun.cloud).exists()
    with client(base_url=f"{freehold.console}/api/v1/") as http:
        gone = http.post("tokens/", json={**credentials(leaver), "name": "x", "scopes": ["*"]})
    assert gone.status_code == 401


def test_a_worker_killed_again_and_again_still_gets_there(freehold: Stack, owner: Person, app: str) -> None:
    begun = kill_worker_at(freehold, "step prepare", installing(owner, app))
    for _ in range(2):
        os.kill(freehold.pid_of("worker"), signal.SIGKILL)
    assert owner.finished(begun.operation, LIMIT_S)["state"] == "succeeded"
    assert len(freehold.sandboxes(owner.instance(begun.instance)["host"])) == 1
    owner.remove(begun.instance)
