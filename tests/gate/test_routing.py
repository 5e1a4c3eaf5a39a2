"""Which micro gets a request, what it sees of the path, and what is said while nothing answers."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tenants import feed
from tenants.models import InstanceMicro
from tenants.states import InstanceState
from tests.gate.conftest import Gate, errors_of, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Reply, Upstream

HTML = ("Accept", "text/html")


@dataclass
class Scene:
    gate: Gate
    house: House
    main: Upstream
    api: Upstream

    def ask(self, target: str, *headers: tuple[str, str], owner: bool = True) -> Reply:
        cookie = (self.house.cookie(),) if owner else ()
        return self.gate.http.ask(self.house.host, target, *cookie, *headers)


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    scene = Scene(gate, new_house(), upstreams("main"), upstreams("api"))
    scene.house.add("", scene.main, [])
    scene.house.add("api", scene.api, ["/open/*"])
    InstanceMicro.objects.create(
        instance=scene.house.instance,
        name="site",
        mount="site",
        kind="static",
        engine="static",
        serve="sha256:ab/www x",
    )
    settle(gate, scene.house)
    return scene


@pytest.mark.parametrize(
    ("target", "micro", "seen"),
    [
        ("/", "main", "/"),
        ("/api", "api", "/"),
        ("/api/", "api", "/"),
        ("/api/a%20b/c?d=/e", "api", "/a%20b/c?d=/e"),
        ("/api?x=1", "api", "/?x=1"),
        ("/apis/x", "main", "/apis/x"),
        ("/x/api/y", "main", "/x/api/y"),
        ("/API/x", "main", "/API/x"),
        ("/site/a.css", "static", "/a.css"),
        ("/notes/100%25", "main", "/notes/100%25"),
    ],
)
def test_the_first_segment_chooses_and_is_stripped(
    scene: Scene, static: Upstream, target: str, micro: str, seen: str
) -> None:
    reached = {"main": scene.main, "api": scene.api, "static": static}[micro]
    assert scene.ask(target).status == 200
    assert reached.last.path == seen
    assert reached.last.header("x-freehold-static") == ("sha256:ab/www x" if micro == "static" else None)


def test_public_routes_are_relative_to_their_micro(scene: Scene) -> None:
    assert scene.ask("/api/open/x", owner=False).status == 200
    assert scene.api.last.path == "/open/x"
    assert scene.ask("/open/x", ("Accept", "application/json"), owner=False).status == 401
    assert scene.main.seen == []


def test_a_micro_that_is_not_up_is_not_answered_for_by_another(scene: Scene) -> None:
    InstanceMicro.objects.filter(instance=scene.house.instance, mount="api").update(upstream="")
    feed.changed(scene.house.instance.id)
    wait_until(lambda: scene.gate.upstream(scene.house.instance.id, "api") is None, "the map follows")
    assert scene.ask("/api/x", HTML).status == 503
    assert (scene.main.seen, scene.api.seen) == ([], [])


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        (InstanceState.FAILED, 503, "It never listened."),
        (InstanceState.STOPPED, 503, "stopped"),
        (InstanceState.REMOVING, 404, "being removed"),
        (InstanceState.INSTALLING, 503, 'http-equiv="refresh"'),
    ],
)
def test_the_owner_reads_why_nothing_answers_and_others_sign_in_first(
    scene: Scene, state: str, status: int, words: str
) -> None:
    scene.house.change(state=state, state_reason="It never listened.")
    wait_until(lambda: scene.gate.upstream(scene.house.instance.id) is None, "the map follows")
    reply = scene.ask("/", HTML)
    assert reply.status == status
    assert words in reply.text and f"/instances/{scene.house.instance.id}/" in reply.text
    assert scene.ask("/", HTML, owner=False).status == 302
    stranger = scene.ask("/api/open/x", HTML, owner=False)
    assert "It never listened." not in stranger.text
    assert scene.main.seen == []


def test_a_program_is_told_to_come_back(scene: Scene) -> None:
    scene.house.change(state=InstanceState.STOPPED)
    wait_until(lambda: scene.gate.upstream(scene.house.instance.id) is None, "the map follows")
    reply = scene.ask("/", ("Accept", "application/json"))
    assert (reply.status, errors_of(reply), reply.header("retry-after")) == (503, ["Stopped"], "30")


def test_a_request_with_a_body_is_held_until_the_app_is_up(scene: Scene) -> None:
    scene.house.change(state=InstanceState.INSTALLING)
    wait_until(lambda: scene.gate.upstream(scene.house.instance.id) is None, "the map follows")
    replies: list[Reply] = []

    def post() -> None:
        door, host = scene.gate.http, scene.house.host
        replies.append(door.ask(host, "/save", scene.house.cookie(), method="POST", body=b"x" * 200_000))

    asking = threading.Thread(target=post)
    asking.start()
    assert not scene.main.seen
    scene.house.change(state=InstanceState.RUNNING)
    asking.join(15)
    assert replies[0].status == 200
    assert scene.main.last.body == b"x" * 200_000


def test_an_app_that_does_not_answer_gets_a_page_that_says_so(scene: Scene) -> None:
    scene.main.close()
    reply = scene.ask("/", HTML)
    assert reply.status == 503
    assert "No answer" in reply.text


def test_many_owners_at_once_are_never_mixed_up(gate: Gate, upstreams: Callable[[str], Upstream]) -> None:
    houses = [new_house() for _ in range(6)]
    for number, house in enumerate(houses):
        house.add("", upstreams(str(number)), [])
    settle(gate, *houses)
    wrong: list[str] = []

    def visit(number: int) -> None:
        for _ in range(30):
            text = gate.http.ask(houses[number].host, "/p", houses[number].cookie()).text
            if f'"from": "{number}"' not in text:
                wrong.append(text)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
