"""Which file of an artifact a request means, and what is said of it. No network in here."""

import hashlib
import mimetypes
import os
import re
import stat
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

_TARGET = re.compile(r"(sha256:[0-9a-f]{64})(?:/([^;]*))?(;spa)?")
_CHUNK = 1024 * 1024
_REMEMBERED = 4096
_MORE_TYPES = {
    ".avif": "image/avif",
    ".flac": "audio/flac",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".yaml": "application/yaml",
}
_TYPES = mimetypes.MimeTypes(())
for _extension, _type in _MORE_TYPES.items():
    _TYPES.add_type(_type, _extension)


@dataclass(frozen=True)
class Target:
    """What the gate asks for. folder: inside the artifact. spa: unknown paths without extension mean index.html."""

    digest: str
    folder: str
    spa: bool

    @classmethod
    def read(cls, header: str) -> "Target | None":
        """From `X-Freehold-Static: sha256:<hex>/<folder>[;spa]`; None for anything else."""
        match = _TARGET.fullmatch(header)
        if not match or ".." in (match[2] or "").split("/"):
            return None
        return cls(match[1], (match[2] or "").strip("/"), bool(match[3]))


@dataclass(frozen=True)
class Found:
    """A file to send with `status` (200 or 404); `redirect` instead where the address lacks its final slash."""

    path: Path | None
    size: int = 0
    modified_ns: int = 0
    status: int = 200
    redirect: bool = False

    @property
    def content_type(self) -> str:
        guessed, encoding = _TYPES.guess_type(self.path.name if self.path else "")
        if encoding or not guessed:
            return "application/gzip" if encoding == "gzip" else "application/octet-stream"
        textual = guessed.startswith("text/") or guessed.endswith(("json", "xml"))
        return f"{guessed}; charset=utf-8" if textual else guessed


def find(root: Path, path: str, *, spa: bool) -> Found:
    """`root`: the served folder, unpacked. `path`: decoded, begins with a slash. Never leads out of `root`."""
    found = _lookup(root, path)
    if found.path or found.redirect:
        return found
    if spa and "." not in path.rsplit("/", 1)[-1]:
        return _lookup(root, "/index.html")
    page = _lookup(root, "/404.html")
    return Found(page.path, page.size, page.modified_ns, status=404)


def _lookup(root: Path, path: str) -> Found:
    segments = path.split("/")[1:]
    if not path.startswith("/") or ".." in segments or "\x00" in path or "\\" in path:
        return Found(None, status=404)
    real_root = os.path.realpath(root)
    wanted = os.path.realpath(os.path.join(real_root, *(segment for segment in segments if segment)))  # noqa: PTH118
    if wanted != real_root and not wanted.startswith(real_root + os.sep):
        return Found(None, status=404)
    try:
        status = os.stat(wanted)  # noqa: PTH116
        if stat.S_ISDIR(status.st_mode):
            wanted = os.path.join(wanted, "index.html")  # noqa: PTH118
            index = os.stat(wanted, follow_symlinks=False)  # noqa: PTH116
            if not path.endswith("/"):
                return Found(None, redirect=stat.S_ISREG(index.st_mode))
            status = index
        elif path.endswith("/"):
            return Found(None, status=404)
    except (OSError, ValueError):  # absent, too long, a file used as a folder
        return Found(None, status=404)
    if not stat.S_ISREG(status.st_mode):
        return Found(None, status=404)
    return Found(Path(wanted), status.st_size, status.st_mtime_ns)


class Tags:
    """ETags by content, so that a file that an update did not change stays cached. Remembers the last few thousand."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int, int], str] = OrderedDict()

    def known(self, found: Found) -> str | None:
        return self._known.get(self._key(found))

    def compute(self, found: Found) -> str:
        """Reads the whole file unless it was asked for before."""
        key = self._key(found)
        tag = self._known.get(key)
        if tag is None:
            tag = self._known[key] = f'"{_hash(found.path)}"'
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return tag

    @staticmethod
    def _key(found: Found) -> tuple[str, int, int]:
        return str(found.path), found.size, found.modified_ns


def _hash(path: Path | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    if path is not None:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def parse_range(header: str, size: int) -> tuple[int, int] | None | bool:
    """(first, last) of one satisfiable range; False if it cannot be satisfied; None if the header is to be ignored."""
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip())
    if not match or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        return (size - length, size - 1) if length else False
    first, last = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
    if match[2] and int(match[2]) < first:
        return None
    return (first, last) if first < size else False
