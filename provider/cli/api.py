"""The provider's REST API as the client uses it: one key per change, safe retries, errors that name the field."""

import random
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx

from provider.cli.failures import Failure, NotSignedIn, Unreachable
from provider.cli.streams import StreamEvent, events
from provider.cli.transport import LocalhostTransport

Document = dict[str, Any]

# A restarting provider answers 502 to 504 for seconds; a machine where none runs refuses at once.
_PATIENCE_S = 20.0
_CONNECT_TRIES = 3
_BUSY = frozenset({429, 502, 503, 504})
# Streams carry a comment every 15 s.
_STREAM_SILENCE_S = 45.0


class Api:
    """Paths are relative to `/api/v1/`. Every method raises Failure (or NotSignedIn, Unreachable)."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=f"{url}/api/v1/",
            headers={"User-Agent": "freehold-cli", **headers},
            timeout=httpx.Timeout(60, connect=5),
            transport=LocalhostTransport(),
        )

    def get(self, path: str, **params: str | int) -> Document:
        return _document(self._call("GET", path, params=params))

    def text(self, path: str, **params: str | int) -> str:
        return self._call("GET", path, params=params).text

    def listing(self, path: str, **params: str | int) -> list[Document]:
        """All pages of a list."""
        rows: list[Document] = []
        query: dict[str, str | int] = dict(params)
        while True:
            page = self.get(path, **query)
            rows += page["results"]
            if not page.get("next"):
                return rows
            # Only the query of `next` is used: the token never follows an address to somewhere else.
            query = {**params, **dict(httpx.URL(str(page["next"])).params)}

    def post(self, path: str, body: Document | None = None) -> Document:
        return _document(self._call("POST", path, json=body or {}))

    def patch(self, path: str, body: Document) -> Document:
        return _document(self._call("PATCH", path, json=body))

    def upload(self, path: str, file: BinaryIO, fields: Mapping[str, str]) -> Document:
        """A bundle with what is said of it."""
        return _document(self._call("POST", path, data=dict(fields), upload=("bundle", file)))

    def put(self, path: str, content: bytes, **params: str) -> Document:
        return _document(self._call("PUT", path, content=content, params=params))

    @contextmanager
    def fetching(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """The answer before its content was read; path: from the root. Raises Unreachable when it breaks off inside."""
        try:
            with self._http.stream("GET", f"{self.url}{path}", headers=dict(headers)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refusal(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def delete(self, path: str, **params: str | int) -> Document:
        return _document(self._call("DELETE", path, params=params))

    def authority(self) -> str | None:
        """The certificate of the provider's own authority (PEM); None where it uses a public one."""
        try:
            answer = self._http.get(f"{self.url}/ca.pem")
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        return answer.text if answer.status_code == 200 and "BEGIN CERTIFICATE" in answer.text else None

    def stream(self, path: str, **params: str | int) -> Iterator[StreamEvent]:
        """Events until the server ends the stream. Raises Failure when it breaks or is not to be had."""
        headers = {"Accept": "text/event-stream"}
        timeout = httpx.Timeout(_STREAM_SILENCE_S, connect=5)
        try:
            with self._http.stream("GET", path, params=params, headers=headers, timeout=timeout) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise _refusal(answer)
                yield from events(answer.iter_lines())
        except httpx.TransportError as error:
            raise Unreachable(f"The stream from {self.url} broke off: {error}", code="unreachable") from error

    def _call(
        self, method: str, path: str, *, upload: tuple[str, BinaryIO] | None = None, **request: Any
    ) -> httpx.Response:
        """One call, repeated under the same Idempotency-Key while nobody answers, so that it happens once at most."""
        headers = {} if method == "GET" else {"Idempotency-Key": str(uuid.uuid4())}
        until, tries = time.monotonic() + _PATIENCE_S, 0
        while True:
            tries += 1
            if upload is not None:
                name, file = upload
                file.seek(0)
                request["files"] = {name: (f"{name}.zip", file, "application/zip")}
            try:
                answer = self._http.request(method, path, headers=headers, **request)
            except httpx.TransportError as error:
                hopeless = isinstance(error, httpx.ConnectError) and tries >= _CONNECT_TRIES
                if hopeless or time.monotonic() > until:
                    raise self._unreachable(error) from error
            else:
                if answer.status_code not in _BUSY or time.monotonic() > until:
                    return _accepted(answer)
            time.sleep(min(4.0, 0.3 * 2**tries) * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        reason = str(error) or type(error).__name__
        return Unreachable(f"No answer from {self.url} ({reason}). Is Freehold running there?", code="unreachable")


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    raise _refusal(answer)


def _refusal(answer: httpx.Response) -> Failure:
    error = _error(answer)
    message = error.get("message") or f"The provider answered {answer.status_code} {answer.reason_phrase}."
    kind = NotSignedIn if answer.status_code == 401 else Unreachable if answer.status_code in _BUSY else Failure
    return kind(
        message,
        code=str(error.get("code") or f"http_{answer.status_code}"),
        field=error.get("field"),
        detail=error.get("detail") or {},
    )


def _error(answer: httpx.Response) -> Document:
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _document(answer: httpx.Response) -> Document:
    if not answer.content:
        return {}
    try:
        data = answer.json()
    except ValueError as error:
        raise Failure(f"{answer.url} did not answer with JSON. Is this a Freehold?", code="not_json") from error
    return data if isinstance(data, dict) else {"results": data}
