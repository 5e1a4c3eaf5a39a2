"""Standing in the way: a row that the tests hold locked stops a worker exactly where it wants to write it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.journey.stack import Stack, until


def database_url(stack: Stack) -> str:
    """As the worker has it."""
    environment = Path(f"/proc/{stack.pid_of('worker')}/environ").read_bytes().split(b"\0")
    return next(entry for entry in environment if entry.startswith(b"DATABASE_URL=")).decode().partition("=")[2]


class Blockade:
    """One transaction that holds rows until it is lifted."""

    def __init__(self, connection: "psycopg.Connection[tuple[int]]") -> None:
        self._connection = connection

    def hold_step(self, operation_id: str, name: str) -> None:
        self._hold("tenants_operationstep", "operation_id = %s AND name = %s", operation_id, name)

    def hold_operation(self, operation_id: str) -> None:
        self._hold("tenants_operation", "id = %s", operation_id)

    def hold_instance(self, instance_id: str) -> None:
        self._hold("tenants_instance", "id = %s", instance_id)

    def hold_cloud(self, cloud_id: str) -> None:
        self._hold("tenants_cloud", "id = %s", cloud_id)

    def _hold(self, table: str, where: str, *values: str) -> None:
        query = sql.SQL("SELECT 1 FROM {} WHERE " + where + " FOR UPDATE").format(sql.Identifier(table))
        assert self._connection.execute(query, values).fetchall(), f"{table} has the row"

    def is_in_the_way(self) -> bool:
        """Whether somebody waits for what is held. Asked from a connection of its own: this one is busy holding."""
        with psycopg.connect(self._connection.info.dsn, password=self._connection.info.password) as asking:
            query = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
            row = asking.execute(query, [self._connection.info.backend_pid]).fetchone()
        return bool(row and row[0])

    def wait_for_a_victim(self) -> None:
        until(self.is_in_the_way, 60, "somebody stopped by the held row", pause_s=0.02)


@contextmanager
def blockade(url: str) -> Iterator[Blockade]:
    """Lifted at the end, by rollback."""
    with psycopg.connect(url) as connection:
        yield Blockade(connection)
        connection.rollback()
