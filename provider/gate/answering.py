"""uvicorn's HTTP, with the gate's plain questions answered as soon as they are read.

A task, a request's own objects and the messages of ASGI take twice the time of such an answer. What needs the database, and
everything that is no question of the gate, goes the usual way. Relies on names inside of uvicorn that a version of it may
change; tests/gate/test_answering.py would notice.
"""

import time

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from provider import metrics
from provider.gate.asking import Answer
from provider.gate.decide import PATH, at_once, encoded

_PATH = PATH.encode()


class AnsweringProtocol(HttpToolsProtocol):
    _is_answered = False

    def on_headers_complete(self) -> None:
        self._is_answered = False
        if self.url == _PATH and self._may_answer():
            began = time.perf_counter()
            answer = at_once(self.headers)
            if answer is not None:
                self._is_answered = True
                self.transport.write(_written(answer))
                metrics.decided(answer.status, time.perf_counter() - began)
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_answered:
            super().on_message_complete()

    def _may_answer(self) -> bool:
        """Nothing before it waits for its own answer, and nothing about the connection is unusual."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_idle and self.parser.should_keep_alive() and not self.parser.should_upgrade()


def _written(answer: Answer) -> bytes:
    headers, body = encoded(answer)
    lines = [b"%s: %s\r\n" % field for field in headers]
    return b"".join((STATUS_LINE[answer.status], *lines, b"\r\n", body))
