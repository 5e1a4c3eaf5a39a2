"""Background work. Tasks carry ids only, read the row again, and succeed when there is nothing left to do."""

import logging
from functools import partial
from typing import Any

import redis
from celery import Task, current_app, shared_task
from django.db import transaction
from kombu.exceptions import OperationalError

from tenants import metering
from tenants.reconcile import (
    alert_mails,
    alerts,
    builds,
    closing,
    clouds,
    data_servers,
    fullness,
    instances,
    invitations,
    limits,
    orphans,
    statements,
    transfers,
    unsettled,
)

log = logging.getLogger(__name__)


@shared_task
def reconcile_cloud(cloud_id: str) -> None:
    for instance_id in clouds.reconcile(cloud_id):
        _send(reconcile_instance, instance_id)


@shared_task
def reconcile_instance(instance_id: str) -> None:
    instances.reconcile(instance_id)


@shared_task
def reconcile_data_server(server_id: str) -> None:
    data_servers.reconcile(server_id)


@shared_task
def reconcile_transfer(operation_id: str) -> None:
    transfers.reconcile(operation_id)


@shared_task
def send_invitation(share_id: str) -> None:
    invitations.send(share_id)


@shared_task
def send_limit_notice(notice_id: str) -> None:
    alert_mails.send(notice_id)


@shared_task
def reconcile_build(revision_id: str) -> None:
    for waiting_id in builds.reconcile(revision_id):
        _send(reconcile_build, waiting_id)
    if unsettled.is_to_place(revision_id):
        _follow("place_revision", revision_id)


@shared_task
def sweep() -> None:
    """Enqueue whatever is not settled and due. The broker may have lost everything: this finds it again."""
    limits.end_overrides()
    for task, found in (
        (reconcile_cloud, unsettled.clouds()),
        (reconcile_instance, unsettled.instances()),
        (reconcile_data_server, unsettled.data_servers()),
        (reconcile_build, unsettled.builds()),
        (reconcile_transfer, unsettled.transfers()),
        (send_invitation, invitations.due()),
        (send_limit_notice, alert_mails.due()),
    ):
        for row_id in found:
            _send(task, row_id)
    for revision_id in unsettled.placements():
        _follow("place_revision", revision_id)


@shared_task
def tidy() -> None:
    """Once a minute: report what the cluster holds without a row, drop rows that have served, follow new releases."""
    orphans.look()
    closing.look_after()
    fullness.measure()
    unsettled.prune()
    metering.prune()
    transfers.forget_looked_at()
    invitations.forget_ended()
    for app_id in unsettled.apps_to_spread():
        _follow("spread", app_id)


@shared_task
def look_at_limits() -> None:
    """Once a minute: tell whose traffic comes near its limit, and close the month that is over."""
    for cloud_id in alerts.look():
        _follow("settle_cap", cloud_id)
    statements.close_month()


def enqueue_cloud(cloud_id: str) -> None:
    """Reconcile once the caller's transaction is committed. A broker that is down costs seconds: the sweep does it."""
    transaction.on_commit(partial(_send, reconcile_cloud, cloud_id))


def enqueue_instance(instance_id: str, *, after_s: float = 0.0) -> None:
    transaction.on_commit(partial(_send, reconcile_instance, instance_id, after_s))


def enqueue_data_server(server_id: str) -> None:
    transaction.on_commit(partial(_send, reconcile_data_server, server_id))


def enqueue_transfer(operation_id: str) -> None:
    transaction.on_commit(partial(_send, reconcile_transfer, operation_id))


def enqueue_invitation(share_id: str) -> None:
    transaction.on_commit(partial(_send, send_invitation, share_id))


def enqueue_build_now(revision_id: str) -> None:
    """For callers outside a transaction."""
    _send(reconcile_build, revision_id)


def enqueue_build(revision_id: str) -> None:
    transaction.on_commit(partial(_send, reconcile_build, revision_id))


def enqueue_placement(revision_id: str) -> None:
    transaction.on_commit(partial(_follow, "place_revision", revision_id))


def enqueue_spread(app_id: str) -> None:
    transaction.on_commit(partial(_follow, "spread", app_id))


def enqueue_actions() -> None:
    """A look at what is due now, since somebody asked for it."""
    transaction.on_commit(partial(_follow, "run_actions"))


def enqueue_drains() -> None:
    """Look soon what the gates have answered; the schedule looks every other second."""
    transaction.on_commit(partial(_follow, "finish_drains", countdown=0.3))


def _follow(name: str, *ids: str, countdown: float | None = None) -> None:
    """A task of tenants.followups, which stands above us."""
    try:
        current_app.send_task(f"tenants.followups.{name}", ids, retry=False, countdown=countdown)
    except (OperationalError, redis.RedisError) as error:
        log.warning("enqueue_failed task=%s id=%s error=%s", name, ids, error)


def _send(task: "Task[Any, Any]", row_id: str, after_s: float = 0.0) -> None:
    try:
        task.apply_async((row_id,), retry=False, countdown=after_s)
    except (OperationalError, redis.RedisError) as error:
        log.warning("enqueue_failed task=%s id=%s error=%s", task.name, row_id, error)
