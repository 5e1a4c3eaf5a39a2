"""Falling asleep and waking, as clients of two gates see it. The test stands in for the worker and the cluster."""

import hashlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from django.db import transaction
from django.utils import timezone

from tenants import feed
from tenants.models import Cloud, Collection, DataServer, Drain, Event, HoldCause, Instance, InstanceMicro
from tenants.models import Gate as GateRow
from tenants.services import holds, quota, sleeping
from tenants.states import CloudState, DataServerState, InstanceState, move
from tests.free_ports import free_port
from tests.gate.conftest import errors_of
from tests.gate.running import Gate, running, wait_until
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Door, Reply, Upstream, spell

HTML = ("Accept", "text/html")
LONG_S = 90.0


@pytest.fixture(scope="module")
def other_gate(running_gate: Gate, static: Upstream) -> Iterator[Gate]:
    """A second proxy with its agent, which shares nothing with the first."""
    with running(static.address) as gate:
        yield gate
    GateRow.objects.filter(pk__endswith=str(gate.run)).delete()


@dataclass
class App:
    """An instance that is stopped and started as the database says; `seen` by all its processes together."""

    house: House
    public: list[str] = field(default_factory=list)
    process: Upstream | None = None
    ended: list[tuple[Upstream, int]] = field(default_factory=list)
    starts: int = 0
    start_takes_s: float = 0.3
    due: float | None = None

    def __post_init__(self) -> None:
        self.process = Upstream("0")
        self.house.add("", self.process, self.public)
        Cloud.objects.filter(pk=self.house.instance.cloud_id).update(state=CloudState.ACTIVE)
        Instance.objects.filter(pk=self.row.pk).update(observed_generation=1)

    @property
    def row(self) -> Instance:
        return Instance.objects.get(pk=self.house.instance.pk)

    @property
    def seen(self) -> list[str]:
        processes = [*(old for old, _ in self.ended), *([self.process] if self.process else [])]
        return [request.path for process in processes for request in process.seen]

    def work(self) -> None:
        """What worker and cluster would do now."""
        sleeping.finish_drains()
        row = self.row
        if row.state == InstanceState.ASLEEP and self.process:
            self.process.close()
            self.ended.append((self.process, len(self.process.seen)))
            self.process = None
        if row.state == InstanceState.WAKING and self.process is None:
            self.due = self.due or time.monotonic() + self.start_takes_s
            if time.monotonic() >= self.due:
                self.start(row)

    def start(self, row: Instance) -> None:
        self.starts, self.due, self.process = self.starts + 1, None, Upstream(str(self.starts + 1))
        row.micros.update(upstream=self.process.address)
        move(row, InstanceState.RUNNING, observed_generation=row.generation, awake_since=timezone.now())
        feed.changed(row.pk)

    def work_until(self, true: Callable[[], object], what: str, limit_s: float = LONG_S) -> None:
        def worked() -> object:
            self.work()
            return true()

        wait_until(worked, what, limit_s)

    def sleep(self) -> None:
        def is_asleep() -> bool:
            sleeping.fall_asleep(self.row.pk)
            return self.process is None

        self.work_until(is_asleep, "it sleeps")

    def close(self) -> None:
        for process in [*(old for old, _ in self.ended), self.process]:
            if process is not None:
                process.close()


@pytest.fixture
def app(gate: Gate) -> Iterator[App]:
    app = App(new_house(), ["/open/*"])
    settle(gate, app.house)
    yield app
    Drain.objects.all().delete()
    Instance.objects.filter(pk=app.row.pk).update(state=InstanceState.STOPPED)
    app.close()


@dataclass
class Client:
    """Asks for one thing after another, each with a number of its own; every second with a body."""

    door: Door
    house: House
    numbers: "itertools.count[int]"
    over: threading.Event
    replies: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        while not self.over.is_set():
            number = next(self.numbers)
            method, body = ("POST", b"x" * 30_000) if number % 2 else ("GET", b"")
            path = f"/n/{number}"
            try:
                reply = self.door.ask(self.house.host, path, self.house.cookie(), method=method, body=body)
                self.replies[path] = reply.status
            except Exception:
                self.replies[path] = 0
            self.over.wait(random.choice([0.0, 0.0, 0.4, 1.2]))


def test_nobody_loses_or_repeats_a_request_while_it_falls_asleep_again_and_again(
    gate: Gate, other_gate: Gate, app: App
) -> None:
    over, numbers = threading.Event(), itertools.count()
    settle(other_gate, app.house)
    clients = [Client(door, app.house, numbers, over) for door in (gate.http, other_gate.http) for _ in range(2)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()

    def enough() -> bool:
        sleeping.fall_asleep(app.row.pk)
        return len(app.ended) >= 6 and app.process is not None

    try:
        app.work_until(enough, "it slept six times", 180)
    finally:
        over.set()
        deadline = time.monotonic() + LONG_S
        while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
            app.work()
            time.sleep(0.02)
    replies = {path: status for client in clients for path, status in client.replies.items()}
    assert set(replies.values()) == {200}
    assert sorted(app.seen) == sorted(replies)
    assert [len(process.seen) for process, _ in app.ended] == [seen for _, seen in app.ended]  # nothing after its end
    assert app.starts == Event.objects.filter(subject=app.row.pk, after=InstanceState.WAKING).count()


def test_a_hundred_at_once_at_two_gates_start_it_once_and_are_all_answered(
    gate: Gate, other_gate: Gate, app: App
) -> None:
    app.sleep()
    replies: list[tuple[str, Reply]] = []

    def visit(number: int) -> None:
        door = (gate, other_gate)[number % 2].http
        method, body = ("POST", b"y" * 50_000) if number % 3 else ("GET", b"")
        path = f"/v/{number}"
        replies.append((path, door.ask(app.house.host, path, app.house.cookie(), method=method, body=body)))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    app.work_until(lambda: not any(thread.is_alive() for thread in threads), "all were answered")
    assert [reply.status for _, reply in replies] == [200] * 100
    assert sorted(app.seen) == sorted(path for path, _ in replies)
    assert app.starts == 1
    assert Event.objects.filter(subject=app.row.pk, after=InstanceState.WAKING).count() == 1


def test_a_process_that_comes_up_is_used_as_soon_as_it_accepts(gate: Gate, app: App) -> None:
    app.sleep()
    replies: list[Reply] = []
    port = free_port()
    asking = threading.Thread(
        target=lambda: replies.append(gate.http.ask(app.house.host, "/first", app.house.cookie()))
    )
    asking.start()
    wait_until(lambda: app.row.state == InstanceState.WAKING, "it wakes")
    InstanceMicro.objects.filter(instance=app.row).update(candidate=f"127.0.0.1:{port}")
    feed.changed(app.row.pk)
    wait_until(lambda: gate.entry("waking", f"{app.row.pk}/") == f"127.0.0.1:{port}", "the gate knows where")
    assert replies == []
    app.process = Upstream("early", port=port)
    asking.join(LONG_S)
    assert [reply.status for reply in replies] == [200]
    assert app.row.state == InstanceState.WAKING  # nobody has called it ready yet
    app.start(app.row)
    wait_until(lambda: gate.entry("waking", f"{app.row.pk}/") is None, "its own address is nobody's way any more")


def test_a_stranger_wakes_what_is_public_and_nothing_else(gate: Gate, app: App) -> None:
    app.sleep()
    assert gate.http.ask(app.house.host, "/private", HTML).status == 302
    assert gate.http.ask(app.house.host, "/private", ("Accept", "application/json")).status == 401
    other = new_house()
    assert gate.http.ask(app.house.host, "/private", other.cookie(), method="POST", body=b"x").status == 401
    assert app.row.state == InstanceState.ASLEEP
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(gate.http.ask(app.house.host, "/open/door")))
    asking.start()
    app.work_until(lambda: replies, "it was answered")
    assert replies[0].status == 200 and app.seen == ["/open/door"]


def test_a_browser_gets_a_page_that_forwards_itself_and_a_form_is_held(gate: Gate, app: App) -> None:
    app.sleep()
    app.start_takes_s = 4.0
    replies: list[Reply] = []

    def send() -> None:
        door, cookie = gate.http, app.house.cookie()
        origin = ("Origin", f"http://{app.house.host}")
        replies.append(door.ask(app.house.host, "/form", cookie, HTML, origin, method="POST", body=b"a=b"))

    sending = threading.Thread(target=send)
    sending.start()
    began = time.monotonic()
    page = gate.http.ask(app.house.host, "/look", app.house.cookie(), HTML)
    assert time.monotonic() - began > 1.5
    assert (page.status, page.header("retry-after")) == (503, "2")
    assert '<meta http-equiv="refresh"' in page.text and "Your app is starting" in page.text
    assert "script" not in page.text and "script-src" not in page.header("content-security-policy")
    app.work_until(lambda: replies, "the form was answered")
    assert replies[0].status == 200 and app.seen == ["/form"]


def test_a_wake_that_fails_says_why_on_the_page_and_to_programs(gate: Gate, app: App) -> None:
    app.sleep()
    replies: list[Reply] = []
    asking = threading.Thread(
        target=lambda: replies.extend(
            gate.http.ask(app.house.host, "/", app.house.cookie(), accept) for accept in (HTML, ("Accept", "*/*"))
        )
    )
    asking.start()
    wait_until(lambda: app.row.state == InstanceState.WAKING, "it wakes")
    move(app.row, InstanceState.FAILED, state_reason="It never listened.", observed_generation=app.row.generation)
    feed.changed(app.row.pk)
    asking.join(LONG_S)
    assert [reply.status for reply in replies] == [503, 503]
    assert "It never listened." in replies[0].text
    assert errors_of(replies[1]) == ["Failed"]


def test_in_a_cloud_that_is_held_nothing_wakes_and_its_owner_reads_why(gate: Gate, app: App) -> None:
    app.sleep()
    why = "The plan Large has not been paid for since 1 March 2027."
    with transaction.atomic():
        holds.hold(quota.locked(app.house.owner.cloud.pk), HoldCause.PAYMENT, CloudState.ASLEEP, why)
    page = gate.http.ask(app.house.host, "/", app.house.cookie(), HTML)
    assert page.status == 503 and "This app is asleep" in page.text and why in page.text
    program = gate.http.ask(app.house.host, "/", app.house.cookie(), ("Accept", "application/json"))
    assert (program.status, errors_of(program)) == (503, ["Asleep"])
    stranger = gate.http.ask(app.house.host, "/open/door", HTML)
    assert stranger.status == 503 and why not in stranger.text and "Its owner can see why" in stranger.text
    app.work()
    assert app.row.state not in (InstanceState.WAKING, InstanceState.RUNNING) and app.process is None


def test_open_streams_count_as_use(gate: Gate, other_gate: Gate, app: App) -> None:
    """An idle one stays awake for them; its owner's wish waits until they are over."""
    settle(other_gate, app.house)
    with other_gate.http.connect() as stream:
        stream.sendall(spell(app.house.host, "/events", app.house.cookie()))
        received = b""
        while b"data: first" not in received:
            received += stream.recv(65536)
        assert sleeping.fall_asleep(app.row.pk, idle_since=timezone.now())
        app.work_until(lambda: not Drain.objects.exists(), "it was given up")
        assert app.row.state == InstanceState.RUNNING
        wait_until(lambda: other_gate.upstream(app.row.pk), "it is in the maps again")
        operation = sleeping.sleep_now(app.house.owner, app.row)
        wait_until(lambda: Drain.objects.get().answers.filter(open=1).exists(), "the stream is seen")
        app.work()
        assert app.process is not None
        app.process.release.set()
        app.work_until(lambda: app.process is None, "it sleeps once the stream is over")
    operation.refresh_from_db()
    assert operation.steps.get(name="close").state == "succeeded"


def test_without_the_word_of_every_gate_it_stays_awake(gate: Gate, other_gate: Gate, app: App) -> None:
    other_gate.stop("agent")
    try:
        assert sleeping.fall_asleep(app.row.pk)
        mine = GateRow.objects.get(pk__endswith=str(gate.run))
        wait_until(lambda: Drain.objects.get().answers.filter(gate_id=mine.pk, open=0).exists(), "this one answers")
        app.work()
        assert app.row.state == InstanceState.RUNNING
        assert gate.http.ask(app.house.host, "/still", app.house.cookie()).status == 200
    finally:
        other_gate.start("agent")
        wait_until(other_gate.beats, "it is back")
    app.sleep()


def test_the_last_use_comes_from_the_gates_own_table(gate: Gate, app: App) -> None:
    assert app.row.last_used_at is None
    began = timezone.now()
    gate.http.ask(app.house.host, "/use", app.house.cookie())
    wait_until(lambda: app.row.last_used_at, "it is written down", LONG_S)
    used = app.row.last_used_at
    assert used is not None and abs((used - began).total_seconds()) < 5


def test_the_data_address_wakes_a_data_server_for_its_keys_alone(
    gate: Gate, upstreams: Callable[[str], Upstream]
) -> None:
    house, key = new_house(), "0123456789abcdef_secret"
    Cloud.objects.filter(pk=house.owner.cloud.pk).update(state=CloudState.ACTIVE)
    collection = Collection.objects.create(
        cloud=house.owner.cloud, project_id=f"p{house.instance.pk[-10:]}", name="x", instance=house.instance
    )
    Collection.objects.filter(pk=collection.pk).update(key_sha256=hashlib.sha256(key.encode()).hexdigest())
    server = DataServer.objects.create(
        cloud=house.owner.cloud, awake=False, state=DataServerState.STOPPED, observed_generation=1
    )
    feed.data_changed(house.owner.cloud.pk)
    wait_until(lambda: gate.entry("data", collection.project_id), "the gate knows the collection")
    target = f"/v1/{collection.project_id}/base/items/k"
    assert gate.http.ask("localhost", target, ("X-API-Key", f"{key}x")).status == 401
    assert not DataServer.objects.get(pk=server.pk).awake
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(gate.http.ask("localhost", target, ("X-API-Key", key))))
    asking.start()
    wait_until(lambda: DataServer.objects.get(pk=server.pk).awake, "it is wanted awake", LONG_S)
    assert DataServer.objects.get(pk=server.pk).generation == 2 and not replies
    process = upstreams("data")
    changes = {"state": DataServerState.RUNNING, "upstream": process.address, "observed_generation": 2}
    DataServer.objects.filter(pk=server.pk).update(**changes)
    feed.data_changed(house.owner.cloud.pk)
    asking.join(LONG_S)
    assert [reply.status for reply in replies] == [200] and process.last.path == target
