"""What Stripe does by itself between versions of its API, in front of a server that knows only an old one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

Form = list[tuple[str, str]]
_PRICE_AS_PLAN = {"unit_amount": "amount", "recurring[interval]": "interval"}


@contextmanager
def translating(behind: str) -> Iterator[str]:
    """The address of today's API, answered by the server at `behind`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.client = httpx.Client(base_url=behind, timeout=30)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked_as_then(path: str, form: Form) -> tuple[str, Form]:
    if path == "/v1/prices":
        return "/v1/plans", [(_PRICE_AS_PLAN.get(name, name), value) for name, value in form]
    if path.startswith("/v1/subscriptions/"):
        form = [("prorate", "true") if name == "proration_behavior" else (name, value) for name, value in form]
    if path.startswith("/v1/subscriptions"):
        return path, [(name.replace("[price]", "[plan]"), value) for name, value in form]
    return path, [(name, value) for name, value in form if not name.startswith("types[")]


def told_as_now(answer: Any, kinds: set[str]) -> Any:
    """kinds: of events that were asked for, all if there are none."""
    if isinstance(answer, dict):
        if answer.get("object") == "subscription":
            for item in answer["items"]["data"]:
                item["price"] = {**item["plan"], "object": "price", "unit_amount": item["plan"]["amount"]}
                item["current_period_end"] = answer["current_period_end"]
        elif answer.get("object") == "invoice":
            answer = {"number": None, "hosted_invoice_url": None, **answer}
        elif answer.get("object") == "list":
            rows = [told_as_now(row, set()) for row in answer["data"] if not kinds or row.get("type") in kinds]
            answer["data"] = rows
    return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = parse_qsl(body or query, keep_blank_values=True)
        kinds = {value for name, value in form if name.startswith("types[")}
        path, form = asked_as_then(path, form)
        where, content = (path, urlencode(form)) if self.command == "POST" else (f"{path}?{urlencode(form)}", "")
        headers = {"Authorization": self.headers["Authorization"], "Content-Type": "application/x-www-form-urlencoded"}
        told = self.server.client.request(self.command, where, content=content, headers=headers)  # type: ignore[attr-defined]
        text = json.dumps(told_as_now(told.json(), kinds)).encode()
        self.send_response(told.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
