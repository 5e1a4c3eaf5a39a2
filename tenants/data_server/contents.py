"""Requests for what is inside a collection, whoever was let in: by a key, by the gate's token, as the provider."""

from collections.abc import Callable

from tenants.data_server import base_api, drive_api
from tenants.data_server.errors import Refused
from tenants.data_server.registry import Registry
from tenants.data_server.wire import Answer, Request

_NAME_BYTES = 255


def is_of_base(rest: bytes) -> bool:
    """Whether what follows the name of a base or drive asks a base."""
    return rest == b"query" or rest.split(b"/", 1)[0] == b"items"


async def answer(registry: Registry, request: Request, project_id: str, name: str, rest: bytes) -> Answer:
    """The collection stays open until the answer is closed."""
    release, collection = registry.enter(project_id)
    try:
        if is_of_base(rest):
            found = await base_api.answer(request, collection, check_name(name), rest)
        else:
            found = await drive_api.answer(request, collection, project_id, check_name(name), rest)
    except BaseException:
        release()
        raise
    found.close = _both(found.close, release)
    return found


def check_name(name: str) -> str:
    """Of a base or drive: one segment of a path, and of a file in an export. Raises Refused."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or not all(c.isprintable() for c in name):
        raise Refused(f"'{name[:50]}' cannot be the name of a base or drive")
    if len(name.encode()) > _NAME_BYTES - len(".json"):
        raise Refused("The name of a base or drive may be 250 bytes long")
    return name


def _both(first: Callable[[], None] | None, second: Callable[[], None]) -> Callable[[], None]:
    def close() -> None:
        if first is not None:
            first()
        second()

    return close
