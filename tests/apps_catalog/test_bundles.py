"""Bundles that are accepted, and every way of being refused before a byte is written."""

import io
import resource
import stat
import struct
import tempfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps_catalog.bundles import BundleError, BundleLimits, check, read_member
from apps_catalog.packing import pack

SPACEFILE = b"v: 0\nmicros: []\n"


def bundle(files: dict[str, bytes], **attributes: int) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"Spacefile": SPACEFILE, **files}.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name != "Spacefile":
                for key, value in attributes.items():
                    setattr(info, key, value)
            archive.writestr(info, content)
    return out


def refusal(file: io.BytesIO, limits: BundleLimits | None = None) -> BundleError:
    start = time.perf_counter()
    with pytest.raises(BundleError) as caught:
        check(file, limits)
    assert time.perf_counter() - start < 1
    return caught.value


def test_a_plain_bundle_is_listed_with_sizes_and_texts() -> None:
    index = check(bundle({"api/main.py": b"x" * 10, "Discovery.md": b"hi", "empty/": b""}))
    assert index.names == ("Spacefile", "api/main.py", "Discovery.md")
    assert (index.spacefile, index.discovery) == (SPACEFILE, b"hi")
    assert (index.size_under("api"), index.total_bytes) == (10, len(SPACEFILE) + 12)


def test_one_member_can_be_read() -> None:
    file = bundle({"icon.png": b"png"})
    assert read_member(file, "icon.png", 10) == b"png"
    with pytest.raises(BundleError):
        read_member(file, "icon.png", 2)


def test_a_bundle_written_as_a_stream_is_accepted() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Spacefile", SPACEFILE)
    assert check(io.BytesIO(out.getvalue())).names == ("Spacefile",)


@pytest.mark.parametrize("data", [b"", b"PK", b"hello" * 100, b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_not_a_zip_is_refused(data: bytes) -> None:
    assert refusal(io.BytesIO(data)).field == "bundle"


def test_a_bundle_without_a_spacefile_says_where_one_was_seen() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("app/Spacefile", SPACEFILE)
    assert "app/Spacefile" in refusal(out).message


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a\\b",
        "C:/x",
        "a//b",
        "./a",
        "a\x01b",
        "a\x7f",
        "x" * 300,
        "a/" * 50 + "b",
        "/",
        "..",
    ],
)
def test_names_that_could_land_elsewhere_are_refused(name: str) -> None:
    refusal(bundle({name: b"x"}))


def test_a_name_with_nul_is_refused() -> None:
    raw = bundle({"aXb": b"x"}).getvalue().replace(b"aXb", b"a\x00b")
    refusal(io.BytesIO(raw))


@pytest.mark.parametrize(
    "names",
    [("a", "A"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE"), ("a", "a/b"), ("A", "a/b"), ("ﬁ", "fi")],
)
def test_names_that_are_one_file_somewhere_are_refused(names: tuple[str, str]) -> None:
    refusal(bundle(dict.fromkeys(names, b"x")))


def test_duplicate_names_are_refused() -> None:
    raw = bundle({"aa": b"x", "ab": b"x"}).getvalue().replace(b"ab", b"aa")
    assert "same name" in refusal(io.BytesIO(raw)).message


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int) -> None:
    refusal(bundle({"x": b"/etc/passwd"}, external_attr=(kind | 0o777) << 16, create_system=3))


def test_encrypted_entries_are_refused() -> None:
    raw = bytearray(bundle({"x": b"y"}).getvalue())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = -1
        while (at := raw.find(mark, at + 1)) >= 0:
            raw[at + offset] |= 1
    assert "encrypted" in refusal(io.BytesIO(bytes(raw))).message


def test_a_bomb_is_refused_by_what_it_declares() -> None:
    assert refusal(bundle({"x": b"\0" * 30_000_000})).limit == BundleLimits().ratio


def test_the_total_is_limited() -> None:
    limits = BundleLimits(total_bytes=1000)
    assert refusal(bundle({"a": b"x" * 600, "b": b"y" * 600}), limits).limit == 1000


def test_the_archive_itself_is_limited() -> None:
    assert refusal(bundle({}), BundleLimits(archive_bytes=10)).limit == 10


def _lying(size: int) -> io.BytesIO:
    """One deflated entry of 40 MB of zeros that declares `size`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(b"\0" * 40_000_000) + packer.flush()
    name = b"Spacefile"
    common = struct.pack("<3H2xH3L2H", 20, 0, 8, 0, 0, len(data), size, len(name), 0)
    local = b"PK\x03\x04" + common + name + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<3H2L", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, len(central), len(local), 0)
    return io.BytesIO(local + central + end)


def test_a_bomb_that_lies_about_its_size_stops_at_the_first_byte_too_many() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "more than it declares" in refusal(_lying(100)).message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_million_entries_are_refused_by_their_count() -> None:
    entry = b"PK\x01\x02" + b"\0" * 42
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 65_000, 65_000, len(entry) * 65_000, 0, 0)
    assert refusal(io.BytesIO(entry * 65_000 + end)).limit == BundleLimits().entries


def test_a_directory_that_holds_more_than_it_declares_is_refused() -> None:
    raw = bytearray(bundle({"a": b"", "b": b""}).getvalue())
    struct.pack_into("<2H", raw, len(raw) - 14, 1, 1)
    refusal(io.BytesIO(bytes(raw)))


def test_zip64_is_refused() -> None:
    raw = bytearray(bundle({"a": b"x"}).getvalue())
    struct.pack_into("<L", raw, len(raw) - 10, 0xFFFFFFFF)
    assert "ZIP64" in refusal(io.BytesIO(bytes(raw))).message


@pytest.mark.parametrize("place", ["front", "back"])
def test_data_around_the_archive_is_refused(place: str) -> None:
    raw = bundle({}).getvalue()
    refusal(io.BytesIO(b"#!/bin/sh\n" + raw if place == "front" else raw + b"more"))


def test_overlapping_entries_are_refused() -> None:
    raw = bytearray(bundle({"a": b"x" * 50, "b": b"x" * 50}).getvalue())
    second = raw.find(b"PK\x01\x02", raw.find(b"PK\x01\x02", raw.find(b"PK\x01\x02") + 4) + 4)
    first_at = struct.unpack_from("<L", raw, raw.find(b"PK\x01\x02", raw.find(b"PK\x01\x02") + 4) + 42)[0]
    struct.pack_into("<L", raw, second + 42, first_at)
    refusal(io.BytesIO(bytes(raw)))


def test_damaged_content_is_refused() -> None:
    raw = bytearray(bundle({"a": bytes(range(256)) * 4}).getvalue())
    at = raw.find(b"a", raw.find(b"PK\x03\x04", 10)) + 20
    raw[at] ^= 0xFF
    refusal(io.BytesIO(bytes(raw)))


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_indexed(data: bytes) -> None:
    try:
        check(io.BytesIO(data))
    except BundleError as error:
        assert error.message


@given(st.data())
def test_a_bundle_with_flipped_bytes_is_refused_or_read_as_zipfile_reads_it(data: st.DataObject) -> None:
    raw = bytearray(bundle({"a/b.txt": b"hello " * 20, "c": b"x"}).getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        index = check(io.BytesIO(bytes(raw)))
    except BundleError:
        return
    with zipfile.ZipFile(io.BytesIO(bytes(raw))) as archive:
        assert {name: len(archive.read(name)) for name in archive.namelist()} == dict(index.sizes)


def _project(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def packed(folder: Path) -> tuple[str, ...]:
    return pack(folder, io.BytesIO()).names


def test_packing_leaves_out_what_the_former_client_left_out(tmp_path: Path) -> None:
    left = ["Discovery.md", ".env", "node_modules/x/y", "a/build/x", "dist/x", "target/x", ".git/x", "x.swp/../.a.swp"]
    _project(tmp_path, {**dict.fromkeys(left, ""), "Spacefile": "", "a/.env.example": "", "src/builder.py": ""})
    assert packed(tmp_path) == ("Spacefile", "a/.env.example", "src/builder.py")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("!dist", True),
        ("!dist/", False),
        ("# !dist", False),
        ("!/dist", True),
    ],
)
def test_a_negation_brings_a_folder_back_only_without_a_slash_at_its_end(tmp_path: Path, line: str, kept: bool) -> None:
    _project(tmp_path, {"dist/node_modules/x": "", "dist/y": "", ".spaceignore": line})
    assert packed(tmp_path) == (("dist/node_modules/x", "dist/y") if kept else ())


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("*.log", {"a.log", "b/c.log"}),
        ("/a.log", {"a.log"}),
        ("b/", set()),
        ("b", {"b/c.log", "b/d/e.txt"}),
        ("b/**/e.txt", {"b/d/e.txt"}),
        ("**/e.txt", {"b/d/e.txt"}),
        ("b/**", {"b/c.log", "b/d/e.txt"}),
        ("b/*.log", {"b/c.log"}),
        ("?.log", set()),
        ("[ab].log", {"a.log"}),
        ("// x", set()),
        ("a.log\r", {"a.log"}),
        ("*\n!a.log", {"b/c.log", "b/d/e.txt"}),
    ],
)
def test_spaceignore_patterns_mean_what_they_meant(tmp_path: Path, line: str, left: set[str]) -> None:
    files = {"a.log", "b/c.log", "b/d/e.txt"}
    _project(tmp_path, dict.fromkeys(files, ""))
    (tmp_path / ".spaceignore").write_text(line)
    expected = files if line == "b/" else files - left
    assert set(packed(tmp_path)) == expected - ({"b/d/e.txt", "b/c.log"} if line == "b/" else set())


def test_packing_twice_gives_equal_bytes_that_pass_the_check(tmp_path: Path) -> None:
    _project(tmp_path, {"Spacefile": "v: 0", "b/x": "1", "a": "2"})
    first, second = io.BytesIO(), io.BytesIO()
    pack(tmp_path, first)
    (tmp_path / "a").touch()
    pack(tmp_path, second)
    assert first.getvalue() == second.getvalue()
    assert check(first).names == ("Spacefile", "a", "b/x")


def test_links_to_files_travel_as_content_and_links_to_folders_do_not(tmp_path: Path) -> None:
    _project(tmp_path, {"a": "text", "d/x": ""})
    (tmp_path / "link").symlink_to("a")
    assert packed(tmp_path) == ("a", "d/x", "link")
    (tmp_path / "folder").symlink_to("d")
    with pytest.raises(BundleError):
        packed(tmp_path)


def test_packing_a_large_file_does_not_hold_it(tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    tracemalloc.start()
    try:
        with tempfile.TemporaryFile() as into:
            assert pack(tmp_path, into).size_bytes == 64 * 1024 * 1024
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
