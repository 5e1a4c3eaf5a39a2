"""Pictures from strangers, decoded within bounds and written anew, so that nothing of the original's bytes is served.

PNG, WebP and JPEG, never SVG, which may carry scripts. The size in pixels is known before anything is decoded: a small
file may unpack to gigabytes.
"""

import io
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "WEBP", "JPEG")
MAX_PIXELS = 10_000_000
# A progressive JPEG is decoded once per scan, each of which may be a few bytes; encoders make about ten.
MAX_SCANS = 64
_NEEDS_DECODER = b"RIFF"


class InvalidPicture(ValueError):
    """Why it is refused, as the end of a sentence that begins with the field. limit: what it is over, if a number."""

    def __init__(self, message: str, limit: int | None = None) -> None:
        self.limit = limit
        super().__init__(message)


@dataclass(frozen=True)
class Bounds:
    max_bytes: int
    max_pixels: int = MAX_PIXELS


def decode(content: bytes, bounds: Bounds) -> Image.Image:
    """The picture upright, as RGB or RGBA; the first one of an animation. Raises InvalidPicture.

    Takes at most about 20 bytes of memory for each of `max_pixels`.
    """
    if len(content) > bounds.max_bytes:
        raise InvalidPicture(f"must have at most {bounds.max_bytes // 1024} KB", bounds.max_bytes)
    if content.startswith(_NEEDS_DECODER):
        _check_size(_webp_size(content), bounds)  # opening one makes room for all its pixels already
    if content.startswith(b"\xff\xd8") and content.count(b"\xff\xda") > MAX_SCANS:
        raise InvalidPicture(f"must have at most {MAX_SCANS} scans", MAX_SCANS)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            _check_size(opened.size, bounds)
            opened.load()
            return _plain(ImageOps.exif_transpose(opened))
    except InvalidPicture:
        raise
    except UnidentifiedImageError as error:
        raise InvalidPicture("must be a PNG, WebP or JPEG picture") from error
    except Image.DecompressionBombError as error:
        raise InvalidPicture(f"must have at most {bounds.max_pixels} pixels", bounds.max_pixels) from error
    except Exception as error:  # whatever a decoder stumbles over in bytes that somebody made up
        raise InvalidPicture("must be an undamaged picture") from error


def encode(image: Image.Image, *, lossless: bool) -> bytes:
    """PNG where every pixel counts, else WebP; without any of the original's metadata."""
    out = io.BytesIO()
    if lossless:
        image.save(out, "PNG")
    else:
        image.save(out, "WEBP", quality=82, method=2)
    return out.getvalue()


def _check_size(size: tuple[int, int], bounds: Bounds) -> None:
    if size[0] * size[1] > bounds.max_pixels:
        raise InvalidPicture(f"must have at most {bounds.max_pixels} pixels", bounds.max_pixels)


def _plain(image: Image.Image) -> Image.Image:
    """Only colours, and transparency where there is some: no palette, profile, text or position on earth."""
    plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
    plain.info.clear()
    return plain


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height as the first chunk says (WebP container specification). Raises InvalidPicture."""
    kind, at = content[12:16], content[20:30]
    if content[8:12] != b"WEBP" or len(at) < 10:
        raise InvalidPicture("must be a PNG, WebP or JPEG picture")
    if kind == b"VP8X":
        return int.from_bytes(at[4:7], "little") + 1, int.from_bytes(at[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(at[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(at[6:8], "little") & 0x3FFF, int.from_bytes(at[8:10], "little") & 0x3FFF
    raise InvalidPicture("must be an undamaged picture")
