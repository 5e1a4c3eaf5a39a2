"""Icons from strangers: a PNG, WebP or JPEG, kept as a PNG of 512×512 that we wrote ourselves."""

import io

from PIL import Image, ImageOps

from apps_catalog import pictures
from apps_catalog.store import Store

MAX_BYTES = 1024 * 1024
SIDE = 512
MAX_PIXELS = 2048 * 2048


def drawn(content: bytes) -> bytes:
    """The icon as it is shown. Another size than 512×512, which the former platform took too, is fitted into it.

    Raises pictures.InvalidPicture.
    """
    image = pictures.decode(content, pictures.Bounds(MAX_BYTES, MAX_PIXELS))
    if image.size != (SIDE, SIDE):
        image = ImageOps.pad(image.convert("RGBA"), (SIDE, SIDE), Image.Resampling.LANCZOS, color=(0, 0, 0, 0))
    return pictures.encode(image, lossless=True)


def keep(store: Store, content: bytes) -> str:
    """Put it into the store as it is shown; returns its digest. Raises pictures.InvalidPicture."""
    return store.put(io.BytesIO(drawn(content)))[0]
