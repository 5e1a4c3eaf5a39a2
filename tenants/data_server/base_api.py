"""HTTP of Base: `/v1/{project}/{base}/items…` and `/query`. Rules: base-api.md §3."""

from tenants.data_server import bases, documents, queries, updates, wire
from tenants.data_server.collection import Collection
from tenants.data_server.errors import NotAllowed, NotFound, Refused
from tenants.data_server.wire import Answer, BodyTooLarge, Request

_BODY_BYTES = 4 * 1024 * 1024  # an item of 400 KB, however it is escaped


async def answer(request: Request, collection: Collection, base: str, rest: bytes) -> Answer:
    """rest: the path after the base's name, still encoded: keys may hold slashes, dots and percent signs."""
    if rest == b"query":
        return await _query(request, collection, base)
    if rest == b"items":
        return await _items(request, collection, base)
    if not rest.startswith(b"items/"):
        raise NotFound("Not found")
    key = documents.check_key(wire.decode(rest.removeprefix(b"items/")))
    match request.method:
        case "GET" | "HEAD":
            text = bases.get(collection, base, key)
            return wire.reply(404, {"key": key}) if text is None else Answer(200, text.encode())
        case "DELETE":
            await bases.delete(collection, base, key)
            return wire.reply(200, {"key": key})
        case "PATCH":
            body = documents.parse_object(await _body(request, _BODY_BYTES))
            await bases.update(collection, base, key, updates.parse(body))
            return wire.reply(200, {"key": key} | body)
    raise NotAllowed("GET, HEAD, DELETE, PATCH")


async def _items(request: Request, collection: Collection, base: str) -> Answer:
    if request.method == "PUT":
        return await _put(request, collection, base)
    if request.method != "POST":
        raise NotAllowed("PUT, POST")
    body = documents.parse_object(await _body(request, _BODY_BYTES))
    item = documents.document(body.get("item"))
    await bases.insert(collection, base, item)
    return Answer(201, item.text.encode())


async def _put(request: Request, collection: Collection, base: str) -> Answer:
    body = documents.parse_object(await _body(request, documents.BATCH_BYTES, "items are larger than 16 MB together"))
    good, failed = documents.batch(body.get("items"))
    if good:
        await bases.put(collection, base, good)
    sections = []
    if good:
        sections.append(f'"processed":{{"items":[{",".join(item.text for item in good)}]}}')
    if failed:
        sections.append(f'"failed":{{"items":{wire.encode(failed).decode()}}}')
    return Answer(207, f"{{{','.join(sections)}}}".encode())


async def _query(request: Request, collection: Collection, base: str) -> Answer:
    if request.method != "POST":
        raise NotAllowed("POST")
    body = await _body(request, _BODY_BYTES)
    page = await bases.query(collection, base, queries.parse(documents.parse_object(body or b"{}")))
    last = "" if page.last is None else f',"last":{wire.encode(page.last).decode()}'
    items = ",".join(page.items)
    return Answer(200, f'{{"paging":{{"size":{len(page.items)}{last}}},"items":[{items}]}}'.encode())


async def _body(request: Request, limit_bytes: int, complaint: str = "The body is too large") -> bytes:
    try:
        return await request.body(limit_bytes)
    except BodyTooLarge:
        raise Refused(complaint) from None
