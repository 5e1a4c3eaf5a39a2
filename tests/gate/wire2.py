"""HTTP/2 by hand: frames as they are asked for, however wrong. Only the packing of headers is a library's."""

import contextlib
import socket
import ssl
from collections.abc import Sequence

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.gate.wire import TIMEOUT_S, Door

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Headers = Sequence[tuple[str, str]]


class Line:
    """One connection. Streams are asked one after another."""

    def __init__(self, door: Door) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", door.port), timeout=TIMEOUT_S)
        self.socket = context.wrap_socket(raw, server_hostname="x.apps.localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.packing, self.unpacking, self.stream, self.over = Encoder(), Decoder(), -1, False
        self.socket.sendall(PREFACE + SettingsFrame(0).serialize())

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, headers: Headers, body: bytes = b"", *, split: bool = False) -> int:
        """The status; 0 where the stream or the whole connection was refused instead. split: headers in two frames."""
        if self.over:
            return 0
        self.stream += 2
        try:
            self.socket.sendall(b"".join(frame.serialize() for frame in self._frames(headers, body, split)))
            return self._status()
        except (OSError, HPACKError):
            self.over = True
            return 0

    def _frames(self, headers: Headers, body: bytes, split: bool) -> list[Frame]:
        block = self.packing.encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
        ends = [] if body else ["END_STREAM"]
        cut = len(block) // 2 if split else len(block)
        frames: list[Frame] = [HeadersFrame(self.stream, block[:cut], flags=ends if split else [*ends, "END_HEADERS"])]
        if split:
            frames.append(ContinuationFrame(self.stream, block[cut:], flags=["END_HEADERS"]))
        if body:
            frames.append(DataFrame(self.stream, body, flags=["END_STREAM"]))
        return frames

    def _status(self) -> int:
        status = 0
        while True:
            frame = self._read()
            if isinstance(frame, GoAwayFrame):
                self.over = True
                return 0
            if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                self.socket.sendall(SettingsFrame(0, flags=["ACK"]).serialize())
            if isinstance(frame, HeadersFrame):
                found = self.unpacking.decode(frame.data)
                if frame.stream_id == self.stream:
                    status = int(dict(found)[":status"])
            if isinstance(frame, RstStreamFrame) and frame.stream_id == self.stream:
                return status
            if frame.stream_id == self.stream and "END_STREAM" in frame.flags:
                return status

    def _read(self) -> Frame:
        frame, length = Frame.parse_frame_header(memoryview(self._exactly(9)))
        frame.parse_body(memoryview(self._exactly(length)))
        return frame

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data


def ask(door: Door, headers: Headers, body: bytes = b"", *, split: bool = False) -> int:
    """On a connection of its own."""
    with Line(door) as line, contextlib.suppress(ssl.SSLError):
        return line.ask(headers, body, split=split)
    return 0
