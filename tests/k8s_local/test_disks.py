"""Disks of a limited size, asked for at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from k8s.local import sandbox_volume
from k8s.local.builds import provide_cache
from tests.k8s_local.conftest import needs_root

pytestmark = needs_root


def test_builds_of_one_cloud_that_begin_together_share_one_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "cloud"
    try:
        with ThreadPoolExecutor(8) as builds:
            list(builds.map(lambda _: provide_cache(cache, 1000), range(8)))
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        assert mounts.count(str(cache)) == 1
    finally:
        sandbox_volume.destroy(cache)
