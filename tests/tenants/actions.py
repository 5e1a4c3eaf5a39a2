"""An installed app with scheduled actions, and what stands in the place of the gate's inner listener."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.conf import settings

from tenants.models import Action, Instance, User
from tenants.reconcile.dispatch import Dispatcher
from tenants.services.instances import install_app
from tests.journey.stack import until
from tests.worlds import SPACEFILE, MemoryCluster, active_person, released, settle

TIDY = SPACEFILE + "    actions: [{id: tidy, name: Tidy up, trigger: schedule, default_interval: 5 minutes}]\n"


@dataclass(frozen=True)
class Reached:
    """A request as the app would get it. host, run, mount: what the gate was told of it."""

    path: str
    host: str
    run: str
    mount: str
    kind: str
    body: bytes


@dataclass
class Listener:
    """Answers like an app: `status`, `body`, after `pause`; or like the gate itself, called `name`, with `word`."""

    status: int = 200
    body: bytes = b"done"
    word: str = ""
    pause: Callable[[], Any] = lambda: None
    reached: list[Reached] = field(default_factory=list)
    address: str = ""
    name: str = "gate1"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, reached: Reached) -> str:
        """As the gate does: no run twice."""
        with self.lock:
            if reached.run in self.runs:
                return "passed"
            self.reached.append(reached)
        return ""

    @property
    def runs(self) -> list[str]:
        return [one.run for one in self.reached]


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(204)
            self.send_header("X-Freehold-Gate-Name", listener.name)
            self.end_headers()

        def do_POST(self) -> None:
            head = {name: self.headers[name] or "" for name in ("host", "content-type")}
            run, mount = self.headers["x-freehold-run"], self.headers["x-freehold-mount"]
            body = self.rfile.read(int(self.headers["content-length"]))
            if len(body) < int(self.headers["content-length"]):
                return  # whoever sent it has died: the gate passes on only what is whole
            reached = Reached(self.path, head["host"], run, mount, head["content-type"], body)
            word = listener.word or listener.admit(reached)
            if not word:
                listener.pause()
            self.send_response(503 if word else listener.status)
            if word:
                self.send_header("X-Freehold-Gate", word)
            self.send_header("Content-Length", str(len(listener.body)))
            self.end_headers()
            self.wfile.write(listener.body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever asked was killed meanwhile."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    listener.address = f"127.0.0.1:{server.server_address[1]}"
    usual, settings.ACTIONS_ADDR = settings.ACTIONS_ADDR, listener.address
    try:
        yield listener
    finally:
        settings.ACTIONS_ADDR = usual
        server.shutdown()
        server.server_close()


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def installed(cluster: MemoryCluster, spacefile: str = TIDY) -> tuple[User, Instance]:
    release = released(cluster, spacefile)
    owner = active_person(cluster)
    instance, _ = install_app(owner, app_slug=release.app.slug)
    settle()
    return owner, Instance.objects.get(pk=instance.pk)


def action_of(instance: Instance, key: str = "tidy") -> Action:
    return Action.objects.get(instance=instance, key=key)


def nobody(_: str) -> None:
    raise AssertionError("nothing sleeps")


def due_now(instance: Instance, key: str = "tidy") -> tuple[Action, Clock, Dispatcher]:
    """The action, a clock that stands at its due time, and who does it."""
    action = action_of(instance, key)
    assert action.next_due is not None
    clock = Clock(action.next_due)
    return action, clock, Dispatcher(nobody, clock)


def work(dispatcher: Dispatcher) -> None:
    """One look, and all that follows from it."""
    dispatcher.look()
    until(lambda: dispatcher.is_idle, 60, "what was due is over", pause_s=0.005)
