"""The layout of a zip of stored (uncompressed) entries whose lengths and checksums are known before a byte is sent.

So the length of the archive is known too, and any range of it can be made without what comes before. Entries and archive use
ZIP64 throughout. Format: PKWARE's APPNOTE, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16, 4.5.3.
"""

import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_LOCAL, _CENTRAL = 0x04034B50, 0x02014B50
_END64, _LOCATOR64, _END = 0x06064B50, 0x07064B50, 0x06054B50
_VERSION = 45
_UTF8 = 0x800
_MADE_BY_UNIX = 3 << 8 | _VERSION
_REGULAR_0644 = 0o100644 << 16
_MANY32, _MANY16 = 0xFFFFFFFF, 0xFFFF
_POLYNOMIAL = 0xEDB88320


@dataclass(frozen=True)
class Entry:
    """changed: Unix seconds, told in UTC to two seconds, from 1980 on."""

    name: bytes
    size_bytes: int
    crc: int
    changed: float


def local_header(entry: Entry) -> bytes:
    extra = struct.pack("<HHQQ", 1, 16, entry.size_bytes, entry.size_bytes)
    lengths = (_MANY32, _MANY32, len(entry.name), len(extra))
    head = struct.pack("<IHHHIIIIHH", _LOCAL, _VERSION, _UTF8, 0, _dos_time(entry.changed), entry.crc, *lengths)
    return head + entry.name + extra


def local_bytes(entry: Entry) -> int:
    """The length of the entry's header and content."""
    return 30 + len(entry.name) + 20 + entry.size_bytes


def central_header(entry: Entry, offset: int) -> bytes:
    extra = struct.pack("<HHQQQ", 1, 24, entry.size_bytes, entry.size_bytes, offset)
    lengths = (_MANY32, _MANY32, len(entry.name), len(extra), 0, 0, 0)
    fixed = (_CENTRAL, _MADE_BY_UNIX, _VERSION, _UTF8, 0, _dos_time(entry.changed), entry.crc)
    return struct.pack("<IHHHHIIIIHHHHHII", *fixed, *lengths, _REGULAR_0644, _MANY32) + entry.name + extra


def central_bytes(entry: Entry) -> int:
    return 46 + len(entry.name) + 28


def end(entries: int, directory_at: int, directory_bytes: int) -> bytes:
    counts = (entries, entries, directory_bytes, directory_at)
    record = struct.pack("<IQHHIIQQQQ", _END64, 44, _MADE_BY_UNIX, _VERSION, 0, 0, *counts)
    locator = struct.pack("<IIQI", _LOCATOR64, 0, directory_at + directory_bytes, 1)
    return record + locator + struct.pack("<IHHHHIIH", _END, 0, 0, _MANY16, _MANY16, _MANY32, _MANY32, 0)


END_BYTES = 56 + 20 + 22


def total_bytes(entries: Iterable[Entry]) -> int:
    return END_BYTES + sum(local_bytes(entry) + central_bytes(entry) for entry in entries)


def directory(entries: Iterable[Entry]) -> Iterator[bytes]:
    """What follows the content of the last entry."""
    at = size = count = 0
    for entry in entries:
        header = central_header(entry, at)
        at += local_bytes(entry)
        size += len(header)
        count += 1
        yield header
    yield end(count, at, size)


def crc_of(parts: Iterable[tuple[int, int]]) -> int:
    """CRC-32 of parts one after the other, from the (crc, bytes) of each."""
    found = 0
    for crc, size_bytes in parts:
        found = combine(found, crc, size_bytes)
    return found


def combine(first: int, second: int, second_bytes: int) -> int:
    """CRC-32 of two texts one after the other.

    The first one's is moved past as many zero bits as the second has: a linear map over GF(2), by squaring.
    """
    for power in range(second_bytes.bit_length()):
        if second_bytes >> power & 1:
            first = _apply(_zero_bytes(power), first)
    return first ^ second


@lru_cache(64)
def _zero_bytes(power: int) -> tuple[int, ...]:
    """The map of 2**power zero bytes: for each bit, where it goes."""
    if power:
        half = _zero_bytes(power - 1)
        return tuple(_apply(half, column) for column in half)
    one_bit = (_POLYNOMIAL, *(1 << bit for bit in range(31)))
    matrix = one_bit
    for _ in range(3):
        matrix = tuple(_apply(matrix, column) for column in matrix)
    return matrix


def _apply(matrix: tuple[int, ...], vector: int) -> int:
    found = 0
    for column in matrix:
        if vector & 1:
            found ^= column
        vector >>= 1
    return found


def _dos_time(changed: float) -> int:
    year, month, day, hour, minute, second, *_ = time.gmtime(changed)
    if not 1980 <= year <= 2107:
        return 1 << 21 | 1 << 16
    return (year - 1980) << 25 | month << 21 | day << 16 | hour << 11 | minute << 5 | second // 2
