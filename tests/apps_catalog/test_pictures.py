"""Icons and screenshots from strangers: written anew, bounded, refused with the field's rule."""

import io
import json
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from apps_catalog import icons, screenshots
from apps_catalog.pictures import MAX_PIXELS, MAX_SCANS, InvalidPicture

# Runs in a process of its own, so that its peak is that of this one picture. → the refusal, seconds, growth in MiB.
MEASURED = r"""
import importlib, json, re, sys, time
from apps_catalog import pictures
part = importlib.import_module("apps_catalog." + sys.argv[1])
content = sys.stdin.buffer.read()
# The most of this program: what getrusage tells began with the process that started it.
peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
before = peak()
began, said = time.monotonic(), ""
try:
    part.drawn(content)
except pictures.InvalidPicture as error:
    said = str(error)
took = time.monotonic() - began
print(json.dumps([said, took, (peak() - before) / 1024]))
"""


def picture(
    kind: str, size: tuple[int, int] = (1280, 800), mode: str = "RGB", colour: str = "teal", **more: object
) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, kind, **more)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb(width: int, height: int) -> bytes:
    """A PNG that says it is huge, and is: zeros compress a thousandfold."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(b"\x00" * (1 << 20)) for _ in range(200)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def webp_bomb() -> bytes:
    """An animation's header of 16384×16384: two canvases of a gigabyte each for who opens it without a look."""
    side = (16384 - 1).to_bytes(3, "little")
    frame = picture("WEBP", (16, 16))[12:]
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x02\x00\x00\x00" + side + side
    animation = b"ANIM" + struct.pack("<I", 6) + bytes(6)
    framed = b"ANMF" + struct.pack("<I", 16 + len(frame)) + bytes(6) + (15).to_bytes(3, "little") * 2 + bytes(4) + frame
    body = b"WEBP" + extended + animation + framed
    return b"RIFF" + struct.pack("<I", len(body)) + body


def many_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated until the file is as large as it may be."""
    whole = picture("JPEG", (3840, 2400), progressive=True)
    last = whole.rindex(b"\xff\xda")
    scan = whole[last:-2]
    return whole[:last] + scan * ((screenshots.MAX_BYTES - last) // len(scan)) + b"\xff\xd9"


def measured(part: str, content: bytes) -> tuple[str, float, float]:
    command = [sys.executable, "-c", MEASURED, part]
    done = subprocess.run(command, input=content, capture_output=True, check=True, timeout=60)
    said, took, grown = json.loads(done.stdout)
    return said, took, grown


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_an_icon_is_kept_as_a_png_of_512_pixels_that_we_wrote(kind: str) -> None:
    shown = Image.open(io.BytesIO(icons.drawn(picture(kind, (512, 512)))))
    assert (shown.format, shown.size) == ("PNG", (512, 512))
    fitted = Image.open(io.BytesIO(icons.drawn(picture(kind, (256, 128)))))
    assert fitted.size == (512, 512)
    assert fitted.getpixel((0, 0)) == (0, 0, 0, 0) and fitted.getpixel((256, 256))[3] == 255  # type: ignore[index]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_screenshot_is_kept_as_webp_no_larger_than_it_is_shown(kind: str) -> None:
    assert Image.open(io.BytesIO(screenshots.drawn(picture(kind)))).size == (1280, 800)
    shown = Image.open(io.BytesIO(screenshots.drawn(picture(kind, (3840, 2400)))))
    assert (shown.format, shown.size) == ("WEBP", (1920, 1200))


def test_what_a_picture_says_beside_its_pixels_is_not_kept() -> None:
    exif = Image.Exif()
    exif[0x0110] = "secret-camera"
    exif[0x0112] = 6  # turned by a quarter
    content = picture("JPEG", (800, 1280), exif=exif, comment=b"secret-comment")
    assert b"secret" in content
    shown = screenshots.drawn(content)
    assert b"secret" not in shown and Image.open(io.BytesIO(shown)).size == (1280, 800)
    assert b"script" not in icons.drawn(picture("PNG", (512, 512)) + b"<script>")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (picture("PNG", (1279, 800)), "at least 1280×800"),
        (picture("PNG", (1280, 799)), "at least 1280×800"),
        (picture("PNG", (1600, 900)), "16 wide to 10 high"),
        (picture("GIF"), "a PNG, WebP or JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a PNG, WebP or JPEG"),
        (b"", "a PNG, WebP or JPEG"),
        (b"RIFF\x00\x00\x00\x00WEBP", "a PNG, WebP or JPEG"),
        (picture("PNG")[:-40], "undamaged"),
        (picture("WEBP")[:-40], "undamaged"),
        (picture("PNG") + bytes(screenshots.MAX_BYTES), "at most 3072 KB"),
    ],
)
def test_a_screenshot_that_breaks_a_rule_is_refused_with_it(content: bytes, said: str) -> None:
    with pytest.raises(InvalidPicture, match=said):
        screenshots.drawn(content)


@pytest.mark.parametrize(
    ("part", "content", "said"),
    [
        ("icons", png_bomb(20000, 20000), f"must have at most {icons.MAX_PIXELS} pixels"),
        ("screenshots", png_bomb(8000, 5000), f"must have at most {MAX_PIXELS} pixels"),
        ("screenshots", webp_bomb(), f"must have at most {MAX_PIXELS} pixels"),
        ("screenshots", picture("WEBP", (16000, 10000)), f"must have at most {MAX_PIXELS} pixels"),
        ("screenshots", picture("WEBP", (16000, 10000), lossless=True), f"must have at most {MAX_PIXELS} pixels"),
        ("screenshots", many_scans(), f"must have at most {MAX_SCANS} scans"),
    ],
    ids=["icon", "png", "animation", "webp", "webp-lossless", "jpeg-scans"],
)
def test_a_bomb_is_refused_with_the_limit_in_a_second_and_256_mib(part: str, content: bytes, said: str) -> None:
    refusal, took, grown = measured(part, content)
    assert refusal == said
    assert took < 1 and grown < 256


def test_the_largest_screenshot_that_passes_stays_within_256_mib() -> None:
    for kind in ("PNG", "WEBP", "JPEG"):
        refusal, _, grown = measured("screenshots", picture(kind, (4000, 2500)))
        assert refusal == "" and grown < 256, (kind, grown)
