import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from k8s.errors import NotFound, Permanent
from k8s.local import artifacts


def stored(store: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    file = store / "sha256" / name[:2] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return f"sha256:{name}"


def tarred(*entries: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 6, packed, 0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return packed.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def test_a_bundle_is_unpacked_once_and_found_again(tmp_path: Path) -> None:
    digest = stored(tmp_path, tarred(entry("main/app/index.html", size=3)))
    first = artifacts.ensure_unpacked(tmp_path, digest, tmp_path / "bundles")
    assert (first / "main/app/index.html").read_bytes() == b"xxx"
    assert artifacts.ensure_unpacked(tmp_path, digest, tmp_path / "bundles") == first
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [digest.removeprefix("sha256:")]


@pytest.mark.parametrize(
    "entries",
    [
        (entry("../out", size=1),),
        (entry("/etc/passwd", size=1),),
        (entry("a", tarfile.SYMTYPE, "/etc/passwd"),),
        (entry("a", tarfile.SYMTYPE, "../../etc/passwd"),),
        (entry("a/b", tarfile.SYMTYPE, "../../x"),),
        (entry("a", tarfile.SYMTYPE, "."), entry("a/b", size=1)),
        (entry("a", tarfile.LNKTYPE, "b"),),
        (entry("a", tarfile.CHRTYPE),),
        (entry("a", tarfile.FIFOTYPE),),
        (entry("a", size=1), entry("a", size=1)),
        (entry("a", size=1), entry("a/b", size=1)),
        (entry("big", size=3_000_000),),
    ],
)
def test_what_is_no_inner_file_or_link_is_refused(tmp_path: Path, entries: tuple[tarfile.TarInfo, ...]) -> None:
    digest = stored(tmp_path, tarred(*entries))
    with pytest.raises(Permanent):
        artifacts.ensure_unpacked(tmp_path, digest, tmp_path / "bundles", limit_bytes=2_000_000)
    assert not list((tmp_path / "bundles").iterdir())
    assert not (tmp_path / "out").exists()


def test_links_that_stay_inside_are_kept(tmp_path: Path) -> None:
    digest = stored(tmp_path, tarred(entry("a/b", size=1), entry("c/d", tarfile.SYMTYPE, "../a/b")))
    assert (artifacts.ensure_unpacked(tmp_path, digest, tmp_path / "bundles") / "c/d").read_bytes() == b"x"


def test_a_bundle_of_another_content_is_refused(tmp_path: Path) -> None:
    digest = stored(tmp_path, tarred(entry("a", size=1)))
    artifacts.path_of(tmp_path, digest).write_bytes(tarred(entry("a", size=2)))
    with pytest.raises(Permanent, match="another digest"):
        artifacts.ensure_unpacked(tmp_path, digest, tmp_path / "bundles")


def test_noise_is_no_bundle_and_a_missing_one_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(Permanent):
        artifacts.ensure_unpacked(tmp_path, stored(tmp_path, b"noise"), tmp_path / "bundles")
    with pytest.raises(NotFound):
        artifacts.ensure_unpacked(tmp_path, "sha256:" + "1" * 64, tmp_path / "bundles")
    with pytest.raises(Permanent):
        artifacts.ensure_unpacked(tmp_path, "sha256:../../x", tmp_path / "bundles")


def test_packing_is_deterministic_and_refuses_links_that_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "main").mkdir(parents=True)
    (folder / "main" / "index.js").write_text("1")
    artifacts.pack(folder, tmp_path / "first", 1_000)
    (folder / "main" / "index.js").touch()
    artifacts.pack(folder, tmp_path / "second", 1_000)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    (folder / "leak").symlink_to("/etc/shadow")
    with pytest.raises(Permanent):
        artifacts.pack(folder, tmp_path / "third", 1_000)


def test_sources_that_leave_their_folder_or_hold_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    for number, name in enumerate((zipfile.ZipInfo("../x"), zipfile.ZipInfo("/x"), link)):
        bundle = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(bundle, "w") as archive:
            archive.writestr(name, "x")
        with pytest.raises(Permanent):
            artifacts.unpack_source(bundle, tmp_path / "src")
