"""Archives whose pieces are compressed one by one: the same bytes whether a piece was known or not, and one gzip stream."""

import gzip
import io
import os
import random
import tarfile
import zlib
from pathlib import Path

import pytest

from k8s.local import artifacts, deflating
from k8s.local.deflating import Pieces

LIMIT = 1024**3


def tree(folder: Path, seed: int = 1, files: int = 300) -> Path:
    """As dependencies are: many small files, some large, and text that compresses."""
    chance = random.Random(seed)
    for number in range(files):
        file = folder / "web" / f"package{number % 17}" / f"{number}.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"words " * chance.randrange(2000) + chance.randbytes(chance.randrange(3000)))
    (folder / "web" / "large.bin").write_bytes(chance.randbytes(9_000_000))
    (folder / "web" / "link").symlink_to("large.bin")
    (folder / "web" / "long" / ("x" * 200)).mkdir(parents=True)
    (folder / "web" / "empty").touch()
    return folder


def packed(folder: Path, pieces: Pieces | None = None) -> bytes:
    out = folder.with_suffix(".tar.gz")
    artifacts.pack(folder, out, LIMIT, pieces)
    return out.read_bytes()


def test_known_pieces_change_the_time_and_not_the_bytes(tmp_path: Path) -> None:
    folder, kept = tree(tmp_path / "out"), tmp_path / "pieces"
    plain = packed(folder)
    assert packed(folder, Pieces(kept)) == plain
    assert len(list(kept.iterdir())) > 2
    assert packed(folder, Pieces(kept)) == plain


def test_any_reader_of_gzip_and_tar_reads_it(tmp_path: Path) -> None:
    folder = tree(tmp_path / "out")
    content = packed(folder, Pieces(tmp_path / "pieces"))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
        names = {member.name for member in archive}
        assert names == {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        large = archive.extractfile("web/large.bin")
        assert large is not None and large.read() == (folder / "web/large.bin").read_bytes()
        assert archive.getmember("web/link").linkname == "large.bin"
    store = tmp_path / "store"
    draft = tmp_path / "draft"
    draft.write_bytes(content)
    unpacked = artifacts.ensure_unpacked(store, artifacts.put(store, draft), tmp_path / "bundles")
    assert packed(unpacked) == content


def test_one_changed_file_leaves_all_other_pieces_as_they_were(tmp_path: Path) -> None:
    folder, kept = tree(tmp_path / "out"), tmp_path / "pieces"
    packed(folder, Pieces(kept))
    before = {file.name for file in kept.iterdir()}
    (folder / "web" / "aaa.js").write_text("something at the very beginning")
    content = packed(folder, Pieces(kept))
    assert len({file.name for file in kept.iterdir()} - before) <= 1
    assert content == packed(folder)


def test_damaged_pieces_are_as_good_as_none(tmp_path: Path) -> None:
    folder, kept = tree(tmp_path / "out"), tmp_path / "pieces"
    plain = packed(folder, Pieces(kept))
    for number, file in enumerate(sorted(kept.iterdir())):
        content = file.read_bytes()
        file.write_bytes((b"", content[:-1], content[:40] + bytes(8) + content[48:])[number % 3])
    assert packed(folder, Pieces(kept)) == plain
    assert packed(folder, Pieces(kept)) == plain


def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = tree(tmp_path / "out")
    assert packed(folder, Pieces(tmp_path / "file" / "pieces")) == packed(folder)


def test_the_longest_unused_pieces_go_first(tmp_path: Path) -> None:
    kept = tmp_path / "pieces"
    first, second = tree(tmp_path / "first", 1), tree(tmp_path / "second", 2)
    packed(first, Pieces(kept))
    size = sum(file.stat().st_size for file in kept.iterdir())
    old = {file.name for file in kept.iterdir()}
    for file in kept.iterdir():
        os.utime(file, (1, 1))
    plain = packed(second, Pieces(kept, most_bytes=size + size // 2))
    assert sum(file.stat().st_size for file in kept.iterdir()) <= size + size // 2
    assert {file.name for file in kept.iterdir()} - old and old - {file.name for file in kept.iterdir()}
    assert packed(second) == plain


def test_a_large_file_is_cut_where_memory_says(tmp_path: Path) -> None:
    out = io.BytesIO()
    with deflating.writing(out, Pieces(tmp_path)) as archive:
        for _ in range(40):
            archive.write(bytes(1024 * 1024))
    assert gzip.decompress(out.getvalue()) == bytes(40 * 1024 * 1024)
    assert len(list(tmp_path.iterdir())) == 1  # ten pieces, all the same


def test_nothing_is_a_gzip_file_too() -> None:
    out = io.BytesIO()
    with deflating.writing(out):
        pass
    assert gzip.decompress(out.getvalue()) == b""


def test_what_fails_half_way_is_no_whole_file() -> None:
    out = io.BytesIO()
    with pytest.raises(OSError, match="broke"), deflating.writing(out) as archive:
        archive.write(b"x" * 100_000)
        raise OSError("broke")
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress(out.getvalue())
