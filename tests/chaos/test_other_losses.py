"""Redis emptied, the node agent or the web killed, PostgreSQL restarted, all in the middle of an install."""

import contextlib
import os
import signal
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import redis

from tests.chaos.blockade import blockade, database_url
from tests.chaos.test_killed_workers import LIMIT_S, frozen
from tests.journey import traces
from tests.journey.people import Person
from tests.journey.stack import Stack, until

Loss = Callable[[Stack], None]


def redis_is_emptied(stack: Stack) -> None:
    environment = Path(f"/proc/{stack.pid_of('worker')}/environ").read_bytes().split(b"\0")
    url = next(entry for entry in environment if entry.startswith(b"REDIS_URL=")).decode().partition("=")[2]
    redis.Redis.from_url(url).flushall()


def redis_is_killed(stack: Stack) -> None:
    os.kill(stack.pid_of("redis-server"), signal.SIGKILL)


def node_agent_is_killed(stack: Stack) -> None:
    os.kill(stack.pid_of("k8s.local.agent"), signal.SIGKILL)


def observer_is_killed(stack: Stack) -> None:
    os.kill(stack.pid_of("observe"), signal.SIGKILL)


def live_is_killed(stack: Stack) -> None:
    os.kill(stack.pid_of("provider.live"), signal.SIGKILL)


def gate_agent_is_killed(stack: Stack) -> None:
    os.kill(stack.pid_of("provider.gate.agent"), signal.SIGKILL)


def postgres_is_restarted(stack: Stack) -> None:
    """As `pg_ctl restart -m immediate`: every connection dies at once and the log is replayed."""
    os.kill(stack.postmaster, signal.SIGQUIT)


LOSSES = [
    redis_is_emptied,
    redis_is_killed,
    node_agent_is_killed,
    observer_is_killed,
    live_is_killed,
    gate_agent_is_killed,
    postgres_is_restarted,
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_an_install_that_meets_a_loss_ends_with_one_running_instance(
    freehold: Stack, owner: Person, app: str, loss: Loss
) -> None:
    worker = freehold.pid_of("worker")
    with frozen(worker):  # nothing of the install has been done yet, the task lies in Redis
        begun = owner.install(app)
        loss(freehold)
    freehold.wait_until_well(LIMIT_S)
    assert owner.finished(begun["operation"], LIMIT_S)["state"] == "succeeded"
    instance = owner.instance(begun["id"])
    assert len(freehold.sandboxes(instance["host"])) == 1
    until(lambda: owner.web.get(f"{instance['url']}seen").status_code == 200, 30, "the app answers its owner")
    owner.remove(begun["id"])


@pytest.mark.parametrize("loss", [redis_is_emptied, node_agent_is_killed], ids=lambda loss: loss.__name__)
def test_a_loss_between_the_call_and_its_record_changes_nothing(
    freehold: Stack, owner: Person, app: str, loss: Loss
) -> None:
    with blockade(database_url(freehold)) as held:
        with frozen(freehold.pid_of("worker")):
            begun = owner.install(app)
            held.hold_step(begun["operation"], "start")
        held.wait_for_a_victim()  # handed to the cluster, not yet written down
        loss(freehold)
    freehold.wait_until_well(LIMIT_S)
    assert owner.finished(begun["operation"], LIMIT_S)["state"] == "succeeded"
    assert len(freehold.sandboxes(owner.instance(begun["id"])["host"])) == 1
    owner.remove(begun["id"])


def test_a_running_instance_outlives_the_node_agent(freehold: Stack, owner: Person, app: str) -> None:
    instance = owner.running(app)
    before = freehold.sandboxes(instance["host"])
    node_agent_is_killed(freehold)
    freehold.wait_until_well(LIMIT_S)
    assert freehold.sandboxes(instance["host"]) == before
    assert owner.web.get(f"{instance['url']}seen").status_code == 200
    owner.remove(instance["id"])


def test_a_restarted_postgres_holds_no_disk_of_an_app(freehold: Stack, owner: Person, keeper: str) -> None:
    """It runs in a mount namespace of its own, where a copy of a mount would keep a deleted disk alive."""
    instance = owner.running(keeper)
    assert traces.disks(instance["id"])
    postgres_is_restarted(freehold)
    freehold.wait_until_well(LIMIT_S)
    owner.finished(owner.call("DELETE", f"instances/{instance['id']}/", params={"data": "delete"})["id"])
    until(lambda: not traces.disks(instance["id"]), 10, "its disk is free")


def test_an_app_that_is_killed_comes_back(freehold: Stack, owner: Person, app: str) -> None:
    instance = owner.running(app)
    (before,) = freehold.sandboxes(instance["host"])
    for pid in freehold.members(before):
        with contextlib.suppress(ProcessLookupError):  # the sandbox's first process takes all others with it
            os.kill(pid, signal.SIGKILL)
    until(lambda: freehold.sandboxes(instance["host"]) not in ([], [before]), 60, "a new sandbox")
    until(lambda: owner.web.get(f"{instance['url']}seen").status_code == 200, 60, "it answers again")
    owner.remove(instance["id"])


def test_an_install_asked_for_while_the_web_is_killed_happens_once(freehold: Stack, owner: Person, app: str) -> None:
    """The asker gets no answer and asks again under the same key, as the command line does."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    def ask() -> str | None:
        try:
            answer = owner.api.post("instances/", json={"app": app}, headers=headers)
        except httpx.TransportError:
            return None
        return str(answer.json()["id"]) if answer.status_code == 202 else None

    killer = threading.Timer(0.02, lambda: os.kill(freehold.pid_of("wsgi"), signal.SIGKILL))
    killer.start()
    made = until(ask, LIMIT_S, "an answer")
    killer.join()
    freehold.wait_until_well(LIMIT_S)
    assert owner.settled(made, LIMIT_S)["state"] == "running"
    assert [row["id"] for row in owner.call("GET", "instances/")["results"]] == [made]
    owner.remove(made)
