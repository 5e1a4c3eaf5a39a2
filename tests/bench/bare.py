"""What the data server is measured against: the least that an ASGI program on the same server does with the same statement.

`python -m tests.bench.bare FOLDER PORT`: PUT and GET `/items/KEY` run one SQLite statement; PUT and GET `/files/NAME` copy a
file, in the same pieces and, as a copy that is to last, with one fsync.
"""

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from tenants.data_server import database
from tenants.data_server.blobs import READ_BYTES
from tenants.data_server.serving import listener

Message = MutableMapping[str, Any]


class Bare:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = database.connect(folder / "bare.db")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS items(base INTEGER, key TEXT, doc BLOB, bytes INTEGER, expires REAL,"
            " PRIMARY KEY (base, key)) WITHOUT ROWID"
        )

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        kind, _, name = scope["path"].lstrip("/").partition("/")
        if kind == "files":
            if scope["method"] == "PUT":
                await self._store(name, receive)
                await _answer(send, b"{}")
            else:
                await self._send(name, send)
        elif scope["method"] == "PUT":
            body = (await receive())["body"].decode()
            statement = "INSERT OR REPLACE INTO items(base, key, doc, bytes, expires) VALUES (1, ?, jsonb(?), ?, NULL)"
            self.db.execute(statement, (name, body, len(body)))
            await _answer(send, body.encode())
        else:
            found = self.db.execute("SELECT json(doc) FROM items WHERE base = 1 AND key = ?", (name,)).get
            await _answer(send, found.encode())

    async def _store(self, name: str, receive: Callable[[], Awaitable[Message]]) -> None:
        with (self.folder / name).open("wb", buffering=0) as file:
            more = True
            while more:
                message = await receive()
                file.write(message.get("body", b""))
                more = message.get("more_body", False)
            os.fsync(file.fileno())

    async def _send(self, name: str, send: Callable[[Message], Awaitable[None]]) -> None:
        with (self.folder / name).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            await send(_start(size))
            while piece := file.read(READ_BYTES):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _answer(send: Callable[[Message], Awaitable[None]], body: bytes) -> None:
    await send(_start(len(body)))
    await send({"type": "http.response.body", "body": body})


def _start(size: int) -> Message:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


if __name__ == "__main__":
    app: Any = Bare(Path(sys.argv[1]))
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, http="httptools", ws="none", timeout_keep_alive=75
    )
    uvicorn.Server(config).run(sockets=[listener(f"127.0.0.1:{sys.argv[2]}")])
