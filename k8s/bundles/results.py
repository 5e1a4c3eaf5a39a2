"""What builds hand in: checked, packed anew, kept by its digest, recorded once per job."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from k8s.errors import Permanent
from k8s.local import artifacts, documents
from k8s.local.builds import read_manifest
from k8s.specs import BuildSpec, BuiltMicro

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Result:
    """artifact: "sha256:<hex>". size_bytes: of the packed artifact."""

    artifact: str
    size_bytes: int
    micros: tuple[BuiltMicro, ...]


class Results:
    """Below `store`, beside the artifacts: `results/<cloud>/<job>.json`."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def find(self, cloud_id: str, job_id: str) -> Result | None:
        return documents.read(self._record(cloud_id, job_id), Result)

    def accept(self, spec: BuildSpec, upload: BufferedIOBase, size_bytes: int) -> Result:
        """Take what a build made. Its archive is a stranger's: unpacked with every check, and packed again by us.

        Raises Permanent for a second one of the same job, and for what is no artifact of `spec`.
        """
        if self.find(spec.cloud_id, spec.job_id):
            raise Permanent("this build has handed in its result already")
        incoming = self._store / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=incoming))
        try:
            result = self._keep(spec, work, upload, size_bytes)
            self._write_once(spec, work, result)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return result

    def _keep(self, spec: BuildSpec, work: Path, upload: BufferedIOBase, size_bytes: int) -> Result:
        limit_bytes = spec.output_limit_mib * 1024**2
        draft = work / "upload"
        _copy(upload, draft, size_bytes)
        digest = artifacts.put(work, draft)
        folder = artifacts.ensure_unpacked(work, digest, work / "unpacked", limit_bytes)
        micros = read_manifest(folder / "manifest.json", spec)
        packed = work / "packed"
        artifacts.pack(folder, packed, limit_bytes)
        size = packed.stat().st_size
        return Result(artifacts.put(self._store, packed), size, micros)

    def _write_once(self, spec: BuildSpec, work: Path, result: Result) -> None:
        target = self._record(spec.cloud_id, spec.job_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        documents.write(work / "record.json", result)
        try:
            os.link(work / "record.json", target)
        except FileExistsError as error:
            raise Permanent("this build has handed in its result already") from error

    def _record(self, cloud_id: str, job_id: str) -> Path:
        return self._store / "results" / cloud_id / f"{job_id}.json"


def encode(result: Result) -> bytes:
    return documents.text(result).encode()


def decode(content: bytes) -> Result:
    """Raises ValueError or KeyError for what is no result."""
    result: Result = documents.decode(Result, json.loads(content))
    return result


def _copy(upload: BufferedIOBase, draft: Path, size_bytes: int) -> None:
    left = size_bytes
    with draft.open("xb") as out:
        while left > 0 and (chunk := upload.read(min(left, _CHUNK))):
            left -= out.write(chunk)
    if left:
        raise Permanent("the upload broke off")
