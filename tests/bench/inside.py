"""`python -m tests.bench.inside EMAIL ROUNDS PATH…` prints, as JSON, what each page costs the server.

`{path: {"queries": int, "ms": float}}`: by the very code that serves, without the way to it. ms is the median of ROUNDS.
"""

import json
import statistics
import sys
import time
from typing import Any

import django


def main(email: str, rounds: int, paths: list[str]) -> None:
    django.setup()
    from django.conf import settings
    from django.test import Client

    from tenants.models import User

    client = Client(headers={"host": settings.CONSOLE_HOST})
    client.force_login(User.objects.get(email=email), backend=settings.AUTHENTICATION_BACKENDS[0])
    print(json.dumps({path: {"queries": _queries(client, path), "ms": _ms(client, path, rounds)} for path in paths}))


def _queries(client: Any, path: str) -> int:
    from django.db import connection

    made = []

    def count(execute: Any, *arguments: Any) -> Any:
        made.append(arguments)
        return execute(*arguments)

    client.get(path)  # fills caches that outlive a request, as they are in a running server
    with connection.execute_wrapper(count):
        assert client.get(path).status_code == 200, path
    return len(made)


def _ms(client: Any, path: str, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        client.get(path)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
