"""Drive: files by name."""

import contextlib
import http.client
import io
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import IO, Any
from urllib.parse import quote, quote_plus

from .service import _Service

HOST = "drive.deta.sh"
UPLOAD_CHUNK_SIZE = 1024 * 1024 * 10


class DriveStreamingBody:
    """The content of a file, read as it comes."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer

    @property
    def closed(self) -> bool:
        return self._answer.closed

    def read(self, size: int | None = None) -> bytes:
        """All that is left, or at most `size` bytes; b"" at the end."""
        return self._answer.read(size) if size is not None and size >= 0 else self._answer.read()

    def iter_chunks(self, chunk_size: int = 1024) -> Iterator[bytes]:
        while chunk := self._answer.read(chunk_size):
            yield chunk

    def iter_lines(self, chunk_size: int = 1024) -> Iterator[bytes]:
        """Without their ends, which are `\\n` alone."""
        rest = b""
        for chunk in self.iter_chunks(chunk_size):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_chunks()

    def close(self) -> None:
        self._answer.close()


class _Drive(_Service):
    def __init__(self, name: str, project_key: str, project_id: str, host: str | None = None) -> None:
        assert name, "Please provide a Drive name. E.g 'mydrive'"
        super().__init__(
            project_key, project_id, host or os.environ.get("DETA_DRIVE_HOST") or HOST, name, keep_alive=False
        )

    def get(self, name: str) -> DriveStreamingBody | None:
        """None when there is no such file. Close it, or read it to its end."""
        assert name, "No name provided"
        answer = self._stream(f"/files/download?name={quote_plus(name)}")
        return DriveStreamingBody(answer) if answer is not None else None

    def put(
        self,
        name: str,
        data: str | bytes | IO[Any] | None = None,
        *,
        path: str | None = None,
        content_type: str | None = None,
    ) -> str:
        """Store data or the file at `path`; text as UTF-8. The name. What was there stays until all of it is."""
        assert name, "No name provided"
        assert path or data, "No data or path provided"
        assert not (path and data), "Please only provide data or a path. Not both."
        with contextlib.closing(_stream_of(pathlib.Path(path) if path else data)) as content:
            return self._put(name, content, content_type)

    def list(self, limit: int = 1000, prefix: str | None = None, last: str | None = None) -> Any:
        """`{"names": […]}`, with `"paging": {"size", "last"}` where there are more."""
        parameters = f"?limit={limit}"
        parameters += f"&prefix={quote(prefix, safe='')}" if prefix else ""
        parameters += f"&last={quote(last, safe='')}" if last else ""
        return self._request(f"/files{parameters}", "GET")[1]

    def delete(self, name: str) -> str:
        """Raises Exception when it could not be deleted; what is not there needs no deleting."""
        failed = (self.delete_many([name]) or {}).get("failed")
        if failed:
            raise Exception(f"Failed to delete '{name}': {failed[name]}")
        return name

    def delete_many(self, names: Sequence[str]) -> Any:
        """`{"deleted": […], "failed": {name: reason}}`; 1 to 1000 names."""
        assert names, "Names is empty"
        assert len(names) <= 1000, "We can't delete more than 1000 items at a time"
        return self._request("/files", "DELETE", {"names": [*names]})[1]

    def _put(self, name: str, content: IO[Any], content_type: str | None) -> str:
        query = f"name={quote_plus(name)}"
        _, begun = self._request(f"/uploads?{query}", "POST", content_type=content_type)
        upload = f"/uploads/{begun['upload_id']}"
        try:
            for number, part in enumerate(_parts(content), 1):
                self._request(f"{upload}/parts?{query}&part={number}", "POST", part, content_type)
            _, finished = self._request(f"{upload}?{query}", "PATCH", content_type=None)
        except BaseException:
            with contextlib.suppress(Exception):
                self._request(f"{upload}?{query}", "DELETE", content_type=None)
            raise
        return str(finished["name"])


def _stream_of(data: Any) -> IO[Any]:
    if isinstance(data, pathlib.Path):
        return data.open("rb")
    if isinstance(data, str):
        return io.StringIO(data)
    if isinstance(data, bytes | bytearray | memoryview):
        return io.BytesIO(data)
    stream: IO[Any] = data
    return stream


def _parts(content: IO[Any]) -> Iterator[bytes]:
    """Of UPLOAD_CHUNK_SIZE at most, in bytes also where the stream is text."""
    rest = b""
    while piece := content.read(UPLOAD_CHUNK_SIZE):
        rest += piece.encode() if isinstance(piece, str) else piece
        while len(rest) >= UPLOAD_CHUNK_SIZE:
            yield rest[:UPLOAD_CHUNK_SIZE]
            rest = rest[UPLOAD_CHUNK_SIZE:]
    if rest:
        yield rest
