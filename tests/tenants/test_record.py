"""What happened is written down for good: neither the application's role nor, by mistake, the owner's changes a line."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.db import DatabaseError, connection, transaction

from provider.up import postgres
from tenants.models import Event
from tests.worlds import MemoryCluster, active_person

pytestmark = pytest.mark.django_db
CHANGES = [
    "UPDATE tenants_event SET reason = ''",
    "DELETE FROM tenants_event",
    "TRUNCATE tenants_event",
]
LOCKS = [
    "ALTER TABLE tenants_event DISABLE TRIGGER event_append_only",
    "DROP TRIGGER event_append_only ON tenants_event",
    "DROP TABLE tenants_event",
    "CREATE TRIGGER mine BEFORE INSERT ON tenants_event EXECUTE FUNCTION refuse_event_change()",
]


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def application(cluster: MemoryCluster) -> Iterator[None]:
    """The connection has the rights of the application's role: what default privileges gave, and 0025 took again."""
    active_person(cluster)
    execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {postgres.APP}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {postgres.APP}",
        import_module("tenants.migrations.0025_desk").TAKE,
        f"SET LOCAL ROLE {postgres.APP}",
    )
    yield
    execute("RESET ROLE")


@pytest.mark.parametrize("change", [*CHANGES, *LOCKS])
def test_the_applications_role_has_no_right_to_change_it(application: None, change: str) -> None:
    number = Event.objects.count()
    with pytest.raises(DatabaseError, match="permission denied|must be owner"), transaction.atomic():
        execute(change)
    assert Event.objects.count() == number > 0


def test_the_applications_role_reads_it_and_adds_to_it(application: None) -> None:
    Event.objects.create(subject="s", kind="k", after="new")
    assert Event.objects.filter(subject="s").exists()


@pytest.mark.parametrize("change", CHANGES)
def test_even_the_owner_is_refused_as_long_as_the_trigger_stands(cluster: MemoryCluster, change: str) -> None:
    active_person(cluster)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        execute(change)
    assert Event.objects.exists()
