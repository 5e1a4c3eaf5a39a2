"""Packs the data server into the artifact store, with what it imports, so that it runs like any other instance.

`python -m provider.up.data_program HOME UV`. The artifact is named by its content: an upgrade is another digest, which the
sweep brings to every cloud. What was packed last is written to HOME/data-program.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from k8s.local import artifacts
from provider.up.secretfile import write_private

SOURCE = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("apsw", "click", "h11", "httptools", "uvicorn")
LIMIT_BYTES = 200 * 1024 * 1024
_PYTHON = Path("/usr/bin/python3")  # what sandboxes have
_COMPILE = ("-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash")


def pack(home: Path, uv: Path) -> str:
    """The digest of the artifact. Quick where nothing changed; safe to repeat, to interrupt, and twice at once."""
    stamp = _stamp()
    known = read(home)
    store = home / "store"
    if known.get("stamp") == stamp and artifacts.path_of(store, known["digest"]).exists():
        return known["digest"]
    (store / "sha256").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store) as scratch:
        tree = Path(scratch) / "tree"
        _fill(tree, uv)
        draft = Path(scratch) / "artifact"
        artifacts.pack(tree, draft, LIMIT_BYTES)
        digest = artifacts.put(store, draft)
    write_private(home / "data-program", json.dumps({"digest": digest, "stamp": stamp}).encode())
    return digest


def install(packed: Path, store: Path, pointer: Path) -> str:
    """Bring what was packed elsewhere (`packed`: a home of its own) into `store`, then say so in `pointer`.

    Returns the digest. Safe to repeat and to interrupt. Raises KeyError or OSError where nothing was packed.
    """
    known = read(packed)
    digest = known["digest"]
    if not artifacts.path_of(store, digest).exists():
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=store) as scratch:
            draft = Path(scratch) / "artifact"
            shutil.copyfile(artifacts.path_of(packed / "store", digest), draft)
            if artifacts.put(store, draft) != digest:
                raise OSError(f"the data server's program in {packed} is damaged")
    if not pointer.exists() or json.loads(pointer.read_text()) != known:
        write_private(pointer, json.dumps(known).encode())
    return digest


def read(home: Path) -> dict[str, str]:
    """What was packed last: digest and stamp; empty before."""
    file = home / "data-program"
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def requirements(lock: str) -> str:
    """The lines of the server's lock, hashes too, that install PACKAGES. Raises KeyError for one that it does not hold."""
    blocks = re.finditer(r"(?m)^([a-z0-9._-]+)==[^\n]*\n(?:[ \t]+[^\n]*\n)*", lock)
    found = {block[1]: block[0] for block in blocks}
    return "".join(found[name] for name in PACKAGES)


def _sources() -> list[Path]:
    tenants = SOURCE / "tenants"
    return [
        tenants / "__init__.py",
        tenants / "data_program.py",
        tenants / "data_secrets.py",
        *sorted(path for path in (tenants / "data_server").rglob("*") if path.is_file() and path.suffix != ".pyc"),
    ]


def _stamp() -> str:
    """Of all that the artifact is made from, this recipe and the Python it is for included."""
    found = hashlib.sha256(os.fsencode(_PYTHON.resolve()))
    for path in (SOURCE / "requirements" / "server.lock", Path(__file__), *_sources()):
        found.update(f"{path.relative_to(SOURCE)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _fill(tree: Path, uv: Path) -> None:
    app, deps = tree / "data" / "app", tree / "data" / "deps"
    for path in _sources():
        target = app / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    needs = tree.parent / "requirements.txt"
    needs.write_text(requirements((SOURCE / "requirements" / "server.lock").read_text()))
    install = (str(uv), "pip", "install", "--target", str(deps), "--python", str(_PYTHON), "--link-mode", "copy")
    options = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--quiet", "-r", str(needs))
    subprocess.run((*install, *options), check=True)
    shutil.rmtree(deps / "bin", ignore_errors=True)
    (deps / ".lock").unlink(missing_ok=True)
    for folder in (app, deps):
        # The path that tracebacks name, so that the same sources give the same bytes wherever they are packed.
        inside = f"/bundle/data/{folder.name}"
        command = (str(_PYTHON), *_COMPILE, "-s", str(folder), "-p", inside, str(folder))
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    micro = {"name": "data", "kind": "process", "engine": "python3.11", "root": "data/app", "command": "", "notes": []}
    (tree / "manifest.json").write_text(json.dumps({"micros": [micro]}))


if __name__ == "__main__":
    os.umask(0o022)
    sys.stdout.write(f"data server: {pack(Path(sys.argv[1]), Path(sys.argv[2]))}\n")
