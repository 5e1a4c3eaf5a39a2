"""Reading an archive that is to be imported: which bases and files it holds. Hostile archives raise Refused.

Layouts: ours, and those of the former platform's exports, which have `bases/<base>.json` and `drives/<drive>/<name>`, at the
root or below one folder; the JSON is a list of items, an object with such a list inside, or an object of objects.
"""

import codecs
import contextlib
import hashlib
import json
import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tenants.data_server import drives
from tenants.data_server.contents import check_name
from tenants.data_server.errors import Refused
from tenants.data_server.exporting import MANIFEST

ENTRIES = 150_000  # each is held in memory while an archive is read: 900 bytes or so
_WHOLE_BYTES = 64 * 1024 * 1024  # of a base that is not a plain list of items
_ITEM_CHARS = 4 * 1024 * 1024
_LINE_BYTES = 4 * 1024 * 1024  # of the manifest: that of a file of 500 GB takes as much
_READ_BYTES = 256 * 1024
_BLANK = " \t\r\n"


@dataclass(frozen=True)
class BaseEntry:
    base: str
    info: zipfile.ZipInfo


@dataclass(frozen=True)
class FileEntry:
    """path: as in the manifest."""

    drive: str
    name: str
    path: str
    info: zipfile.ZipInfo


class Archive:
    """A zip on the disk, checked as a whole before anything of it is read."""

    def __init__(self, path: Path) -> None:
        try:
            _count(path)
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise Refused(f"This is not a zip archive: {error}") from None
        infos = [info for info in self.zip.infolist() if not info.is_dir()]
        self._check(infos)
        prefix = self._prefix(infos)
        self.bases: list[BaseEntry] = []
        self.files: list[FileEntry] = []
        self.manifest: zipfile.ZipInfo | None = None
        self.ignored: list[str] = []
        for info in infos:
            self._sort(info, info.filename.removeprefix(prefix))
        if not self.bases and not self.files and not self._is_ours():
            raise Refused("The archive holds neither bases/ nor drives/")

    def _is_ours(self) -> bool:
        """An export of an empty collection holds its manifest alone."""
        return any("freehold_export" in line for line in self.lines())

    def close(self) -> None:
        self.zip.close()

    def size_bytes(self) -> int:
        """Unpacked."""
        infos = [entry.info for entry in self.bases] + [entry.info for entry in self.files]
        return sum(info.file_size for info in infos)

    def items(self, entry: BaseEntry) -> Iterator[Any]:
        """Whatever values are there for items. Raises Refused for JSON that is none."""
        try:
            with self.zip.open(entry.info) as content:
                yield from _items(content, entry.info)
        except (zipfile.BadZipFile, UnicodeDecodeError, RecursionError, EOFError, OSError, ValueError) as error:
            raise Refused(f"{entry.info.filename}: {error}") from None

    def content(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """Raises Refused where the checksum is not that of the content."""
        try:
            with self.zip.open(info) as content:
                while piece := content.read(_READ_BYTES):
                    yield piece
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise Refused(f"{info.filename}: {error}") from None

    def lines(self) -> Iterator[dict[str, Any]]:
        """Of the manifest, where there is one."""
        if self.manifest is None:
            return
        try:
            with self.zip.open(self.manifest) as content:
                while line := content.readline(_LINE_BYTES):
                    if len(line) == _LINE_BYTES:
                        raise ValueError(f"a line is longer than {_LINE_BYTES} bytes")
                    found = json.loads(line)
                    if isinstance(found, dict):
                        yield found
        except (zipfile.BadZipFile, RecursionError, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise Refused(f"{MANIFEST}: {error}") from None

    def _check(self, infos: list[zipfile.ZipInfo]) -> None:
        seen = set()
        for info in infos:
            name = info.filename
            if info.flag_bits & 1:
                raise Refused(f"{name} is encrypted")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise Refused(f"{name} is not a plain file")
            if ".." in name.replace("\\", "/").split("/") or name.startswith("/"):
                raise Refused(f"{name} leads out of the archive")
            if name in seen:
                raise Refused(f"{name} is there twice")
            seen.add(name)

    def _prefix(self, infos: list[zipfile.ZipInfo]) -> str:
        """`folder/` where everything lies below one folder that is itself neither bases nor drives."""
        tops = {info.filename.partition("/")[0] for info in infos}
        if len(tops) == 1 and not tops & {"bases", "drives", MANIFEST}:
            return f"{tops.pop()}/"
        return ""

    def _sort(self, info: zipfile.ZipInfo, path: str) -> None:
        kind, _, rest = path.partition("/")
        if kind == "bases" and rest.endswith(".json") and "/" not in rest:
            self.bases.append(BaseEntry(check_name(rest.removesuffix(".json")), info))
        elif kind == "drives" and "/" in rest:
            drive, _, name = rest.partition("/")
            self.files.append(FileEntry(check_name(drive), _file_name(name, info), path, info))
        elif path == MANIFEST:
            self.manifest = info
        else:
            self.ignored.append(info.filename)


def _count(path: Path) -> None:
    """Raises Refused for more entries than there is memory for, before any is read: by walking over them, since what the
    archive says of their number may be untrue."""
    with path.open("rb") as content, contextlib.suppress(struct.error):
        end = zipfile._EndRecData(content)  # type: ignore[attr-defined]
        if not end:
            return  # no zip archive, as whoever reads it says
        size, at = end[zipfile._ECD_SIZE], end[zipfile._ECD_LOCATION]  # type: ignore[attr-defined]
        if end[zipfile._ECD_SIGNATURE] == zipfile.stringEndArchive64:  # type: ignore[attr-defined]
            at -= zipfile.sizeEndCentDir64 + zipfile.sizeEndCentDir64Locator  # type: ignore[attr-defined]
        content.seek(max(0, at - size))
        number = 0
        while size > 0:
            lengths = struct.unpack("<28xHHH12x", content.read(46))
            content.seek(sum(lengths), 1)
            size -= 46 + sum(lengths)
            number += 1
            if number > ENTRIES:
                raise Refused(f"The archive holds more than {ENTRIES} entries")


def sums(path: Path, sizes: list[int]) -> list[str]:
    """SHA-256 of the pieces of those sizes, and of what is left over."""
    found = []
    with path.open("rb") as content:
        for size in sizes:
            digest = hashlib.sha256()
            while size > 0 and (piece := content.read(min(size, _READ_BYTES))):
                digest.update(piece)
                size -= len(piece)
            found.append(digest.hexdigest())
        if content.read(1):
            found.append("more than was said")
    return found


def _file_name(name: str, info: zipfile.ZipInfo) -> str:
    if not drives.is_name(name):
        raise Refused(f"{info.filename}: not the name of a file")
    return name


def _items(content: IO[bytes], info: zipfile.ZipInfo) -> Iterator[Any]:
    """A plain list one item at a time, however long; anything else whole."""
    text = _Text(content)
    if text.peek() == "[":
        yield from text.elements()
        return
    if info.file_size > _WHOLE_BYTES:
        raise ValueError("is neither a list of items nor small enough to look what it is")
    found = text.everything()
    if not isinstance(found, dict):
        raise ValueError("is not a list of items")
    lists = [value for value in found.values() if isinstance(value, list)]
    if isinstance(found.get("items"), list):
        yield from found["items"]
    elif len(lists) == 1:
        yield from lists[0]
    elif found and all(isinstance(value, dict) for value in found.values()):
        yield from ({"key": key} | value for key, value in found.items())
    elif found:
        raise ValueError("holds no list of items")


class _Text:
    """JSON text that is decoded as it is needed."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(parse_constant=_no_constant)
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def elements(self) -> Iterator[Any]:
        self._take("[")
        if self.peek() == "]":
            self._take("]")
        else:
            while True:
                yield self._value()
                if self.peek() != ",":
                    break
                self._take(",")
            self._take("]")
        if self.peek():
            raise ValueError("goes on after its list")

    def everything(self) -> Any:
        while self._more():
            pass
        return json.loads(self._text, parse_constant=_no_constant)

    def _value(self) -> Any:
        """Decoded when it is certainly complete: a number could go on in what was not read yet."""
        self.peek()
        while True:
            try:
                found, end = self._json.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:
                    self._at = end
                    return found
            except json.JSONDecodeError:
                if self._ended or len(self._text) - self._at > _ITEM_CHARS:
                    raise
            self._more()

    def _take(self, expected: str) -> None:
        if self.peek() != expected:
            raise ValueError(f"'{expected}' expected")
        self._at += 1

    def _more(self) -> bool:
        if self._ended:
            return False
        piece = self._content.read(_READ_BYTES)
        self._text = self._text[self._at :] + self._decoder.decode(piece, final=not piece)
        self._at = 0
        self._ended = not piece
        return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
