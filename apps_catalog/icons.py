"""Icons from strangers: PNG of 512×512, nothing else. Never SVG, which may carry scripts."""

import io
import struct
import zlib

from apps_catalog.store import Store

MAX_BYTES = 1024 * 1024
SIDE = 512
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class InvalidIcon(ValueError):
    """Why it is not shown, as a sentence."""


def check(content: bytes) -> None:
    """Raises InvalidIcon unless every byte belongs to one well-formed PNG of the right size."""
    if len(content) > MAX_BYTES or not content.startswith(_SIGNATURE):
        raise InvalidIcon("An icon is a PNG of at most 1 MB.")
    at = len(_SIGNATURE)
    kinds: list[bytes] = []
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        if at + 12 + length > len(content):
            break
        if struct.unpack_from(">I", content, at + 8 + length)[0] != zlib.crc32(kind + body):
            raise InvalidIcon("The icon is damaged.")
        if not kinds:
            _check_header(kind, body)
        kinds.append(kind)
        at += 12 + length
        if kind == b"IEND":
            break
    if not kinds or kinds[-1] != b"IEND" or b"IDAT" not in kinds or at != len(content):
        raise InvalidIcon("The icon is damaged.")


def keep(store: Store, content: bytes) -> str:
    """Check it and put it into the store; returns its digest."""
    check(content)
    return store.put(io.BytesIO(content))[0]


def _check_header(kind: bytes, body: bytes) -> None:
    if kind != b"IHDR" or len(body) != 13:
        raise InvalidIcon("The icon is damaged.")
    if struct.unpack(">II", body[:8]) != (SIDE, SIDE):
        raise InvalidIcon(f"An icon has {SIDE} by {SIDE} pixels.")
