"""Uploaded bundles: zips of a project from strangers. Looked through completely before a byte is written anywhere."""

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from apps_catalog import zip_index
from apps_catalog.zip_index import Entry, ZipProblem

MIB = 1024 * 1024
_CHUNK = 64 * 1024
_STORED, _DEFLATED = 0, 8
_RATIO_FREE_BYTES = 8 * MIB
_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True)
class BundleLimits:
    """archive_bytes: the upload itself. total_bytes: everything unpacked (250 MB for each of five micros).

    ratio: unpacked to packed, for entries that unpack to more than 8 MiB.
    """

    archive_bytes: int = 300 * MIB
    total_bytes: int = 5 * 250 * MIB
    file_bytes: int = 250 * MIB
    entries: int = 20_000
    name_bytes: int = 1000
    segment_bytes: int = 255
    depth: int = 40
    ratio: int = 200
    text_bytes: int = 64 * 1024


class BundleError(ValueError):
    """The bundle is refused. message: a sentence; limit: the figure that was exceeded, if one was."""

    def __init__(self, message: str, limit: int | None = None, field: str = "bundle") -> None:
        self.field, self.message, self.limit = field, message, limit
        super().__init__(message)


@dataclass(frozen=True)
class BundleIndex:
    """What is in a bundle that passed. sizes: name of every file → bytes. spacefile, discovery: their text as bytes."""

    sizes: Mapping[str, int]
    spacefile: bytes
    discovery: bytes | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    @property
    def total_bytes(self) -> int:
        return sum(self.sizes.values())

    def size_under(self, folder: str) -> int:
        """Bytes of all files below `folder` ("" is the root); for the limit of one micro."""
        prefix = f"{folder}/" if folder else ""
        return sum(size for name, size in self.sizes.items() if name.startswith(prefix))


def check(file: BinaryIO, limits: BundleLimits | None = None) -> BundleIndex:
    """Look through an uploaded zip. Raises BundleError; a refusal takes well under a second and little memory.

    `file` must be seekable; nothing is written, and no more than 64 KiB is held besides the list of names.
    """
    limits = limits or BundleLimits()
    files = _files(file, limits)
    texts: dict[str, bytes] = {}
    for entry in files:
        keep = limits.text_bytes if entry.name in ("Spacefile", "Discovery.md") else 0
        if keep and entry.size_bytes > keep:
            raise BundleError(f"{entry.name} is larger than {keep // 1024} KiB", keep, field=entry.name)
        content = b"".join(chunk for chunk in _content(file, entry) if keep)
        if keep:
            texts[entry.name] = content
    if "Spacefile" not in texts:
        raise BundleError(_no_spacefile(files))
    sizes = {entry.name: entry.size_bytes for entry in files}
    return BundleIndex(sizes, texts["Spacefile"], texts.get("Discovery.md"))


def read_member(file: BinaryIO, name: str, max_bytes: int) -> bytes:
    """One file's content, out of a bundle that passed `check`. Raises BundleError if it is absent or too large."""
    found = [entry for entry in _entries(file, BundleLimits()) if entry.name == name]
    if not found:
        raise BundleError(f"{name} is not in the bundle")
    if found[0].size_bytes > max_bytes:
        raise BundleError(f"{name} is larger than {max_bytes} bytes", max_bytes)
    return b"".join(_content(file, found[0]))


def _entries(file: BinaryIO, limits: BundleLimits) -> list[Entry]:
    try:
        return zip_index.entries(file, limits.entries)
    except ZipProblem as problem:
        over = limits.entries if "at most" in str(problem) else None
        raise BundleError(f"the archive {problem}", over) from None


def _files(file: BinaryIO, limits: BundleLimits) -> list[Entry]:
    """The entries that are files, after every check that needs no decompression."""
    length = file.seek(0, 2)
    if length > limits.archive_bytes:
        raise BundleError(f"the archive is larger than {limits.archive_bytes // MIB} MB", limits.archive_bytes)
    entries = _entries(file, limits)
    for entry in entries:
        _check_kind(entry)
        _check_name(entry, limits)
        _check_size(entry, limits)
    total = sum(entry.size_bytes for entry in entries)
    if total > limits.total_bytes:
        raise BundleError(f"unpacks to more than {limits.total_bytes // MIB} MB", limits.total_bytes)
    _check_collisions(entries)
    _check_agreement(file, entries)
    return [entry for entry in entries if not entry.name.endswith("/")]


def _check_kind(entry: Entry) -> None:
    name = _shown(entry.name)
    if entry.flags & (zip_index.ENCRYPTED | zip_index.STRONG_ENCRYPTION):
        raise BundleError(f"{name} is encrypted")
    if entry.method not in (_STORED, _DEFLATED) or entry.flags & zip_index.PATCH:
        raise BundleError(f"{name} is compressed in a way that is not supported; use deflate")
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFLNK or entry.dos_attributes & 0x400:
        raise BundleError(f"{name} is a symbolic link; links are not allowed")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BundleError(f"{name} is a device, pipe or socket; only files and folders are allowed")
    if (kind == stat.S_IFDIR) != entry.name.endswith("/") and kind:
        raise BundleError(f"{name} is marked as both a file and a folder")


def _check_name(entry: Entry, limits: BundleLimits) -> None:
    name, shown = entry.name, _shown(entry.name)
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        raise BundleError(f"the name {shown} has control characters")
    if name.startswith("/"):
        raise BundleError(f"the name {shown} is absolute")
    if "\\" in name or _DRIVE.match(name):
        raise BundleError(f"the name {shown} has a backslash or a drive letter")
    segments = name.removesuffix("/").split("/")
    if ".." in segments:
        raise BundleError(f"the name {shown} leaves the project")
    if "" in segments or "." in segments:
        raise BundleError(f"the name {shown} has an empty or . segment")
    if len(name.encode()) > limits.name_bytes:
        raise BundleError(f"the name {shown} is longer than {limits.name_bytes} bytes", limits.name_bytes)
    if max(len(segment.encode()) for segment in segments) > limits.segment_bytes:
        raise BundleError(f"the name {shown} has a part over {limits.segment_bytes} bytes", limits.segment_bytes)
    if len(segments) > limits.depth:
        raise BundleError(f"the name {shown} is nested deeper than {limits.depth} folders", limits.depth)


def _check_size(entry: Entry, limits: BundleLimits) -> None:
    shown = _shown(entry.name)
    if entry.size_bytes > limits.file_bytes:
        raise BundleError(f"{shown} unpacks to more than {limits.file_bytes // MIB} MB", limits.file_bytes)
    if entry.size_bytes > _RATIO_FREE_BYTES and entry.size_bytes > limits.ratio * max(1, entry.packed_bytes):
        raise BundleError(f"{shown} unpacks to over {limits.ratio} times its packed size", limits.ratio)
    if entry.method == _STORED and entry.size_bytes != entry.packed_bytes:
        raise BundleError(f"{shown} declares two different sizes")
    if entry.name.endswith("/") and entry.size_bytes:
        raise BundleError(f"the folder {shown} has content")


def _check_collisions(entries: list[Entry]) -> None:
    """Names that are one file somewhere: exactly equal, equal but for case or Unicode form, a file and a folder."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for entry in entries:
        name = entry.name.removesuffix("/")
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())
        if folded in seen:
            raise BundleError(f"{_shown(seen[folded])} and {_shown(entry.name)} are the same name to some systems")
        seen[folded] = entry.name
        parts = folded.split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    for folded in folders.intersection(seen):
        if not seen[folded].endswith("/"):
            raise BundleError(f"{_shown(seen[folded])} is both a file and a folder")


def _check_agreement(file: BinaryIO, entries: list[Entry]) -> None:
    """Whoever unpacks later uses Python's reader: it must see the same files, and must be able to see them at all."""
    try:
        with zipfile.ZipFile(file) as archive:
            seen = [(info.filename, info.file_size, info.header_offset) for info in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, UnicodeError, ValueError, struct.error):
        seen = []
    if seen != [(entry.name, entry.size_bytes, entry.header_at) for entry in entries]:
        raise BundleError("the archive has fields that programs read differently; pack it again with a plain zip tool")


def _content(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """The entry's bytes in chunks of at most 64 KiB; stops at the first byte that was not declared."""
    crc = done = 0
    for chunk in _inflated(file, entry):
        done += len(chunk)
        if done > entry.size_bytes:
            raise BundleError(f"{_shown(entry.name)} unpacks to more than it declares", entry.size_bytes)
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if done != entry.size_bytes or crc != entry.crc:
        raise BundleError(f"{_shown(entry.name)} is damaged")


def _inflated(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    packed = _packed(file, entry)
    if entry.method == _STORED:
        yield from packed
        return
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for chunk in packed:
            if inflate.eof:
                break
            yield inflate.decompress(chunk, _CHUNK)
            while inflate.unconsumed_tail:
                yield inflate.decompress(inflate.unconsumed_tail, _CHUNK)
        while rest := inflate.decompress(b"", _CHUNK):
            yield rest
    except zlib.error:
        raise BundleError(f"{_shown(entry.name)} is damaged") from None
    if not inflate.eof or inflate.unused_data:
        raise BundleError(f"{_shown(entry.name)} is damaged")


def _packed(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    at, end = entry.start, entry.start + entry.packed_bytes
    while at < end:
        file.seek(at)  # the reader of another entry may have moved it
        chunk = file.read(min(_CHUNK, end - at))
        if not chunk:
            return
        at += len(chunk)
        yield chunk


def _no_spacefile(files: list[Entry]) -> str:
    nested = sorted(entry.name for entry in files if entry.name.endswith("/Spacefile"))
    hint = f"; there is one at {_shown(nested[0])}, pack the folder's content and not the folder" if nested else ""
    return f"Spacefile not found at the top of the bundle{hint}"


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 100 else name[:97] + "…")
