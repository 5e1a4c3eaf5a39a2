"""HTTP of Drive: `/v1/{project}/{drive}/files…` and `/uploads…`. Rules: drive-api.md."""

from collections.abc import AsyncIterator
from typing import Any

from tenants.data_server import documents, drives, wire
from tenants.data_server.blobs import READ_BYTES, Blob
from tenants.data_server.collection import Collection
from tenants.data_server.drives import Stored, Upload
from tenants.data_server.errors import NotAllowed, NotFound, Refused, TooLarge
from tenants.data_server.wire import Answer, BodyTooLarge, Request

_NAMES_BYTES = 8 * 1024 * 1024
# The one answer of the former service that was not JSON.
_TOO_LARGE = b"<html><body>413 - Request Entity Too Large</body></html>"


async def answer(request: Request, collection: Collection, project_id: str, drive: str, rest: bytes) -> Answer:
    here = _Here(request, collection, project_id, drive)
    try:
        match rest.split(b"/"):
            case [b"files"]:
                return await here.files()
            case [b"files", b"download"]:
                return here.download()
            case [b"uploads"]:
                return await here.uploads()
            case [b"uploads", upload_id]:
                return await here.upload(wire.decode(upload_id))
            case [b"uploads", upload_id, b"parts"]:
                return await here.parts(wire.decode(upload_id))
    except TooLarge:
        return Answer(413, _TOO_LARGE, b"text/html; charset=utf-8")
    raise NotFound("Not found")


class _Here:
    """One request to one drive."""

    def __init__(self, request: Request, collection: Collection, project_id: str, drive: str) -> None:
        self.request, self.collection, self.project_id, self.drive = request, collection, project_id, drive
        self.parameters = request.parameters()

    async def files(self) -> Answer:
        match self.request.method:
            case "GET" | "HEAD":
                return await self._list()
            case "DELETE":
                return await self._delete()
            case "POST":
                name = self._name()
                await drives.put(self.collection, self.drive, name, self._type(), self._content())
                return wire.reply(201, self._shown(name))
        raise NotAllowed("GET, HEAD, POST, DELETE")

    async def uploads(self) -> Answer:
        if self.request.method != "POST":
            raise NotAllowed("POST")
        name = self._name()
        upload = await drives.begin(self.collection, self.drive, name, self._type())
        return wire.reply(202, self._shown(name, upload_id=upload.id))

    async def upload(self, upload_id: str) -> Answer:
        upload = Upload(upload_id, self.drive, self._name())
        match self.request.method:
            case "PATCH":
                await drives.finish(self.collection, upload)
            case "DELETE":
                await drives.abort(self.collection, upload)
            case "GET":  # ours: what a client that resumes need not send again
                sent = [{"part": number, "size": size} for number, size in await drives.parts(self.collection, upload)]
                return wire.reply(200, self._shown(upload.name, upload_id=upload_id, parts=sent))
            case _:
                raise NotAllowed("GET, PATCH, DELETE")
        return wire.reply(200, self._shown(upload.name, upload_id=upload_id))

    async def parts(self, upload_id: str) -> Answer:
        if self.request.method != "POST":
            raise NotAllowed("POST")
        upload = Upload(upload_id, self.drive, self._name())
        number = self.parameters.get("part", "")
        if not (number.isascii() and number.isdigit() and len(number) <= 9):
            raise Refused("part must be a whole number from 1")
        await drives.put_part(self.collection, upload, int(number), self._type(), self._content())
        return wire.reply(200, self._shown(upload.name, upload_id=upload_id, part=int(number)))

    def download(self) -> Answer:
        """The file as of now, whatever is stored under its name meanwhile."""
        if self.request.method not in ("GET", "HEAD"):
            raise NotAllowed("GET, HEAD")
        name = self._name()
        release = self.collection.pin()
        try:
            found = drives.find(self.collection.reader, self.drive, name)
            if found is None:
                raise NotFound("File not found")
            return self._send(found, release)
        except BaseException:
            release()
            raise

    def _send(self, found: Stored, release: Any) -> Answer:
        tag = f'"{found.id}"'
        wanted = self.request.header(b"range") if self.request.header(b"if-range") in (None, tag) else None
        part = wire.byte_range(wanted, found.size_bytes)
        begin, end = part or (0, found.size_bytes)
        headers = [(b"accept-ranges", b"bytes"), (b"etag", tag.encode())]
        if part is not None:
            headers.append((b"content-range", f"bytes {begin}-{end - 1}/{found.size_bytes}".encode()))
        content = stream(self.collection, found.chunks, begin, end)
        kind = found.type.encode("latin-1")
        return Answer(200 if part is None else 206, content, kind, headers, end - begin, release)

    async def _list(self) -> Answer:
        limit = self.parameters.get("limit", "") or str(drives.NAMES)
        if not (limit.isascii() and limit.isdigit() and int(limit[:9]) >= 1):
            raise Refused("limit must be a whole number from 1 to 1000")
        recursive = self.parameters.get("recursive", "").lower() != "false"
        size = min(int(limit[:9]), drives.NAMES)

        def page(prefix: str, last: str) -> Any:
            return self.collection.scan(
                lambda db: drives.names(db, self.drive, prefix=prefix, last=last, limit=size, recursive=recursive)
            )

        # Clients send these two unescaped: a plus is a plus, unless only a space finds something.
        raw = [self.request.raw_parameter(name) for name in ("prefix", "last")]
        found, more = await page(*map(wire.decode, raw))
        if not found and any(b"+" in one for one in raw):
            found, more = await page(self.parameters.get("prefix", ""), self.parameters.get("last", ""))
        paging = {"paging": {"size": len(found), "last": found[-1]}} if more else {}
        return wire.reply(200, paging | {"names": found})

    async def _delete(self) -> Answer:
        try:
            body = documents.parse_object(await self.request.body(_NAMES_BYTES))
        except BodyTooLarge:
            raise TooLarge("The body is too large") from None
        wanted = body.get("names")
        if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
            raise Refused("names must be a list of strings")
        if not 1 <= len(wanted) <= drives.NAMES:
            raise Refused(f"names must hold 1 to {drives.NAMES} names")
        good = [name for name in wanted if drives.is_name(name)]
        if not good:
            raise Refused("invalid name")
        await drives.delete(self.collection, self.drive, good)
        failed = {name: "invalid name" for name in wanted if not drives.is_name(name)}
        return wire.reply(200, {"deleted": good, "failed": failed})

    def _name(self) -> str:
        if not self.parameters.get("name"):
            raise Refused("name is missing")
        return drives.check_name(self.parameters["name"])

    def _type(self) -> str | None:
        """What was sent, unless it says nothing."""
        given = self.request.header(b"content-type")
        return None if given is None or given.strip().lower() in ("", "binary/octet-stream") else given

    def _content(self) -> AsyncIterator[bytes]:
        if (self.request.announced_bytes() or 0) > drives.PART_BYTES:
            raise TooLarge("A part may hold 10 MB")
        return self.request.content()

    def _shown(self, name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, **more, "project_id": self.project_id, "drive_name": self.drive}


async def stream(collection: Collection, chunks: tuple[Blob, ...], begin: int, end: int) -> AsyncIterator[bytes]:
    """Bytes begin to end (exclusive) of the blobs one after the other. Pinned by whoever calls."""
    at = 0
    for blob in chunks:
        first, last = max(begin - at, 0), min(end - at, blob.size_bytes)
        at += blob.size_bytes
        if first >= last:
            continue
        with collection.blobs.path(blob.name).open("rb", buffering=0) as content:
            content.seek(first)
            while first < last:
                piece = content.read(min(READ_BYTES, last - first))
                if not piece:
                    raise OSError(f"{blob.name} is shorter than its row says")
                first += len(piece)
                yield piece
