"""The artifact store (`sha256/<two hex>/<hex>`, immutable files by digest) and bundles unpacked from it.

Archives come from builds of strangers' code: nothing in them is followed, run or trusted before its digest is checked.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tarfile
import time
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from k8s.errors import NotFound, Permanent

# What only packing and unzipping need is imported there: a pod that wakes does neither, and waits for each import.
TYPE_CHECKING = False  # `typing` is one of them
if TYPE_CHECKING:
    import zipfile
    from typing import IO

    from k8s.local.deflating import Deflating, Pieces

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_CHUNK = 1024 * 1024
MAX_MEMBERS = 200_000
_NAMES_A_PIECE = 64  # on average
_CLASHES = (FileExistsError, NotADirectoryError, IsADirectoryError)
_UNUSED_S = 3600.0


def path_of(store: Path, digest: str) -> Path:
    """File of `digest` ("sha256:<64 hex>"). Raises Permanent for anything else."""
    match = _DIGEST.fullmatch(digest)
    if not match:
        raise Permanent(f"“{digest[:80]}” is not a digest")
    return store / "sha256" / match[1][:2] / match[1]


def ensure_unpacked(store: Path, digest: str, into: Path, limit_bytes: int = 4 * 1024**3) -> Path:
    """The folder `into/<hex>` with the unpacked tar.gz of `digest`: owned by the caller, readable by all, never changed.

    Safe to call from several processes at once and to repeat. Raises NotFound when the store has no such file, Permanent
    when its content is not what its name says, holds anything but plain files, folders and inner links, or is too large.
    """
    file = path_of(store, digest)
    target = into / file.name
    if target.exists():
        os.utime(target)  # the clearing of unused bundles looks at it
        return target
    into.mkdir(parents=True, exist_ok=True)
    draft = into / f".unpack-{os.urandom(8).hex()}"
    draft.mkdir(0o700)
    try:
        _unpack_checked(file, digest, draft, limit_bytes)
        with contextlib.suppress(OSError):  # another process was first: the same content by definition
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def put(store: Path, draft: Path) -> str:
    """Move `draft` (on the store's file system) into the store; returns its digest. A file that is there stays."""
    with draft.open("rb") as source:
        digest = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
    target = path_of(store, digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft.chmod(0o444)
    draft.replace(target)
    return digest


def pack(folder: Path, out: Path, limit_bytes: int, pieces: "Pieces | None" = None) -> int:
    """Write `folder` as a deterministic tar.gz (sorted names, no times, no owners); returns the unpacked bytes.

    pieces: what was compressed for earlier archives, to which this one's are added; it changes the time, not the result.
    Raises Permanent when it holds devices, sockets or links that lead outside, or more than `limit_bytes`.
    """
    from k8s.local import deflating

    total = 0
    with out.open("wb") as raw, deflating.writing(raw, pieces) as archive:
        for path in _walk(folder):
            name = path.relative_to(folder).as_posix()
            # Where a piece ends is decided by the name that follows: a change elsewhere moves no other end.
            if zlib.crc32(os.fsencode(name)) % _NAMES_A_PIECE == 0:
                archive.cut()
            total += _add(archive, path, name)
            if total > limit_bytes:
                raise Permanent(f"the build's output is larger than {limit_bytes // 1024**2} MiB")
        archive.write(bytes(2 * tarfile.BLOCKSIZE))
    return total


def unpack_source(zipped: Path, into: Path, limit_bytes: int = 1024**3) -> None:
    """Unpack an uploaded zip. Raises Permanent for entries that are links, leave the folder, repeat or are too large."""
    import zipfile

    try:
        with zipfile.ZipFile(zipped) as archive:
            entries = archive.infolist()
            _check_size(len(entries), sum(entry.file_size for entry in entries), limit_bytes)
            for entry in entries:
                _unzip_one(archive, entry, into)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise Permanent("the source bundle is not a readable zip file") from error
    except _CLASHES as error:
        raise Permanent("the source bundle holds a name twice") from error


def clear_unused(bundles: Path, wanted: Iterable[str]) -> None:
    """Delete unpacked bundles that no digest in `wanted` names and nobody asked for in the last hour."""
    names, now = {digest.removeprefix("sha256:") for digest in wanted}, time.time()
    for folder in bundles.glob("*"):
        if folder.name not in names and now - folder.stat().st_mtime > _UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)


class _Hashing:
    """A readable file that hashes what passes through it."""

    def __init__(self, source: "IO[bytes]") -> None:
        self._source = source
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self.sha256.update(chunk)
        return chunk


def _unpack_checked(file: Path, digest: str, draft: Path, limit_bytes: int) -> None:
    try:
        with file.open("rb") as source:
            hashing = _Hashing(source)
            _unpack(hashing, draft, limit_bytes)
            while hashing.read(_CHUNK):
                pass
    except FileNotFoundError as error:
        raise NotFound(f"the bundle {digest} is not in the artifact store") from error
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise Permanent(f"the bundle {digest} is damaged: {error}") from error
    except _CLASHES as error:
        raise Permanent(f"the bundle {digest} holds a name that is a file and a folder") from error
    if "sha256:" + hashing.sha256.hexdigest() != digest:
        raise Permanent(f"the bundle {digest} is damaged: its content has another digest")


def _unpack(source: _Hashing, draft: Path, limit_bytes: int) -> None:
    count = size = 0
    with tarfile.open(fileobj=source, mode="r|gz") as archive:  # type: ignore[call-overload]
        for member in archive:
            count, size = count + 1, size + member.size
            _check_size(count, size, limit_bytes)
            _extract_one(archive, member, draft)
    for folder, _, _ in os.walk(draft):
        Path(folder).chmod(0o755)  # whatever the caller's umask is


def _check_size(count: int, size: int, limit_bytes: int) -> None:
    if count > MAX_MEMBERS or size > limit_bytes:
        raise Permanent(f"the bundle holds more than {MAX_MEMBERS} entries or {limit_bytes // 1024**2} MiB")


def _extract_one(archive: tarfile.TarFile, member: tarfile.TarInfo, draft: Path) -> None:
    name = _inner(member.name)
    target = draft / name
    _require_real_parents(draft, name)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    if target.exists() or target.is_symlink():
        raise Permanent(f"the bundle holds “{name}” twice")
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        _require_inner_link(name, member.linkname)
        target.symlink_to(member.linkname)
    elif member.isfile():
        content = archive.extractfile(member)
        with target.open("xb") as out:
            shutil.copyfileobj(content or open(os.devnull, "rb"), out, _CHUNK)  # noqa: SIM115
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
    else:
        raise Permanent(f"the bundle holds “{name}”, which is no plain file, folder or link")


def _inner(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise Permanent(f"the bundle holds “{name[:200]}”, which leads outside of it")
    return path


def _require_real_parents(draft: Path, name: PurePosixPath) -> None:
    """A link unpacked earlier must not carry a later file elsewhere."""
    for parent in name.parents:
        if (draft / parent).is_symlink():
            raise Permanent(f"the bundle holds “{name}” below a link")


def _require_inner_link(name: PurePosixPath, target: str) -> None:
    """However it winds, the way to the target must not leave the archive at any step."""
    depth, parts = len(name.parent.parts), PurePosixPath(target).parts
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or part == "/":
            raise Permanent(f"the bundle holds a link “{name}” that leads outside of it")


def _unzip_one(archive: "zipfile.ZipFile", entry: "zipfile.ZipInfo", into: Path) -> None:
    name = _inner(entry.filename)
    target = into / name
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Permanent(f"the source bundle holds “{name}”, which is no plain file or folder")
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as content, target.open("xb") as out:
        shutil.copyfileobj(content, out, _CHUNK)
    target.chmod(0o755 if mode & 0o100 else 0o644)


def _walk(folder: Path) -> Iterable[Path]:
    """Everything below `folder` in a fixed order, parents first; links are named, never followed."""
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))


def _add(archive: "Deflating", path: Path, name: str) -> int:
    status = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode = 0o755 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o100 else 0o644
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
        _require_inner_link(PurePosixPath(name), info.linkname)
    elif stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    else:
        raise Permanent(f"the build's output holds “{name}”, which is no plain file, folder or link")
    archive.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    if info.size:
        _add_content(archive, path, info.size)
    return info.size


def _add_content(archive: "Deflating", path: Path, size: int) -> None:
    left = size
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", 0) as content:
        while left:
            chunk = content.read(min(left, _CHUNK))
            if not chunk:
                raise OSError(f"{path.name} became shorter while it was packed")
            archive.write(chunk)
            left -= len(chunk)
    archive.write(bytes(-size % tarfile.BLOCKSIZE))
