"""A gate that answers about a drain, and somebody who ends it, at the same moment."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from provider.gate.drains import _ANSWER
from tenants.models import Drain, DrainAnswer, Gate, Instance
from tenants.services import data_sleep, sleeping
from tenants.services.instances import install_app
from tests.chaos.blockade import Blockade
from tests.worlds import MemoryCluster, active_person, released, settle


def cancel(instance: Instance) -> None:
    assert sleeping.cancel_drain(instance.pk)


def finish(instance: Instance) -> None:
    sleeping.finish_drains()


def sleep_now(instance: Instance) -> None:
    sleeping.sleep_now(instance.cloud.owner, instance)


def rouse(instance: Instance) -> None:
    data_sleep.rouse(instance.cloud_id)


@pytest.mark.parametrize("end", [cancel, finish, sleep_now, rouse])
def test_an_answer_and_the_end_of_a_drain_never_wait_for_each_other(
    races: None, cluster: MemoryCluster, end: Callable[[Instance], None]
) -> None:
    """They did: one of the two was then given up by PostgreSQL, and a visitor was told that the gate cannot decide."""
    Gate.objects.create(id="one", cell_id=settings.DEFAULT_CELL, seen_at=timezone.now())
    instance, _ = install_app(active_person(cluster), app_slug=released(cluster).app.slug)
    settle()
    assert sleeping.fall_asleep(instance.pk)
    drain = Drain.objects.get()
    if end is rouse:
        Drain.objects.filter(pk=drain.pk).update(subject=f"dat{instance.pk}")
    DrainAnswer.objects.create(drain=drain, gate_id="one", open=0)
    failed: list[BaseException] = []

    def ending() -> None:
        try:
            end(instance)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    with psycopg.connect(settings.DATABASE_URL, dbname=connection.settings_dict["NAME"]) as agent:
        # As the statement does it, halfway.
        agent.execute("SELECT id FROM tenants_drain WHERE id = %s FOR KEY SHARE", (drain.pk,))
        thread = threading.Thread(target=ending)
        thread.start()
        Blockade(agent).wait_for_a_victim()
        agent.execute(_ANSWER, {"gate": "one", "drain": drain.pk, "open": 1, "used_at": None})
    thread.join(60)
    assert (failed, thread.is_alive()) == ([], False)
