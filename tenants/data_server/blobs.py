"""Bytes on the disk: each blob a file that is written once under a random name, and named by a row afterwards."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tenants.data_server import disk
from tenants.data_server.errors import Full, TooLarge

_WRITE_BYTES = 1024 * 1024
READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class Blob:
    name: str
    size_bytes: int
    crc: int
    sha256: bytes


class Blobs:
    """A folder of blobs. What no row names is swept when the collection is opened next.

    durable: False leaves it to the caller to see them onto the disk, all at once (disk.sync_all).
    """

    def __init__(self, folder: Path, threads: ThreadPoolExecutor, *, durable: bool = True) -> None:
        self.folder, self.durable = folder, durable
        self._threads = threads
        disk.make(folder)

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / name[2:]

    async def receive(self, content: AsyncIterator[bytes], limit_bytes: int, room: Callable[[int], bool]) -> Blob:
        """Write what arrives, on the disk when this returns. Holds 2 MiB at most.

        room: asked with the bytes so far. Raises TooLarge beyond the limit, Full without room; then nothing remains.
        """
        writing = _Writing(self)
        pending: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        try:
            async for piece in gathered(content):
                if pending is not None:
                    await pending
                if writing.size_bytes + len(piece) > limit_bytes:
                    raise TooLarge(f"More than {limit_bytes} bytes")
                if not room(writing.size_bytes + len(piece)):
                    raise Full
                # The next piece arrives while this one is written and hashed.
                pending = loop.run_in_executor(self._threads, writing.write, piece)
            if pending is not None:
                await pending
            return await loop.run_in_executor(self._threads, writing.finish)
        except BaseException:
            if pending is not None:
                await asyncio.wait([pending])
            writing.discard()
            raise

    def store(self, content: Iterable[bytes]) -> Blob:
        """A new blob of all that comes, on the disk when this returns. Call it in a thread. Raises Full."""
        writing = _Writing(self)
        try:
            for piece in content:
                writing.write(piece)
            return writing.finish()
        except BaseException:
            writing.discard()
            raise

    def join(self, blobs: Sequence[Blob]) -> Blob:
        """A new blob of all of them, one after the other. For small ones."""
        return self.store(self.path(blob.name).read_bytes() for blob in blobs)

    def adopt(self, files: Iterable[tuple[Path, str]]) -> None:
        """Give finished files of the same file system places here too, by these names. Safe to repeat."""
        for folder in {self._adopt(file, name) for file, name in files}:
            disk.sync(folder)

    def _adopt(self, file: Path, name: str) -> Path:
        os.utime(file)  # it may be older than this process: the sweep would take it for an orphan before it has its row
        target = self.path(name)
        disk.make(target.parent)
        with contextlib.suppress(FileExistsError):
            os.link(file, target)
        return target.parent

    def remove(self, name: str) -> None:
        """Safe to repeat."""
        self.path(name).unlink(missing_ok=True)

    def remove_all(self, names: Iterable[str]) -> None:
        for name in names:
            self.remove(name)

    def everything(self) -> Iterator[tuple[str, float]]:
        """Names and times of change of all that is there."""
        for folder in self.folder.iterdir():
            for entry in os.scandir(folder):
                yield folder.name + entry.name, entry.stat().st_mtime


class _Writing:
    def __init__(self, blobs: Blobs) -> None:
        self._durable = blobs.durable
        self.name = secrets.token_hex(16)
        self.size_bytes = 0
        self._path = blobs.path(self.name)
        disk.make(self._path.parent)
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        self._crc = 0
        self._sha256 = hashlib.sha256()

    def write(self, piece: bytes | bytearray) -> None:
        self._crc = zlib.crc32(piece, self._crc)
        self._sha256.update(piece)
        self.size_bytes += len(piece)
        write_all(self._descriptor, piece)

    def finish(self) -> Blob:
        if self._durable:
            os.fsync(self._descriptor)
        os.close(self._descriptor)
        if self._durable:
            disk.sync(self._path.parent)
        return Blob(self.name, self.size_bytes, self._crc, self._sha256.digest())

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._path.unlink(missing_ok=True)


def write_all(descriptor: int, piece: bytes | bytearray) -> None:
    """Raises Full."""
    with memoryview(piece) as rest:
        done = 0
        while done < len(rest):
            done += _written(os.write, descriptor, rest[done:])


def write_at(descriptor: int, piece: bytes | bytearray, offset: int) -> None:
    """Raises Full."""
    with memoryview(piece) as rest:
        done = 0
        while done < len(rest):
            done += _written(os.pwrite, descriptor, rest[done:], offset + done)


def _written(write: Callable[..., int], *where: object) -> int:
    try:
        return write(*where)
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise Full("The disk of this cloud is full") from error
        raise


async def gathered(content: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
    """In pieces of about a megabyte: one hop to another thread per piece."""
    piece = bytearray()
    async for some in content:
        piece += some
        if len(piece) >= _WRITE_BYTES:
            yield piece
            piece = bytearray()
    if piece:
        yield piece
