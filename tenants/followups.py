"""Use-cases that nobody asks for by a click: they follow from a build or a release. Tasks; they carry ids only.

They are called by name (`tenants.tasks.enqueue_*`), since services stand between them and `tenants.tasks`.
"""

import logging
from functools import lru_cache
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from tenants.reconcile.dispatch import LINGER_S, Dispatcher
from tenants.services import automatic, builder, caps, figures, sleeping, waking

log = logging.getLogger(__name__)


@shared_task
def place_revision(revision_id: str) -> None:
    """A built revision into its developer's own copy."""
    builder.place_revision(revision_id)


@shared_task
def update_automatically(instance_id: str) -> None:
    """An instance whose owner wants that, to its app's newest release."""
    automatic.update(instance_id)


@shared_task
def spread(app_id: str) -> None:
    """A release was made: every copy that follows by itself."""
    for instance_id in automatic.waiting(app_id):
        automatic.update(instance_id)


@shared_task
def finish_drains() -> None:
    """What the gates have answered about those that are to fall asleep."""
    sleeping.finish_drains()
    waking.go_on_waking()


@shared_task
def look_for_sleepers() -> None:
    """Whatever nobody uses, over all cells at once."""
    sleeping.look_for_sleepers()


@shared_task
def count_figures() -> None:
    """What the operators' desk shows of the whole installation."""
    figures.keep()


@shared_task
def settle_cap(cloud_id: str) -> None:
    """The month's traffic is used up where its owner wants the apps to sleep then, or is not any more."""
    caps.settle_cap(cloud_id)


@shared_task
def run_actions() -> None:
    """Begin with the scheduled actions that are due. Returns at once: they have threads of their own."""
    dispatcher().look()


@lru_cache(maxsize=1)
def dispatcher() -> Dispatcher:
    """This process's own."""
    return Dispatcher(wake=waking.wake, linger_s=LINGER_S)


@worker_shutting_down.connect
def _end_runs(**_: Any) -> None:
    dispatcher().stop()
