"""Use-cases that nobody asks for by a click: they follow from a build or a release. Tasks; they carry ids only.

They are called by name (`tenants.tasks.enqueue_*`), since services stand between them and `tenants.tasks`.
"""

import logging

from celery import shared_task

from tenants.services import automatic, builder

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
