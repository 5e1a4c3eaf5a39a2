"""Looks at one cloud without pause, in the database and in the cluster, for anything above its quota."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from k8s.kube.api import Api, path
from provider.up import postgres, secretfile
from provider.up.child import SOURCE
from provider.up.home import Home, run_folder
from tests.journey.people import Person
from tests.kubernetes.whole import ClusterStack

PAUSE_S = 0.02
# Of one statement, so of one moment. What holds compute, as tenants.models.HOLDING_COMPUTE.
_ROWS = """SELECT coalesce(sum(memory_mib) FILTER (WHERE state IN
           ('installing', 'running', 'waking', 'updating', 'failed', 'removing')), 0),
           count(*) FILTER (WHERE state <> 'removed') FROM tenants_instance WHERE cloud_id = %s"""
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass
class Seen:
    """rows, cluster: how often each was looked at. over: what was above its limit. most_mib: of memory, seen in both."""

    rows: int = 0
    cluster: int = 0
    over: list[str] = field(default_factory=list)
    most_mib: list[int] = field(default_factory=lambda: [0, 0])


@contextmanager
def watched(stack: ClusterStack, person: Person, memory_mib: int, instances: int) -> Iterator[Seen]:
    """While the block runs; memory_mib, instances: the cloud's quota."""
    cloud, seen, over = person.call("GET", "cloud/"), Seen(), threading.Event()
    home = Home(stack.home, run_folder(stack.home))
    database = postgres.cluster(home, secretfile.read(stack.home / "secrets.env"))
    failures: list[BaseException] = []

    def look_at_rows() -> None:
        with psycopg.connect(database.url(), autocommit=True) as connection:
            while not over.is_set():
                memory, number = connection.execute(_ROWS, [cloud["id"]]).fetchone() or (0, 0)
                if memory > memory_mib or number > instances:
                    seen.over.append(f"rows: {memory} MiB, {number} instances")
                seen.most_mib[0], seen.rows = max(seen.most_mib[0], memory), seen.rows + 1
                time.sleep(PAUSE_S)

    def look_at_cluster() -> None:
        api = Api(os.environ["KUBECONFIG"], None)
        while not over.is_set():
            pods = api.items(path("Pod", cloud["namespace"]), "freehold/role=app")
            memory = sum(_memory_mib(pod) for pod in pods)
            if memory > memory_mib:
                seen.over.append(f"cluster: {memory} MiB by {[pod['metadata']['name'] for pod in pods]}")
            seen.over += _beyond(api.items(path("ResourceQuota", cloud["namespace"]), ""))
            seen.most_mib[1], seen.cluster = max(seen.most_mib[1], memory), seen.cluster + 1
            time.sleep(PAUSE_S)

    with _going_on((look_at_rows, look_at_cluster), over, failures):
        yield seen
    assert not failures, failures


@contextmanager
def _going_on(
    loops: tuple[Callable[[], None], ...], over: threading.Event, failures: list[BaseException]
) -> Iterator[None]:
    def guarded(loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _memory_mib(pod: dict[str, Any]) -> int:
    """Its limits, as long as it is neither over nor told to leave: what leaves the cluster's own books still count, which
    have room for one more than the plan says."""
    if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    limits = (container["resources"]["limits"]["memory"] for container in pod["spec"]["containers"])
    return sum(_bytes(limit) for limit in limits) // 2**20


def _beyond(quotas: list[dict[str, Any]]) -> list[str]:
    """What `used` says above `hard`, by the cluster's own books."""
    return [
        f"{quota['metadata']['name']}: {used['limits.memory']} of {hard['limits.memory']}"
        for quota in quotas
        for used, hard in [(quota.get("status", {}).get("used", {}), quota.get("status", {}).get("hard", {}))]
        if "limits.memory" in used and _bytes(used["limits.memory"]) > _bytes(hard["limits.memory"])
    ]


def _bytes(text: str) -> int:
    unit = text[-2:]
    return int(text[:-2]) * _UNITS[unit] if unit in _UNITS else int(text)


def give(stack: ClusterStack, person: Person, **figures: int) -> None:
    """As an operator would on the cloud's page."""
    command = (sys.executable, "manage.py", "token", "operator@freehold.localhost", "--scope", "operator:*")
    env = {**os.environ, "FREEHOLD_HOME": str(stack.home)}
    env.pop("DATABASE_URL", None)
    token = subprocess.run(command, cwd=SOURCE, env=env, capture_output=True, text=True, check=True).stdout.strip()
    cloud = person.account["cloud"]["id"]
    answer = person.web.post(
        f"{stack.console}/api/v1/operator/clouds/{cloud}/overrides/",
        json={"figures": figures, "reason": "A race for the last of it"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 201, answer.text
