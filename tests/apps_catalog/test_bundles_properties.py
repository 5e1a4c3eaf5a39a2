"""What holds for any upload: what passes lands inside, once, as it was; the rest is refused by our own error."""

import io
import os
import stat
import tempfile
import unicodedata
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from apps_catalog.bundles import BundleError, check, read_member
from apps_catalog.packing import Ignore, pack
from k8s.local.artifacts import unpack_source

SPACEFILE = b"v: 0\nmicros: []\n"
safe = st.text("abcXYZ019._-äß é", min_size=1, max_size=10).filter(
    lambda word: word.strip(". ") and word == word.strip()
)
paths = st.lists(safe, min_size=1, max_size=4).map("/".join)
pieces = st.sampled_from(["..", ".", "", "a", "A", "ä", "a\u0308", "C:", "\\", "con", "\x01", "\u202e", "x" * 256, "ﬁ"])
hostile = st.lists(pieces, min_size=1, max_size=5).map("/".join).filter(bool)


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())


def written(files: dict[str, bytes], attributes: int = 0, stored: bool = False) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {"Spacefile": SPACEFILE, **files}.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            info.create_system, info.external_attr = 3, attributes if name != "Spacefile" else 0
            archive.writestr(info, content)
    return out


def on_disk(file: io.BytesIO) -> dict[str, bytes]:
    """What unpacking it leaves in a folder, and nothing beside the folder."""
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name)
        (outer / "in").mkdir()
        (outer / "bundle.zip").write_bytes(file.getvalue())
        unpack_source(outer / "bundle.zip", outer / "in")
        assert {entry.name for entry in outer.iterdir()} == {"in", "bundle.zip"}
        found = [path for path in (outer / "in").rglob("*") if not path.is_dir()]
        assert all(stat.S_ISREG(path.lstat().st_mode) for path in found)
        return {path.relative_to(outer / "in").as_posix(): path.read_bytes() for path in found}


@given(st.dictionaries(paths, st.binary(max_size=300), max_size=6), st.booleans())
@settings(max_examples=60)
def test_a_plain_bundle_is_listed_read_and_unpacked_as_it_was_packed(files: dict[str, bytes], stored: bool) -> None:
    file = written(files, stored=stored)
    try:
        index = check(file)
    except BundleError as error:  # two of the names are one, or one is the other's folder
        names = ["Spacefile", *files]
        parents = {
            "/".join(folded(name).split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)
        }
        assert len({folded(name) for name in names}) < len(names) or parents & {folded(name) for name in names}, error
        return
    whole = {"Spacefile": SPACEFILE, **files}
    assert dict(index.sizes) == {name: len(content) for name, content in whole.items()}
    assert {name: read_member(file, name, 1000) for name in whole} == whole
    assert on_disk(file) == whole


@given(st.dictionaries(hostile, st.binary(max_size=20), min_size=1, max_size=4))
def test_a_name_that_passes_stays_inside_and_is_nobody_elses(files: dict[str, bytes]) -> None:
    file = written(files)
    try:
        index = check(file)
    except BundleError as error:
        assert error.field == "bundle" and error.message
        return
    for name in index.names:
        assert os.path.normpath(f"/r/{name}") == f"/r/{name}" and "\\" not in name
        assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in name)
    assert len({folded(name) for name in index.names}) == len(index.names)


@given(st.integers(0, 2**32 - 1))
def test_whatever_its_attributes_say_only_plain_files_pass(attributes: int) -> None:
    try:
        check(written({"x": b"/etc/passwd"}, attributes))
    except BundleError:
        return
    assert stat.S_IFMT(attributes >> 16) in (0, stat.S_IFREG) and not attributes & 0x400


@given(st.data())
@settings(max_examples=60)
def test_a_bundle_that_was_cut_filled_or_glued_is_refused(data: st.DataObject) -> None:
    raw = written({"a/b.txt": b"hello " * 30}).getvalue()
    at = data.draw(st.integers(0, len(raw) - 1))
    more = data.draw(st.binary(min_size=1, max_size=20))
    damaged = data.draw(st.sampled_from([raw[:at], raw[:at] + more + raw[at:], raw + more, more + raw, raw + raw]))
    try:
        index = check(io.BytesIO(damaged))
    except BundleError:
        return
    with zipfile.ZipFile(io.BytesIO(damaged)) as archive:  # what passes all the same is what every reader sees
        assert {name: len(archive.read(name)) for name in archive.namelist()} == dict(index.sizes)


@given(st.lists(st.text("ab*?!/.[]\\# ^-\r", max_size=10), max_size=4), paths)
def test_any_line_of_a_spaceignore_is_read_and_decides(lines: list[str], name: str) -> None:
    assert Ignore(lines)(name) in (True, False)


@given(st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "e.log", "f/g.log"]), st.binary(max_size=50), min_size=1))
@settings(max_examples=30)
def test_what_the_client_packs_passes_and_is_the_same_bytes_each_time(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"Spacefile": SPACEFILE, **files}.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        first, second = io.BytesIO(), io.BytesIO()
        assert pack(Path(folder), first).names == tuple(sorted({"Spacefile", *files}))
        pack(Path(folder), second)
    assert first.getvalue() == second.getvalue()
    assert set(check(first).names) == {"Spacefile", *files}
