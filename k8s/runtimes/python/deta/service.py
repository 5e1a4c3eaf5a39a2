"""One kept connection to Base or Drive. Always https; which roots are trusted is `ssl`'s (SSL_CERT_FILE)."""

import http.client
import json
import os
import threading
import urllib.error
from typing import Any

from .utils import encode, encoded_name

TIMEOUT_S = 300
JSON_TYPE = "application/json"
_ATTEMPTS = 2
_BROKEN = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest)


class _Service:
    """host: `host` or `host:port`. Safe to use from several threads: requests go one after the other."""

    def __init__(self, project_key: str, project_id: str, host: str, name: str, *, keep_alive: bool = True) -> None:
        self.project_key = project_key
        self.project_id = project_id
        self.host = host
        self.name = name
        self.base_path = f"/v1/{project_id}/{encoded_name(name)}"
        self.keep_alive = keep_alive
        self._turn = threading.Lock()
        self._kept: http.client.HTTPSConnection | None = None
        self._process = os.getpid()

    def _request(
        self, path: str, method: str, data: Any = None, content_type: str | None = JSON_TYPE
    ) -> tuple[int, Any]:
        """Status and what the JSON says; (404, None) for what is not there. Raises urllib.error.HTTPError for the rest.

        data: bytes as they are, anything else as JSON.
        """
        body = data if isinstance(data, bytes) or data is None else encode(data)
        with self._turn:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    answer = self._send(path, method, body, content_type)
                    content = answer.read()
                    break
                except _BROKEN:
                    # A server ends idle connections; what it never answered is asked once more.
                    self._drop()
                    if attempt == _ATTEMPTS:
                        raise
                except BaseException:
                    self._drop()
                    raise
            if not self.keep_alive:
                self._drop()
        return self._meaning(answer, content)

    def _stream(self, path: str) -> http.client.HTTPResponse | None:
        """An answer that is read by whoever asked, on a connection of its own; None for 404."""
        connection = self._connect()
        try:
            connection.request("GET", self.base_path + path, headers=self._headers(None) | {"Connection": "close"})
            answer = connection.getresponse()
            if answer.status == 200:
                return answer
            status, _ = self._meaning(answer, answer.read())
        except BaseException:
            connection.close()
            raise
        connection.close()
        assert status == 404, status
        return None

    def _send(self, path: str, method: str, body: bytes | None, content_type: str | None) -> http.client.HTTPResponse:
        if self._kept is not None and self._process != os.getpid():
            self._kept = None  # the parent's: closing it here would end it there
        if self._kept is None:
            self._kept, self._process = self._connect(), os.getpid()
        self._kept.request(method, self.base_path + path, body, self._headers(content_type))
        return self._kept.getresponse()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, timeout=TIMEOUT_S)

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _headers(self, content_type: str | None) -> dict[str, str]:
        return {"X-Api-Key": self.project_key} | ({"Content-Type": content_type} if content_type else {})

    def _meaning(self, answer: http.client.HTTPResponse, content: bytes) -> tuple[int, Any]:
        if answer.status in (200, 201, 202, 207):
            return answer.status, json.loads(content) if content else None
        if answer.status == 404:
            return 404, None
        url = f"https://{self.host}{self.base_path}"
        raise urllib.error.HTTPError(url, answer.status, _reason(answer, content), answer.headers, None)


def _reason(answer: http.client.HTTPResponse, content: bytes) -> str:
    """What the server says is wrong."""
    try:
        return "; ".join(json.loads(content)["errors"])
    except (ValueError, KeyError, TypeError):
        return answer.reason
