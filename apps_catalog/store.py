"""Bundles and artifacts by the digest of their content, as files. Written once, never changed."""

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import BinaryIO

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_CHUNK = 1024 * 1024


class Store:
    """`root/sha256/<first two hex digits>/<hex>`. Safe for any number of writers on one file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, file: BinaryIO) -> tuple[str, int]:
        """Keep what `file` yields from where it stands → (digest, size in bytes). Repeating changes nothing.

        A crash leaves at most a file under `root/incoming`; nothing half-written ever has a digest's name.
        """
        incoming = self.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=incoming)
        try:
            with os.fdopen(descriptor, "wb") as out:
                digest, size = _copy(file, out)
            final = self.path(digest)
            final.parent.mkdir(parents=True, exist_ok=True)
            Path(temporary).chmod(0o444)
            Path(temporary).replace(final)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return digest, size

    def path(self, digest: str) -> Path:
        """Where `digest` is, or would be. Raises ValueError for anything but `sha256:` and 64 lower-case hex digits."""
        match = _DIGEST.fullmatch(digest)
        if not match:
            raise ValueError(f"not a digest: {digest[:80]!r}")
        return self.root / "sha256" / match[1][:2] / match[1]

    def open(self, digest: str) -> BinaryIO:
        """Raises FileNotFoundError for what was never put."""
        return self.path(digest).open("rb")

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()


def _copy(file: BinaryIO, out: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += out.write(chunk)
    out.flush()
    os.fsync(out.fileno())
    return f"sha256:{digest.hexdigest()}", size
