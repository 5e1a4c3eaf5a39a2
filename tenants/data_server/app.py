"""The data address as an ASGI application: who asks, for which collection, and what."""

import logging
import time

from tenants.data_server import contents, keys, wire
from tenants.data_server.errors import NotFound, Refused, Unauthorized
from tenants.data_server.registry import Registry
from tenants.data_server.wire import Answer, BodyTooLarge, Disconnected, Receive, Request, Scope, Send

log = logging.getLogger(__name__)
# Browser code of an app comes by these, with the gate's token in place of a key.
_BROWSER = {b"base": b"/__space/v0/base", b"drive": b"/__space/v0/drive"}
_TOKEN_HEADER = b"x-freehold-data-token"
_OPEN_TO_PAGES = [(b"access-control-allow-origin", b"*")]
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, PUT, POST, PATCH, DELETE"),
    (b"access-control-allow-headers", b"X-API-Key, Authorization, Content-Type, Range"),
    (b"access-control-max-age", b"86400"),
]


class DataApp:
    """`gate_key`: what the gate signs its tokens with; no micro holds it."""

    def __init__(self, registry: Registry, gate_key: bytes) -> None:
        self.registry = registry
        self._gate_key = gate_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        request = Request.of(scope, receive)
        try:
            answer = await self._answer(request)
        except Disconnected:
            return
        except Refused as error:
            answer = wire.refusal(error)
        except BodyTooLarge:
            answer = wire.refusal(Refused("The body is too large"))
        except Exception:
            log.exception("event=request_failed method=%s", request.method)
            answer = wire.reply(500, {"errors": ["Internal error"]})
        if not request.raw_path.startswith(b"/__space/"):
            answer.headers += _OPEN_TO_PAGES  # a key in a header says who asks; nothing is sent by itself
        await wire.send_answer(answer, request, send)

    async def _answer(self, request: Request) -> Answer:
        if request.raw_path == b"/healthz":
            return wire.reply(200, {"status": "ok"})
        path, kind = request.raw_path, None
        for name, prefix in _BROWSER.items():
            if path.startswith(prefix + b"/"):
                path, kind = path.removeprefix(prefix), name
        if request.method == "OPTIONS" and kind is None:
            return Answer(204, headers=list(_PREFLIGHT))
        segments = path.split(b"/", 4)
        if len(segments) < 5 or segments[:2] != [b"", b"v1"]:
            raise NotFound("Not found")
        _, _, project, name, rest = segments
        project_id = self._admitted(request, wire.decode(project), rest, by_browser=kind is not None)
        if kind is not None and contents.is_of_base(rest) != (kind == b"base"):
            raise NotFound("Not found")
        return await contents.answer(self.registry, request, project_id, wire.decode(name), rest)

    def _admitted(self, request: Request, project_id: str, rest: bytes, *, by_browser: bool) -> str:
        """The collection to work on. Raises Unauthorized."""
        if by_browser:
            return self._by_token(request, rest)
        key = request.header(b"x-api-key") or (request.header(b"authorization") or "").removeprefix("Bearer ")
        if not key or not self.registry.admits(project_id, key):
            raise Unauthorized
        return project_id

    def _by_token(self, request: Request, rest: bytes) -> str:
        """The token names the collection; the path's project is whatever the SDK writes there."""
        grant = keys.check_gate_token(self._gate_key, request.header(_TOKEN_HEADER) or "", time.time())
        reads = request.method in ("GET", "HEAD") or (request.method == "POST" and rest == b"query")
        if grant is None or not (reads or grant.writes):
            raise Unauthorized
        if not self.registry.knows(grant.project_id, grant.instance_id):
            raise Unauthorized
        return grant.project_id
