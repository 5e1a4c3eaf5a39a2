"""An export: a zip of one collection as of one instant, made while it is sent, any range of it at any time.

`bases/<base>.json` (a list of items) and `drives/<drive>/<name>` as the former platform had it; last `manifest.jsonl`, a
line per entry with checksums, content types, and the exact names of files whose path had to be spelt differently.
"""

import asyncio
import hashlib
import json
import secrets
import time
import urllib.parse
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenants.data_server import database, drives, zipping
from tenants.data_server.blobs import READ_BYTES, Blob
from tenants.data_server.collection import Collection
from tenants.data_server.errors import Gone, Refused
from tenants.data_server.zipping import Entry

MANIFEST = "manifest.jsonl"
_PIECE_BYTES = 512 * 1024
_SEGMENT_BYTES = 200
_AT_ONCE = 4
_KEPT_S = 3600.0

Source = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class _Base:
    id: int
    name: str
    items: int
    size_bytes: int
    crc: int
    sha256: str


class Export:
    """Open until `close`: meanwhile the collection stays open and keeps what it was at the beginning."""

    def __init__(self, collection: Collection, project_id: str, release: Callable[[], None]) -> None:
        self.id = f"{project_id}-{secrets.token_hex(8)}"
        self.made = collection.clock()
        self.last_used = time.monotonic()
        self.size_bytes = 0
        self._collection = collection
        self._releases = [release, collection.pin()]
        self._db = database.connect(collection.folder / "data.db", readonly=True)
        self._db.execute("BEGIN")
        database.rows(self._db, "SELECT count(*) FROM bases")  # the instant
        self._turn = asyncio.Lock()
        self._ended = False
        self._bases: list[_Base] = []
        self._manifest = (0, 0)

    def close(self) -> None:
        """Once no thread is reading for it."""
        self._ended = True
        if not self._turn.locked():
            self._close()

    def _close(self) -> None:
        self._db.close()
        releases, self._releases = self._releases, []
        for release in releases:
            release()

    async def prepare(self) -> None:
        """Read all items once for lengths and checksums; files have theirs."""
        await asyncio.get_running_loop().run_in_executor(self._collection.threads, self._prepare)

    async def content(self, begin: int, end: int) -> AsyncIterator[bytes]:
        pieces = self._range(begin, end)
        loop = asyncio.get_running_loop()
        while True:
            self.last_used = time.monotonic()
            async with self._turn:
                piece = None
                if not self._ended:
                    piece = await asyncio.shield(loop.run_in_executor(self._collection.threads, next, pieces, None))
            if self._ended:
                self._close()
                raise Gone("The export was ended")
            if piece is None:
                return
            yield piece

    def _prepare(self) -> None:
        for number, name in database.rows(self._db, "SELECT id, name FROM bases ORDER BY name"):
            size = crc = 0
            digest = hashlib.sha256()
            for piece in self._items(number):
                size, crc = size + len(piece), zlib.crc32(piece, crc)
                digest.update(piece)
            count = self._db.execute(
                "SELECT count(*) FROM items WHERE base = ? AND ifnull(expires > ?, 1)", (number, self.made)
            )
            self._bases.append(_Base(number, name, int(count.get or 0), size, crc, digest.hexdigest()))
        size = crc = 0
        for piece in self._manifest_lines():
            size, crc = size + len(piece), zlib.crc32(piece, crc)
        self._manifest = (size, crc)
        self.size_bytes = zipping.total_bytes(entry for entry, _ in self._entries())

    def _range(self, begin: int, end: int) -> Iterator[bytes]:
        """In pieces of some size, so that a hop to this thread is worth it."""
        at = 0
        gathered = bytearray()
        for size, source in self._sections():
            if at + size > begin and at < end:
                for piece in _cut(source(), begin - at, end - at):
                    gathered += piece
                    if len(gathered) >= _PIECE_BYTES:
                        yield bytes(gathered)
                        gathered.clear()
            at += size
            if at >= end:
                break
        if gathered:
            yield bytes(gathered)

    def _sections(self) -> Iterator[tuple[int, Source]]:
        at = 0
        for entry, source in self._entries():
            header = zipping.local_header(entry)
            yield len(header), lambda header=header: iter((header,))  # type: ignore[misc]
            yield entry.size_bytes, source
            at += zipping.local_bytes(entry)
        yield self.size_bytes - at, lambda: zipping.directory(entry for entry, _ in self._entries())

    def _entries(self) -> Iterator[tuple[Entry, Source]]:
        for base in self._bases:
            name = f"bases/{base.name}.json".encode()
            yield Entry(name, base.size_bytes, base.crc, self.made), lambda base=base: self._items(base.id)  # type: ignore[misc]
        for path, number, _, _, _, stored, size in self._files():
            chunks = drives.chunks_of(self._db, number)
            crc = zipping.crc_of((chunk.crc, chunk.size_bytes) for chunk in chunks)
            yield Entry(path.encode(), size, crc, stored), lambda chunks=chunks: self._bytes(chunks)  # type: ignore[misc]
        yield Entry(MANIFEST.encode(), *self._manifest, self.made), self._manifest_lines

    def _files(self) -> Iterator[tuple[str, int, str, str, str, float, int]]:
        rows = self._db.execute(
            "SELECT files.id, drives.name, files.name, type, stored, files.bytes FROM files"
            " JOIN drives ON drives.id = files.drive ORDER BY drives.name, files.name"
        )
        for number, drive, name, kind, stored, size in rows:
            yield f"drives/{drive}/{self._spelling(drive, name)}", number, drive, name, kind, stored, size

    def _spelling(self, drive: str, name: str) -> str:
        """The name as a path below a folder, different from all other files' of the drive."""
        path = spelling(name)
        while path != name and drives.find(self._db, drive, path) is not None:
            path += "%"
        return path

    def _items(self, base: int) -> Iterator[bytes]:
        rows = self._db.execute(
            "SELECT json(doc) FROM items WHERE base = ? AND ifnull(expires > ?, 1) ORDER BY key", (base, self.made)
        )
        before, gathered, size = "[\n", [], 0
        for (text,) in rows:
            gathered.append(before + text)
            size += len(text)
            before = ",\n"
            if size > READ_BYTES:
                yield "".join(gathered).encode()
                gathered, size = [], 0
        gathered.append("[]\n" if before == "[\n" else "\n]\n")
        yield "".join(gathered).encode()

    def _bytes(self, chunks: tuple[Blob, ...]) -> Iterator[bytes]:
        for chunk in chunks:
            yield from _read(self._collection.blobs.path(chunk.name), chunk.size_bytes)

    def _manifest_lines(self) -> Iterator[bytes]:
        yield _line({"freehold_export": 1, "made": self.made})
        for base in self._bases:
            yield _line(
                {"path": f"bases/{base.name}.json", "base": base.name, "items": base.items, "sha256": base.sha256}
            )
        for path, number, drive, name, kind, _, size in self._files():
            chunks = drives.chunks_of(self._db, number)
            sums = [[chunk.size_bytes, chunk.sha256.hex()] for chunk in chunks]
            yield _line({"path": path, "drive": drive, "name": name, "type": kind, "size": size, "chunks": sums})


class Exports:
    """Those of one server that can be fetched now. They end with the server, or an hour after they were read last."""

    def __init__(self) -> None:
        self._open: dict[str, Export] = {}

    async def make(self, collection: Collection, project_id: str, release: Callable[[], None]) -> Export:
        """Raises Refused when too many are open."""
        self.end_old()
        if len(self._open) >= _AT_ONCE:
            release()
            raise Refused(f"{_AT_ONCE} exports are being fetched; end one of them first")
        export = Export(collection, project_id, release)
        self._open[export.id] = export
        try:
            await export.prepare()
        except BaseException:
            self.end(export.id)
            raise
        return export

    def get(self, export_id: str) -> Export | None:
        return self._open.get(export_id)

    def end(self, export_id: str) -> None:
        """Safe to repeat."""
        export = self._open.pop(export_id, None)
        if export is not None:
            export.close()

    def end_of(self, project_id: str) -> None:
        for export_id in [one for one in self._open if one.startswith(f"{project_id}-")]:
            self.end(export_id)

    def end_old(self, kept_s: float = _KEPT_S) -> None:
        for export in list(self._open.values()):
            if export.last_used < time.monotonic() - kept_s:
                self.end(export.id)


def spelling(name: str) -> str:
    """Itself, where it is a path below a folder on every system that matters; else with percent signs."""
    segments = []
    for segment in name.split("/"):
        plain = segment not in ("", ".") and len(segment.encode()) <= _SEGMENT_BYTES
        if plain and "\\" not in segment and segment.isprintable():
            segments.append(segment)
        elif segment in ("", "."):
            segments.append("%2E" if segment else "%")
        else:
            segments.append(urllib.parse.quote(segment, safe=" ")[:_SEGMENT_BYTES])
    return "/".join(segments)


def _cut(pieces: Iterator[bytes], begin: int, end: int) -> Iterator[bytes]:
    at = 0
    for piece in pieces:
        if at + len(piece) > begin and at < end:
            yield piece[max(0, begin - at) : end - at]
        at += len(piece)
        if at >= end:
            return


def _read(path: Path, size_bytes: int) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as content:
        while size_bytes:
            piece = content.read(min(READ_BYTES, size_bytes))
            if not piece:
                raise OSError(f"{path.name} is shorter than its row says")
            size_bytes -= len(piece)
            yield piece


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
