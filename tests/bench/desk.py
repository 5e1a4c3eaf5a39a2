"""The operators' desk with 100,000 clouds: what each of its pages and answers costs the server.

`python -m tests.bench desk` measures only this. Rows are copies of those of a small provider, made by the database itself.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import tests.stores  # noqa: F401 - starts PostgreSQL and Redis, and names them in the environment
from tests.bench.table import Figure

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")

CLOUDS = 100_000
ROUNDS = 20
LIMIT_MS = 50
PAGES = {
    "overview": "/operator/",
    "newest people": "/operator/clouds/",
    "with exceptions": "/operator/clouds/?show=exceptions",
    "suspended": "/operator/clouds/?show=suspended",
    "search by handle": "/operator/clouds/?q=p0005",
    "search by namespace": "/operator/clouds/?q=fh-p0050000",
    "one person": "/operator/clouds/{ada}/",
    "catalog": "/operator/catalog/",
    "plans": "/operator/plans/",
    "one plan": "/operator/plans/plus/",
    "team": "/operator/team/",
    "what happened": "/operator/audit/",
    "what happened to one": "/operator/audit/?q=ada",
}
ANSWERS = (
    *("overview/", "people/", "people/?q=p0005", "operations/?state=failing", "operations/?cloud={ada}", "cells/"),
    *("clouds/{ada}/", "clouds/{ada}/usage/", "audit/", "audit/?cloud={ada}", "plans/", "apps/reports/"),
)


def measure() -> list[Figure]:
    import django

    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _measured(Path(folder))
    finally:
        connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)


def _measured(mails: Path) -> list[Figure]:
    from django.conf import settings
    from django.test import Client

    from tenants.services import figures
    from tenants.services.tokens import issue_token
    from tests.pages.provider_seed import seed

    provider = seed(mails)
    _grow(CLOUDS)
    began = time.perf_counter()
    figures.keep()
    counted = time.perf_counter() - began
    browser = Client(headers={"host": settings.CONSOLE_HOST})
    browser.force_login(provider.keeper, backend=settings.AUTHENTICATION_BACKENDS[0])
    token = issue_token(provider.keeper, "bench", ["operator:read"])[1]
    program = Client(headers={"host": settings.CONSOLE_HOST, "authorization": f"Bearer {token}"})
    return [
        *(_figure(browser, name, path.format(ada=provider.ada.pk)) for name, path in PAGES.items()),
        *(_figure(program, f"GET {path}", f"/api/v1/operator/{path.format(ada=provider.ada.pk)}") for path in ANSWERS),
        Figure("counting everything, by a worker", counted * 1000, "ms"),
    ]


def _figure(client: Any, name: str, path: str) -> Figure:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return Figure(f"{name}, {CLOUDS:,} clouds, p50", statistics.median(times), "ms", LIMIT_MS)


def _grow(clouds: int) -> None:
    """So many clouds more: two apps, three operations, five lines of the record and a month's use in each."""
    number = "lpad(n::text, 7, '0')"
    _copy("user", "handle = 'mina'", clouds, id=f"'usr' || {number}", handle=f"'p' || {number}",
          email=f"'p' || {number} || '@many.example'",
          date_joined="now() - n * interval '17 minutes' - interval '60 days'")  # fmt: skip
    owner = "namespace LIKE 'fh-mina-%'"
    _copy("cloud", owner, clouds, id=f"'cld' || {number}", owner_id=f"'usr' || {number}", namespace=f"'fh-p' || {number}",
          state="CASE WHEN n % 400 = 0 THEN 'suspended' ELSE 'active' END",
          plan_id="(ARRAY['household', 'household', 'household', 'plus', 'studio'])[n % 5 + 1]",
          cell_id="(ARRAY['local', 'north'])[n % 2 + 1]")  # fmt: skip
    its = f"'cld' || lpad(((n - 1) % {clouds} + 1)::text, 7, '0')"
    one = "id = (SELECT min(id) FROM tenants_instance)"
    _copy("instance", one, 2 * clouds, id=f"'ins' || {number}", cloud_id=its, host=f"'h' || {number} || '.apps.example'",
          state="CASE WHEN n % 10 = 0 THEN 'running' ELSE 'asleep' END",
          generation="1", observed_generation="1")  # fmt: skip
    _copy("operation", "id = (SELECT min(id) FROM tenants_operation WHERE kind = 'install')", 3 * clouds,
          id=f"'opn' || {number}", cloud_id=its, instance_id=f"'ins' || lpad(((n - 1) % {2 * clouds} + 1)::text, 7, '0')",
          state="CASE WHEN n % 997 = 0 THEN 'failed' ELSE 'succeeded' END",
          created_at="now() - n * interval '23 seconds'", finished_at="now() - n * interval '23 seconds'")  # fmt: skip
    _copy("override", "id = (SELECT min(id) FROM tenants_override WHERE ended_at IS NULL)", clouds // 200,
          id=f"'ovr' || {number}", cloud_id="'cld' || lpad((n * 200)::text, 7, '0')")  # fmt: skip
    _execute(
        f"""INSERT INTO tenants_event (at, cloud_id, subject, kind, before, after, actor, reason)
        SELECT now() - n * interval '11 seconds' - interval '1 day', {its}, {its}, 'cloud', '', 'active', '', ''
        FROM generate_series(1, {5 * clouds}) n""",
        "VACUUM ANALYZE",
    )


def _copy(table: str, which: str, number: int, **columns: str) -> None:
    """`number` copies of one row; columns: what differs, in SQL over n. Whatever else a table has comes along."""
    changed = ", ".join(f"'{name}', {value}" for name, value in columns.items())
    _execute(
        f"""INSERT INTO tenants_{table} SELECT (jsonb_populate_record(t, jsonb_build_object({changed}))).*
        FROM tenants_{table} t, generate_series(1, {number}) n WHERE {which}"""
    )


def _execute(*statements: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
