"""A gzip file out of pieces that are compressed each by itself: several at a time, and not at all where one is known.

The bytes follow from what is written and from where `cut` is called, never from what was known before. To whoever reads it,
it is one ordinary gzip stream.
"""

import contextlib
import hashlib
import os
import secrets
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

MOST_BYTES = 4 * 1024 * 1024  # of a piece, before compression
_LEVEL = 6
_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate; no name, no time, no system
_END = b"\x03\0"  # an empty last block
_AT_A_TIME = 2
_TOO_SMALL_BYTES = 16 * 1024  # to be worth a file


class Pieces:
    """Compressed pieces by the SHA-256 of their content, the longest unused given up first.

    `folder` must be out of reach of whoever wrote the content. It may be lost or damaged at any time.
    """

    def __init__(self, folder: Path, most_bytes: int = 256 * 1024 * 1024) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._grown = False

    def find(self, digest: str) -> bytes | None:
        """None also for one that is damaged: power may have gone while it was written."""
        file = self._folder / digest
        try:
            content = file.read_bytes()
            os.utime(file)
        except OSError:
            return None
        check, packed = content[:32], content[32:]
        return packed if hashlib.sha256(packed).digest() == check else None

    def keep(self, digest: str, packed: bytes) -> None:
        """A full disk is no reason to fail."""
        draft = self._folder / f".{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(hashlib.sha256(packed).digest() + packed)
            draft.replace(self._folder / digest)
            self._grown = True
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def trim(self) -> None:
        if not self._grown:
            return
        total = 0
        with contextlib.suppress(OSError):  # another build trims, or the cloud is being erased
            for file in sorted(self._folder.iterdir(), key=_used_at, reverse=True):
                total += file.stat().st_size
                if total > self._most_bytes:
                    file.unlink(missing_ok=True)


class Deflating:
    """Written to from one thread; see `writing`."""

    def __init__(self, out: IO[bytes], pool: ThreadPoolExecutor, pieces: Pieces | None) -> None:
        self._out, self._pool, self._pieces = out, pool, pieces
        self._waiting: deque[Future[bytes]] = deque()
        self._piece: list[bytes] = []
        self._piece_bytes = self._total_bytes = self._crc = 0
        out.write(_HEAD)

    def write(self, data: bytes) -> None:
        self._piece.append(data)
        self._piece_bytes += len(data)
        if self._piece_bytes >= MOST_BYTES:
            self.cut()

    def cut(self) -> None:
        """End the piece. Nothing written since the last one is no piece."""
        if not self._piece_bytes:
            return
        data = b"".join(self._piece)
        self._piece, self._piece_bytes = [], 0
        self._crc = zlib.crc32(data, self._crc)
        self._total_bytes += len(data)
        self._waiting.append(self._pool.submit(_packed, data, self._pieces))
        if len(self._waiting) > 2 * _AT_A_TIME:  # what waits is in memory
            self._out.write(self._waiting.popleft().result())

    def finish(self) -> None:
        self.cut()
        while self._waiting:
            self._out.write(self._waiting.popleft().result())
        self._out.write(_END + struct.pack("<LL", self._crc, self._total_bytes & 0xFFFFFFFF))


@contextlib.contextmanager
def writing(out: IO[bytes], pieces: Pieces | None = None) -> Iterator[Deflating]:
    """What is written inside becomes a whole gzip file in `out`; after an exception it is not whole."""
    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        deflating = Deflating(out, pool, pieces)
        yield deflating
        deflating.finish()
    finally:
        pool.shutdown(cancel_futures=True)
    if pieces:
        pieces.trim()


def _packed(data: bytes, pieces: Pieces | None) -> bytes:
    if pieces is None or len(data) < _TOO_SMALL_BYTES:
        return _compressed(data)
    digest = hashlib.sha256(data).hexdigest()
    known = pieces.find(digest)
    if known is None:
        known = _compressed(data)
        pieces.keep(digest, known)
    return known


def _compressed(data: bytes) -> bytes:
    """Blocks that need nothing from before them and end on a byte, so that others can follow."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)


def _used_at(file: Path) -> float:
    return file.stat().st_mtime
