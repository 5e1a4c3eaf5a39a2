"""Whoever waits for a row gets it, also when what it points at was changed meanwhile."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from tenants.models import Cloud, Instance
from tenants.reconcile import instances as reconciler
from tenants.services import instances, quota
from tenants.services.instances import install_app
from tests.journey.stack import until
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, released, settle, uploaded


def _waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def _while_it_waits(take: Callable[[], object], change: Callable[[], object]) -> object:
    """What `take` finds, in a transaction of its own that waits for the one of `change`."""
    found: list[object] = []

    def waiter() -> None:
        try:
            with transaction.atomic():
                found.append(take())
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=waiter)
    with transaction.atomic():
        change()
        thread.start()
        until(_waits, 60, "somebody waits for the row")
    thread.join(60)
    return found[0]


def test_a_cloud_whose_plan_is_changed_meanwhile(races: None, cluster: MemoryCluster) -> None:
    offer()
    cloud_id = active_person(cluster).cloud.pk
    found = _while_it_waits(
        lambda: quota.lock(cloud_id), lambda: Cloud.objects.filter(pk=cloud_id).update(plan="small")
    )
    assert isinstance(found, Cloud) and found.plan.slug == "small"


@pytest.mark.parametrize("whose", ["service", "reconciliation"])
def test_an_instance_whose_revision_is_changed_meanwhile(races: None, cluster: MemoryCluster, whose: str) -> None:
    release, user = released(cluster), active_person(cluster)
    instance, _ = install_app(user, app_slug=release.app.slug)
    newer = uploaded(release.app.developer, release.app, **{"more.txt": "x"})
    settle()
    take = {
        "service": lambda: instances.lock(instance),
        "reconciliation": lambda: reconciler._locked(instance.pk),
    }[whose]
    found = _while_it_waits(take, lambda: Instance.objects.filter(pk=instance.pk).update(revision=newer))
    assert isinstance(found, Instance) and found.revision == newer
