"""`python -m tests.bench.queries EMAIL PATH…` prints how many queries each page makes, as JSON."""

import json
import sys
from typing import Any

import django


def main(email: str, paths: list[str]) -> None:
    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test import Client

    from tenants.models import User

    client = Client(headers={"host": settings.CONSOLE_HOST})
    client.force_login(User.objects.get(email=email), backend=settings.AUTHENTICATION_BACKENDS[0])
    counts: dict[str, int] = {}

    def count(execute: Any, *arguments: Any) -> Any:
        counts[path] += 1
        return execute(*arguments)

    for path in paths:
        client.get(path)  # fills caches that outlive a request, as they are in a running server
        counts[path] = 0
        with connection.execute_wrapper(count):
            assert client.get(path).status_code == 200, path
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
