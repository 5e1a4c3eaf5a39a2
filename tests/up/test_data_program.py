"""The data server's program, packed in an image of the provider and brought into the store that all its pods share."""

import hashlib
import json
from pathlib import Path

import pytest

from k8s.local import artifacts
from provider.up import data_program


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """As `python -m provider.up.data_program` leaves it, with little inside."""
    home = tmp_path / "image"
    (home / "store").mkdir(parents=True)
    draft = home / "store" / "draft"
    draft.write_bytes(b"the program")
    digest = artifacts.put(home / "store", draft)
    (home / "data-program").write_text(json.dumps({"digest": digest, "stamp": "s"}))
    return home


def test_it_is_in_the_store_before_anybody_is_told(packed: Path, tmp_path: Path) -> None:
    store, pointer = tmp_path / "store", tmp_path / "store" / "data-program"
    for _ in range(2):
        digest = data_program.install(packed, store, pointer)
        assert digest == "sha256:" + hashlib.sha256(b"the program").hexdigest()
        assert artifacts.path_of(store, digest).read_bytes() == b"the program"
        assert json.loads(pointer.read_text())["digest"] == digest
        assert sorted(path.name for path in store.iterdir()) == ["data-program", "sha256"]


def test_what_is_damaged_is_not_installed(packed: Path, tmp_path: Path) -> None:
    file = artifacts.path_of(packed / "store", data_program.read(packed)["digest"])
    file.chmod(0o644)
    file.write_bytes(b"another program")
    pointer = tmp_path / "data-program"
    with pytest.raises(OSError, match="damaged"):
        data_program.install(packed, tmp_path / "store", pointer)
    assert not pointer.exists()
