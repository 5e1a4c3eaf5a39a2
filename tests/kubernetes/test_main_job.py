"""The main job with real pods: sign up, publish, install, use, remove, leave. One whole Freehold for all of it."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.journey import raw
from tests.journey.apps import CHATTY, CRASHES, RECORDER, STATIC
from tests.journey.people import Person, sign_in
from tests.journey.stack import client, discard, new_home, until
from tests.kubernetes.quota_watch import give, watched
from tests.kubernetes.whole import ON_TESTBED, ClusterStack


@pytest.fixture(scope="module")
def freehold() -> Iterator[ClusterStack]:
    stack = ClusterStack(new_home("cluster"), {"FREEHOLD_ERASE_AFTER_DAYS": "0"})
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        stack.clear()
        discard(stack.home)


@pytest.fixture(scope="module")
def owner(freehold: ClusterStack) -> Person:
    return Person(freehold, "owner")


@pytest.fixture(scope="module")
def stranger(freehold: ClusterStack) -> Person:
    return Person(freehold, "stranger")


@pytest.fixture(scope="module")
def recorder(owner: Person) -> dict[str, Any]:
    return owner.running(owner.publish("recorder", RECORDER))


def namespace_of(person: Person) -> str:
    return str(person.call("GET", "cloud/")["namespace"])


def test_one_machine_is_not_asked_for_sandboxes(freehold: ClusterStack) -> None:
    components = freehold.health()["components"]
    assert isinstance(components, dict)
    assert {"bundles", "static", "observer"} <= components.keys()
    assert "node" not in components


def test_signing_up_makes_a_namespace_with_all_that_holds_it(freehold: ClusterStack, owner: Person) -> None:
    namespace = namespace_of(owner)
    (found,) = freehold.namespaces(**{"freehold/cloud": owner.account["cloud"]["id"]})
    assert found["metadata"]["name"] == namespace  # type: ignore[index]
    kinds = ("ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount")
    assert {kind: len(freehold.objects(kind, namespace)) for kind in kinds} == {
        "ResourceQuota": 3,
        "LimitRange": 1,
        "NetworkPolicy": 5,
        "ServiceAccount": 2,
    }


def test_the_app_is_pods_of_its_owners_namespace(
    freehold: ClusterStack, owner: Person, recorder: dict[str, Any]
) -> None:
    pods = [pod for pod in freehold.objects("Pod", namespace_of(owner)) if recorder["id"] in str(pod["metadata"])]
    assert [pod["status"]["phase"] for pod in pods] == ["Running"]  # type: ignore[index]


def test_its_owner_reaches_it_and_nobody_else_does(
    freehold: ClusterStack, owner: Person, stranger: Person, recorder: dict[str, Any]
) -> None:
    url, authority = recorder["url"], f"{recorder['host']}:{freehold.port}"
    assert owner.web.get(f"{url}hello?who=owner").text == "private words of the owner"
    raw.send(freehold.port, raw.get("/x?who=nobody", authority))
    assert "private words" not in stranger.web.get(f"{url}x?who=stranger").text
    assert raw.send(freehold.port, raw.get("/public/x?who=public", authority)).startswith(b"HTTP/1.1 200")
    seen = [request["line"] for request in owner.web.get(f"{url}seen").json()]
    assert seen == ["/hello?who=owner", "/public/x?who=public"]


def test_the_build_ran_as_a_job_in_its_developers_cloud(freehold: ClusterStack, owner: Person) -> None:
    slug = str(owner.call("POST", "projects/", json={"name": "chatty"})["slug"])
    revision = owner.build(slug, CHATTY)
    assert revision["state"] == "ready"
    jobs = [job["metadata"]["labels"]["freehold/job"] for job in freehold.objects("Job", namespace_of(owner))]  # type: ignore[index]
    assert revision["id"] in jobs
    assert owner.api.get(f"projects/{slug}/revisions/{revision['id']}/logs/").text


def test_logs_restart_and_removal(freehold: ClusterStack, owner: Person) -> None:
    instance = owner.running(owner.publish("talks", CHATTY))
    assert owner.web.get(instance["url"]).status_code == 200
    until(lambda: "here I am" in owner.api.get(f"instances/{instance['id']}/logs/").text, 20, "its words in the log")
    before = pods_of(freehold, owner, instance)
    operation = owner.finished(owner.call("POST", f"instances/{instance['id']}/restart/")["id"])
    assert operation["state"] == "succeeded"
    assert owner.web.get(instance["url"]).status_code == 200
    assert not before & pods_of(freehold, owner, instance)
    assert owner.remove(instance["id"])["state"] == "succeeded"
    assert pods_of(freehold, owner, instance) == set()
    assert owner.web.get(instance["url"]).status_code == 404


def pods_of(freehold: ClusterStack, owner: Person, instance: dict[str, Any]) -> set[str]:
    found = freehold.objects("Pod", namespace_of(owner))
    there = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]  # type: ignore[attr-defined]
    return {str(pod["metadata"]["uid"]) for pod in there if instance["id"] in str(pod["metadata"]["labels"])}  # type: ignore[index]


def test_an_app_of_files_needs_no_pod(freehold: ClusterStack, owner: Person, stranger: Person) -> None:
    instance = owner.running(owner.publish("page", STATIC))
    assert "Hello from a folder" in owner.web.get(instance["url"]).text
    assert "Hello from a folder" not in stranger.web.get(instance["url"]).text
    assert pods_of(freehold, owner, instance) == set()
    assert owner.remove(instance["id"])["state"] == "succeeded"
    assert owner.web.get(instance["url"]).status_code == 404


def test_an_app_that_cannot_start_says_why(owner: Person) -> None:
    instance = owner.settled(owner.install(owner.publish("crashes", CRASHES))["id"])
    assert instance["state"] == "failed"
    assert "exited with code 7" in instance["state_reason"]


NODE = {
    "Spacefile": "v: 0\nmicros:\n  - {name: late, src: ., engine: nodejs16, run: node index.js}\n",
    "index.js": "require('http').createServer((_, answer) => answer.end('here at last')).listen(process.env.PORT)\n",
}


@pytest.mark.skipif(not ON_TESTBED, reason="gives the node an image, which only the testbed's own node lets us do")
def test_an_app_whose_image_is_missing_says_so_and_runs_by_itself_once_it_is_there(
    freehold: ClusterStack, owner: Person
) -> None:
    instance = owner.settled(owner.install(owner.publish("late", NODE))["id"])
    assert instance["state"] == "failed"
    assert "its image cannot be fetched" in instance["state_reason"]
    assert owner.web.get(instance["url"]).status_code == 503
    freehold.bring_late_image()
    until(lambda: owner.instance(instance["id"])["state"] == "running", 180, "running without anybody's help", 1)
    assert owner.instance(instance["id"])["state_reason"] == ""
    assert owner.web.get(instance["url"]).text == "here at last"


def at_once(person: Person, number: int, asks: Sequence[tuple[str, dict[str, Any] | None]]) -> list[httpx.Response]:
    """`number` calls of the API that begin together, by turns those of `asks`: path and body of a POST."""
    start = threading.Barrier(number)

    def ask(n: int) -> httpx.Response:
        path, body = asks[n % len(asks)]
        with client(base_url=str(person.api.base_url), headers=person.api.headers, timeout=120) as http:
            start.wait(60)
            return http.post(path, json=body)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(ask, range(number)))


def awake(person: Person) -> list[dict[str, Any]]:
    """Their instances that run, once each is in a state that lasts and nothing is asked of any."""

    def settled() -> list[dict[str, Any]]:
        rows = person.call("GET", "instances/")["results"]
        waiting = [one for one in person.call("GET", "operations/")["results"] if one["finished_at"] is None]
        return rows if not waiting and all(row["state"] in ("running", "asleep") for row in rows) else []

    return [row for row in until(settled, 240, "all at rest", 0.5) if row["state"] == "running"]


def test_fifty_installs_at_once_with_room_for_one_are_one_and_nothing_is_ever_above_the_quota(
    freehold: ClusterStack, recorder: dict[str, Any]
) -> None:
    crowd = Person(freehold, "crowd")
    first = crowd.running(recorder["app"])
    crowd.call("PATCH", f"instances/{first['id']}/", json={"sleep_after_s": 0})
    one_mib = first["size"]["memory_mib"]
    room_mib = 2 * one_mib + one_mib // 2
    give(freehold, crowd, memory_mib=room_mib)
    with watched(freehold, crowd, room_mib, 20) as seen:
        answers = at_once(crowd, 50, [("instances/", {"app": recorder["app"]})])
        assert sorted({answer.status_code for answer in answers}) == [202, 422]
        (made,) = [answer.json() for answer in answers if answer.status_code == 202]
        refused = {answer.json()["error"]["code"] for answer in answers if answer.status_code == 422}
        assert refused == {"quota_exceeded"}
        assert {row["id"] for row in awake(crowd)} == {first["id"], made["id"]}
        # The last unit again, this time between one that is to wake and one that is to come.
        crowd.finished(crowd.call("POST", f"instances/{made['id']}/sleep/")["id"])
        assert {row["id"] for row in awake(crowd)} == {first["id"]}
        wake = (f"instances/{made['id']}/wake/", None)
        answers = at_once(crowd, 20, [wake, ("instances/", {"app": recorder["app"]})])
        assert 202 in {answer.status_code for answer in answers}
        assert {answer.status_code for answer in answers} <= {202, 409, 422}
        left = awake(crowd)
        assert len(left) == 2 and first["id"] in {row["id"] for row in left}
    assert seen.over == []
    assert seen.most_mib == [2 * one_mib, 2 * one_mib]
    assert min(seen.rows, seen.cluster) > 50


def test_closing_the_account_takes_the_namespace_along(freehold: ClusterStack, recorder: dict[str, Any]) -> None:
    leaver = Person(freehold, "leaver")
    instance = leaver.running(recorder["app"])
    assert leaver.web.get(f"{instance['url']}hello").text == "private words of the owner"
    cloud = leaver.call("GET", "cloud/")
    assert freehold.namespaces(**{"freehold/cloud": cloud["id"]})
    leaver.call("DELETE", "cloud/")
    until(lambda: leaver.web.get(instance["url"]).status_code == 404, 5, "its address closed")
    assert leaver.api.get("cloud/").status_code == 401
    until(lambda: not freehold.namespaces(**{"freehold/cloud": cloud["id"]}), 120, "its namespace gone")
    with client(follow_redirects=True) as web, pytest.raises(AssertionError, match="signed in as"):
        until(lambda: _is_forgotten(leaver), 30, "the account gone")
        sign_in(web, freehold.console, leaver.email, leaver.password)


def _is_forgotten(person: Person) -> bool:
    wish = {"email": person.email, "password": person.password, "name": "x", "scopes": ["*"]}
    with client(base_url=f"{person.stack.console}/api/v1/") as http:
        return http.post("tokens/", json=wish).status_code == 401
