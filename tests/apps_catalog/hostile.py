"""Uploads that mean harm, made byte by byte: what a well-behaved library would refuse to write."""

import io
import stat
import struct
import zipfile
import zlib

SPACEFILE = b"v: 0\nmicros:\n  - {name: main, src: ., engine: python3.9}\n"
_END = struct.Struct("<4s4H2LH")


def bundle(files: dict[str, bytes], **attributes: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {"Spacefile": SPACEFILE, **files}.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in attributes.items() if name != "Spacefile" else ():
                setattr(info, key, value)
            archive.writestr(info, content)
    return out.getvalue()


def of_kind(kind: int) -> bytes:
    return bundle({"x": b"/etc/passwd"}, external_attr=(kind | 0o777) << 16, create_system=3)


def million_entries(declared: int) -> bytes:
    """A directory of a million entries behind an end record that declares another number."""
    entry = b"PK\x01\x02" + bytes(42)
    size = len(entry) * 1_000_000
    return entry * 1_000_000 + _END.pack(b"PK\x05\x06", 0, 0, declared, declared, size, 0, 0)


def lying_bomb(megabytes: int, declared: int = 100) -> bytes:
    """A Spacefile that unpacks to so many megabytes of zeros, and says that it is small."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(packer.compress(bytes(1_000_000)) for _ in range(megabytes)) + packer.flush()
    name = b"Spacefile"
    common = struct.pack("<3H2xH3L2H", 20, 0, 8, 0, 0, len(data), declared, len(name), 0)
    local = b"PK\x03\x04" + common + name + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<3H2L", 0, 0, 0, 0, 0) + name
    return local + central + _END.pack(b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)


def wrongly_encoded() -> bytes:
    """A name that says it is UTF-8 and is not."""
    raw = bytearray(bundle({"n\u00e4me": b"x"}))
    return bytes(raw).replace("n\u00e4me".encode(), b"n\xff\xfeme")


def bundles() -> dict[str, bytes]:
    """What of the issue's list is a bundle: case → content."""
    twice = bundle({"aa": b"x", "ab": b"x"}).replace(b"ab", b"aa")
    return {
        "escape": bundle({"../x": b"x"}),
        "absolute": bundle({"/etc/cron.d/x": b"x"}),
        "backslash": bundle({"..\\x": b"x"}),
        "link": of_kind(stat.S_IFLNK),
        "character-device": of_kind(stat.S_IFCHR),
        "block-device": of_kind(stat.S_IFBLK),
        "pipe": of_kind(stat.S_IFIFO),
        "duplicate": twice,
        "same-but-for-case": bundle({"a": b"x", "A": b"y"}),
        "bomb": bundle({"x": bytes(60_000_000)}),
        "lying-bomb": lying_bomb(200),
        "million-entries": million_entries(0xFFFF),
        "million-entries-that-are-few": million_entries(3),
        "wrong-encoding": wrongly_encoded(),
        "nothing": b"",
        "noise": b"hello" * 1000,
        "half": bundle({"a": b"x" * 500})[:-60],
        "deep": bundle({"a/" * 60 + "b": b"x"}),
        "long-name": bundle({"x" * 2000: b"x"}),
    }


def spacefiles() -> dict[str, bytes]:
    return {
        "tags": b"v: !!python/object/apply:os.system ['true']\n",
        "aliases": b"a: &a [x]\nb: *a\n",
        "laughs": b"a: &a [x]\n" + b"".join(b"b%d: &b%d [*a, *a]\n" % (n, n) for n in range(50)),
        "depth": b"a: " + b"[" * 60_000,
        "depth-of-mappings": b"{a: " * 15_000,
        "many-values": b"- x\n" * 15_000,
        "too-large": b"#" * 70_000,
        "utf-16": "v: 0\n".encode("utf-16"),
        "latin-1": "app_name: K\u00e4se\n".encode("latin-1"),
        "nul": b"v: 0\x00\n",
        "surrogate": b"app_name: \xed\xa0\x80\n",
        "two-documents": b"v: 0\n---\nv: 0\n",
        "long-key": b"? " + b"x" * 60_000 + b"\n: 1\n",
        "quadratic-quotes": b'"' + b"\\x41" * 16_000 + b'"\n',
    }


def discoveries() -> dict[str, tuple[bytes, str, int | None]]:
    """case → (text, the field that is at fault, its limit if it has one)."""

    def front(line: str, body: str = "text") -> bytes:
        return f"---\n{line}\n---\n{body}".encode()

    return {
        "app_name": (front("app_name: " + "x" * 13), "app_name", 12),
        "title": (front("title: " + "x" * 46), "title", 45),
        "tagline": (front("tagline: " + "x" * 70), "tagline", 69),
        "body": (front("title: x", "x" * 4251), "body", 4250),
        "media": (front("media: [a, b, c, d, e, f]"), "media", 5),
        "videos": (front("media: ['https://youtu.be/1', 'https://youtu.be/2']"), "media", None),
        "theme_color": (front("theme_color: red"), "theme_color", None),
        "homepage": (front("homepage: javascript:x"), "homepage", None),
        "homepage-long": (front("homepage: https://e.org/" + "x" * 2000), "homepage", 2000),
        "category": (front("category: weapons"), "category", None),
        "works_with": (front("works_with: [" + "a, " * 21 + "]"), "works_with", 20),
        "bidi": (front('tagline: "a\u202eb"'), "tagline", None),
        "all-of-it": (b"x" * 70_000, "body", 64),
    }
