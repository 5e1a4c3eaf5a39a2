"""Disks of a limited size: asked for at the same time, and damaged."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from k8s.errors import Permanent
from k8s.local import sandbox_volume
from k8s.local.builds import provide_cache
from tests.k8s_local.conftest import needs_root

pytestmark = needs_root
SIZE_MIB, UID = 64, 4242


def test_those_who_ask_for_one_disk_together_get_the_same_whole_one(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    try:
        with ThreadPoolExecutor(8) as many:
            for asked in [many.submit(sandbox_volume.provide, folder, SIZE_MIB, UID) for _ in range(8)]:
                asked.result()
        (folder / "kept").write_text("words")
        sandbox_volume.release(folder)
        assert not folder.is_mount(), "it was mounted once"
        sandbox_volume.provide(folder, SIZE_MIB, UID)
        assert (folder / "kept").read_text() == "words"
    finally:
        sandbox_volume.destroy(folder)


def test_a_damaged_disk_is_refused_until_it_is_destroyed(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    image = folder.with_name("cache.img")
    try:
        sandbox_volume.provide(folder, SIZE_MIB, UID)
        sandbox_volume.release(folder)
        image.write_bytes(bytes(image.stat().st_size))
        with pytest.raises(Permanent, match="refused a disk"):
            sandbox_volume.provide(folder, SIZE_MIB, UID)
        sandbox_volume.destroy(folder)
        sandbox_volume.provide(folder, SIZE_MIB, UID)
        assert folder.is_mount()
    finally:
        sandbox_volume.destroy(folder)


def test_a_damaged_cache_is_made_anew_for_the_next_build(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    try:
        provide_cache(cache, UID, SIZE_MIB)
        sandbox_volume.release(cache)
        image = cache.with_name("cache.img")
        image.write_bytes(bytes(image.stat().st_size))
        provide_cache(cache, UID, SIZE_MIB)
        assert cache.is_mount()
    finally:
        sandbox_volume.destroy(cache)
