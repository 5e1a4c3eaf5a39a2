"""The data address as an ASGI application: who asks, for which collection, and what."""

import logging
import time

from tenants.data_server import base_api, drive_api, keys, wire
from tenants.data_server.errors import NotFound, Refused, Unauthorized
from tenants.data_server.registry import Registry
from tenants.data_server.wire import Answer, BodyTooLarge, Disconnected, Receive, Request, Scope, Send

log = logging.getLogger(__name__)
# Browser code of an app comes by these, with the gate's token in place of a key.
_BROWSER = {b"base": b"/__space/v0/base", b"drive": b"/__space/v0/drive"}
_TOKEN_HEADER = b"x-freehold-data-token"
_NAME_BYTES = 255
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
        is_base = rest == b"query" or rest.split(b"/", 1)[0] == b"items"
        if kind is not None and is_base != (kind == b"base"):
            raise NotFound("Not found")
        return await self._in_collection(request, project_id, check_name(wire.decode(name)), rest, is_base)

    async def _in_collection(self, request: Request, project_id: str, name: str, rest: bytes, is_base: bool) -> Answer:
        release, collection = self.registry.enter(project_id)
        try:
            if is_base:
                answer = await base_api.answer(request, collection, name, rest)
            else:
                answer = await drive_api.answer(request, collection, project_id, name, rest)
        except BaseException:
            release()
            raise
        inner = answer.close

        def close() -> None:
            if inner is not None:
                inner()
            release()

        answer.close = close
        return answer

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


def check_name(name: str) -> str:
    """Of a base or drive: one segment of a path, and of a file in an export. Raises Refused."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or not all(c.isprintable() for c in name):
        raise Refused(f"'{name[:50]}' cannot be the name of a base or drive")
    if len(name.encode()) > _NAME_BYTES - len(".json"):
        raise Refused("The name of a base or drive may be 250 bytes long")
    return name
