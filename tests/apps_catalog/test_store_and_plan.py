"""The content-addressed store, and what a Spacefile asks of a builder."""

import hashlib
import io
import threading
from pathlib import Path

import pytest

from apps_catalog.build import PlannedMicro, plan
from apps_catalog.spacefile import parse
from apps_catalog.store import Store


def test_content_is_kept_under_its_digest(tmp_path: Path) -> None:
    store, content = Store(tmp_path), b"x" * 3_000_000
    digest, size = store.put(io.BytesIO(content))
    code = hashlib.sha256(content).hexdigest()
    assert (digest, size) == (f"sha256:{code}", 3_000_000)
    assert store.path(digest) == tmp_path / "sha256" / code[:2] / code
    with store.open(digest) as file:
        assert file.read() == content


def test_putting_the_same_again_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    threads = [threading.Thread(target=lambda: store.put(io.BytesIO(b"same"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_failed_upload_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Store(tmp_path).put(Broken())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "digest", ["", "sha256:../../etc", "sha256:" + "A" * 64, "md5:" + "0" * 64, "sha256:" + "0" * 64 + "\n"]
)
def test_only_digests_name_files(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="digest"):
        Store(tmp_path).path(digest)


def test_the_plan_has_one_entry_per_micro() -> None:
    spacefile = parse(
        "v: 0\nmicros:\n"
        "  - {name: a, src: ./a/, engine: nodejs16.x, primary: true, commands: [make], include: [./dist/], run: node x}\n"
        "  - {name: b, src: b, engine: static, serve: ./}\n"
    )
    assert plan(spacefile) == (
        PlannedMicro("a", "nodejs16", "a", ("make",), ("dist",), "node x", None),
        PlannedMicro("b", "static", "b", (), (), None, ""),
    )
