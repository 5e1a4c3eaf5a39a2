"""The HTTP in front of the double: keys, versions, idempotency, and errors in Stripe's form."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.stripe_double.params import CALLS, Refusal, read
from tests.stripe_double.state import Object, Stripe

KEY = "sk_test_of_the_double"
VERSION = "2026-10-28.endive"


class Double:
    """url: where it answers. calls: what was asked, as "METHOD path". broken: answers 500 to everything meanwhile."""

    def __init__(self, url: str, *, live: bool = False) -> None:
        self.url = url
        self.stripe = Stripe(live=live)
        self.calls: list[str] = []
        self.broken = False
        self.lost_answers = 0
        self._lock = threading.RLock()
        self._known: dict[str, tuple[str, Object]] = {}

    def answer(self, method: str, path: str, form: str, headers: Any) -> tuple[int, Object]:
        with self._lock:
            self.calls.append(f"{method} {path}")
            if self.broken:
                return 500, {"error": {"type": "api_error", "message": "Something went wrong."}}
            try:
                answer = self._once(method, path, form, headers)
            except Refusal as refusal:
                return refusal.status, refusal.body
            if self.lost_answers:  # it was done, and nobody hears so
                self.lost_answers -= 1
                return 500, {"error": {"type": "api_error", "message": "Something went wrong."}}
            return 200, answer

    def _once(self, method: str, path: str, form: str, headers: Any) -> Object:
        if headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "Invalid API Key provided")
        if headers.get("Stripe-Version") != VERSION:
            raise Refusal(400, f"Invalid Stripe API version: {headers.get('Stripe-Version')}")
        key = headers.get("Idempotency-Key") if method == "POST" else None
        if key and key in self._known:
            asked, answer = self._known[key]
            if asked != f"{path} {form}":
                raise Refusal(400, "Keys for idempotent requests can only be used with the same parameters.")
            return answer
        answer = json.loads(json.dumps(self._do(method, path, form)))
        if key:
            self._known[key] = (f"{path} {form}", answer)
        return answer

    def _do(self, method: str, path: str, form: str) -> Object:
        call, row_id = self._call(method, path)
        sent, stripe = read(call, form), self.stripe
        acts: dict[str, Callable[[], Object]] = {
            "POST customers": lambda: stripe.create_customer(sent),
            "DELETE customers/*": lambda: stripe.delete_customer(row_id),
            "POST products": lambda: stripe.create_product(sent),
            "POST prices": lambda: stripe.create_price(sent),
            "POST checkout/sessions": lambda: stripe.create_session(sent),
            "POST checkout/sessions/*/expire": lambda: stripe.expire_session(row_id),
            "POST billing_portal/sessions": lambda: stripe.create_portal(sent),
            "GET subscriptions/*": lambda: stripe.get("subscription", row_id),
            "POST subscriptions/*": lambda: stripe.update_subscription(row_id, sent),
            "DELETE subscriptions/*": lambda: stripe.end(row_id),
        }
        if call in acts:
            return acts[call]()
        kinds = {"checkout/sessions": "checkout.session", "subscriptions": "subscription"}
        return stripe.page(kinds.get(path, path.rstrip("s")), sent)

    def _call(self, method: str, path: str) -> tuple[str, str]:
        for call in CALLS:
            verb, pattern = call.split(" ")
            found = re.fullmatch(re.escape(pattern).replace(r"\*", "([A-Za-z0-9_]+)"), path)
            if verb == method and found:
                return call, (found.groups() or ("",))[0]
        raise Refusal(404, f"Unrecognized request URL ({method}: /v1/{path}).")


@contextmanager
def running(*, live: bool = False) -> Iterator[Double]:
    """A Stripe on 127.0.0.1 until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    double = Double(f"http://127.0.0.1:{server.server_port}", live=live)
    server.double = double  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = parts.path.removeprefix("/v1/").strip("/")
        status, answer = self.server.double.answer(self.command, path, body or parts.query, self.headers)  # type: ignore[attr-defined]
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Request-Id", f"req_{len(text)}")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
