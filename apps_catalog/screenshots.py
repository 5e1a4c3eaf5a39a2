"""Screenshots that Discovery.md names, by the former platform's rules: at least 1280×800, 16:10, at most 3 MB each."""

from PIL import Image

from apps_catalog import pictures

MAX_BYTES = 3 * 1024 * 1024
MIN_WIDTH, MIN_HEIGHT = 1280, 800
SHOWN = (1920, 1200)
RATIO = 16 / 10
RATIO_TOLERANCE = 0.01  # screens are rarely of an even width


def drawn(content: bytes) -> bytes:
    """The screenshot as it is shown: WebP of at most 1920×1200. Raises pictures.InvalidPicture."""
    image = pictures.decode(content, pictures.Bounds(MAX_BYTES))
    if image.width < MIN_WIDTH or image.height < MIN_HEIGHT:
        raise pictures.InvalidPicture(f"must have at least {MIN_WIDTH}×{MIN_HEIGHT} pixels", MIN_WIDTH)
    if abs(image.width / image.height / RATIO - 1) > RATIO_TOLERANCE:
        raise pictures.InvalidPicture("must be 16 wide to 10 high")
    image.thumbnail(SHOWN, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return pictures.encode(image, lossless=False)


def paths_of(media: tuple[str, ...], names: frozenset[str]) -> list[str]:
    """Discovery.md's media with each folder as the files directly in it, by name. names: what the bundle holds."""
    found: list[str] = []
    for item in media:
        path = item if "://" in item else _tidy(item)
        inside = sorted(name for name in names if name.rpartition("/")[0] == path) if path not in names else []
        found += inside or [path]
    return found


def _tidy(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))
