"""Icons from strangers: a PNG, WebP or JPEG, kept as a PNG of 512×512 that we wrote ourselves."""

import io

from PIL import Image, ImageDraw, ImageFont, ImageOps

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


def scaled(content: bytes, side: int) -> bytes:
    """One of ours (`keep`) as a PNG of another size. Raises pictures.InvalidPicture."""
    image = pictures.decode(content, pictures.Bounds(4 * MAX_BYTES, MAX_PIXELS))
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    return pictures.encode(image, lossless=True)


def lettered(title: str, colour: str, side: int) -> bytes:
    """For an app without an icon: the first letter of its title in white on `colour` (#rrggbb), as a PNG."""
    image = Image.new("RGB", (side, side), colour)
    letter, font = title[:1].upper(), ImageFont.load_default(side * 0.5)
    ImageDraw.Draw(image).text((side / 2, side / 2), letter, fill="white", font=font, anchor="mm")
    return pictures.encode(image, lossless=True)
