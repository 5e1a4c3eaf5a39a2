"""A thousand requests under way at the same moment, of ten people at twenty apps: every answer is the right one."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tenants.models import InstanceMicro
from tests.gate.conftest import Gate
from tests.gate.tenancy import House, new_house, new_user, settle

PEOPLE, HOUSES_EACH, REQUESTS = 10, 2, 1_000
LIMIT_S = 120


@dataclass
class Gathering:
    """Apps that answer nobody before all requests have arrived."""

    arrived: int = 0
    all_here: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self, name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.arrived += 1
            if self.arrived == REQUESTS:
                self.all_here.set()
            await asyncio.wait_for(self.all_here.wait(), LIMIT_S)
            said = [name, headers["x-freehold-user"], first.split()[1], body.decode()]
            text = json.dumps(said).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(text) + text)
            await writer.drain()
            writer.close()

        return serve


@dataclass(frozen=True)
class Visit:
    name: str
    house: House
    cookie: tuple[str, str]

    async def ask(self, port: int) -> tuple[object, object]:
        """What should have been said, and what was."""
        body, path = secrets.token_hex(200), f"/{secrets.token_hex(8)}"
        head = [
            f"POST {path} HTTP/1.1",
            f"Host: {self.house.host}",
            ": ".join(self.cookie),
            f"Content-Length: {len(body)}",
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join([*head, "Connection: close", "", body]).encode())
        answer = await asyncio.wait_for(reader.read(), LIMIT_S)
        writer.close()
        return [self.name, self.house.owner.id, path, body], json.loads(answer.partition(b"\r\n\r\n")[2])


async def _listening(gathering: Gathering, visits: list[Visit]) -> list[asyncio.Server]:
    return [await asyncio.start_server(gathering.app(one.name), "127.0.0.1", 0, backlog=200) for one in visits]


async def _visit(visits: list[Visit], port: int) -> list[tuple[object, object]]:
    return await asyncio.gather(*(visits[number % len(visits)].ask(port) for number in range(REQUESTS)))


def test_a_thousand_requests_at_once_get_each_its_own_answer(gate: Gate) -> None:
    houses = [new_house(person) for person in (new_user() for _ in range(PEOPLE)) for _ in range(HOUSES_EACH)]
    visits = [Visit(str(number), house, house.cookie()) for number, house in enumerate(houses)]
    with asyncio.Runner() as loop:
        servers = loop.run(_listening(Gathering(), visits))
        for house, server in zip(houses, servers, strict=True):
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            InstanceMicro.objects.create(
                instance=house.instance, name="main", mount="", kind="process", engine="x", upstream=address
            )
        settle(gate, *houses)
        answers = loop.run(_visit(visits, gate.http.port))
    assert len(answers) == REQUESTS
    assert [pair for pair in answers if pair[0] != pair[1]] == []
