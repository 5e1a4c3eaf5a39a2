"""The central directory of a zip, read by ourselves before any library may.

Python's own reader believes what an archive says of itself (entry counts, a second directory, data in front), and
makes an object of every entry before anyone can count them. This one accepts a narrow, unambiguous subset of the
format: one disk, no ZIP64, nothing in front, the directory right before its end record, local headers that agree.
Within that subset every unzip program sees the same files. Source of the layouts: APPNOTE 6.3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

_EOCD = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 0xFFFF
_MAX_DIRECTORY_BYTES = 16 * 1024 * 1024
ENCRYPTED, UTF8 = 0x1, 0x800
STRONG_ENCRYPTION, PATCH = 0x40, 0x20


class ZipProblem(ValueError):
    """The archive is not of the subset; `str()` is a sentence."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the directory declares it. `mode` is Unix's (0 where none is given), `start` the data's offset."""

    name: str
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    mode: int
    dos_attributes: int
    header_at: int
    start: int = 0


@dataclass(frozen=True)
class _End:
    entries: int
    directory_bytes: int
    directory_at: int


def entries(file: BinaryIO, max_entries: int) -> list[Entry]:
    """All entries in the directory's order, checked against their local headers. Raises ZipProblem.

    Reads nothing but headers. Refuses by the declared count first, so a million entries cost one read.
    """
    end = _end(file)
    if end.entries > max_entries or end.directory_bytes > _MAX_DIRECTORY_BYTES:
        raise ZipProblem(f"holds {end.entries} entries, at most {max_entries} are allowed")
    file.seek(end.directory_at)
    found = list(_directory(file.read(end.directory_bytes), end))
    if len(found) != end.entries:
        raise ZipProblem("declares another number of entries than it holds")
    return _located(file, found, end.directory_at)


def _end(file: BinaryIO) -> _End:
    length = file.seek(0, 2)
    if length < _EOCD.size:
        raise ZipProblem("is not a zip file")
    tail_at = max(0, length - _EOCD.size - _MAX_COMMENT)
    file.seek(tail_at)
    tail = file.read(_EOCD.size + _MAX_COMMENT)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _EOCD.size:
        raise ZipProblem("is not a zip file, or is cut short")
    _, disk, first_disk, here, total, size, offset, comment = _EOCD.unpack_from(tail, at)
    if at + _EOCD.size + comment != len(tail):
        raise ZipProblem("has something after its end")
    if disk or first_disk or here != total:
        raise ZipProblem("is split over several disks")
    if 0xFFFF in (here, total) or 0xFFFFFFFF in (size, offset) or tail[max(0, at - 20) : at][:4] == b"PK\x06\x07":
        raise ZipProblem("uses ZIP64 records, which an upload of this size never needs")
    if offset + size != tail_at + at:
        raise ZipProblem("has a directory that is not where its end record says")
    return _End(total, size, offset)


def _directory(data: bytes, end: _End) -> Iterator[Entry]:
    at = 0
    while at < len(data):
        if len(data) - at < _CENTRAL.size or data[at : at + 4] != b"PK\x01\x02":
            raise ZipProblem("has a damaged directory")
        fields = _CENTRAL.unpack_from(data, at)
        flags, method, crc, packed, size = fields[3], fields[4], fields[7], fields[8], fields[9]
        name_len, extra_len, comment_len, disk = fields[10:14]
        attributes, header_at = fields[15], fields[16]
        if 0xFFFFFFFF in (packed, size, header_at) or disk:
            raise ZipProblem("uses ZIP64 records, which an upload of this size never needs")
        name_at = at + _CENTRAL.size
        at = name_at + name_len + extra_len + comment_len
        if at > len(data) or header_at >= end.directory_at:
            raise ZipProblem("has a damaged directory")
        name = _decode(data[name_at : name_at + name_len], flags)
        yield Entry(name, flags, method, crc, packed, size, attributes >> 16, attributes & 0xFFFF, header_at)


def _decode(raw: bytes, flags: int) -> str:
    if flags & UTF8:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise ZipProblem("has a name that is not valid UTF-8") from None
    return raw.decode("cp437")


def _located(file: BinaryIO, found: list[Entry], directory_at: int) -> list[Entry]:
    """Entries with `start`, after checking that local headers agree and that no two share a byte."""
    located: dict[int, Entry] = {}
    previous_end = 0
    for entry in sorted(found, key=lambda entry: entry.header_at):
        if entry.header_at < previous_end:
            raise ZipProblem(f"has overlapping entries at {entry.name[:100]!r}")
        if not located and entry.header_at != 0:
            raise ZipProblem("has something in front of its first entry")
        start = _data_start(file, entry)
        previous_end = start + entry.packed_bytes
        if previous_end > directory_at:
            raise ZipProblem(f"has an entry that runs into the directory: {entry.name[:100]!r}")
        located[entry.header_at] = replace(entry, start=start)
    return [located[entry.header_at] for entry in found]


def _data_start(file: BinaryIO, entry: Entry) -> int:
    file.seek(entry.header_at)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise ZipProblem(f"has no header for {entry.name[:100]!r}")
    _, _, flags, method, _, _, crc, packed, size, name_len, extra_len = _LOCAL.unpack(header)
    name = _decode(file.read(name_len), flags)
    streamed = flags & 0x8 and not (crc or packed or size)  # sizes follow the data, the directory has them
    declared = (entry.crc, entry.packed_bytes, entry.size_bytes)
    same_flags = (flags ^ entry.flags) & (ENCRYPTED | STRONG_ENCRYPTION | PATCH | UTF8) == 0
    if (name, method) != (entry.name, entry.method) or not same_flags:
        raise ZipProblem(f"says two different things about {entry.name[:100]!r}")
    if not (streamed or (crc, packed, size) == declared):
        raise ZipProblem(f"says two different things about {entry.name[:100]!r}")
    return entry.header_at + _LOCAL.size + int(name_len) + int(extra_len)
