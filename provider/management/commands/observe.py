"""`manage.py observe`: one stream of its cell's changes into the database, by whichever process is the leader."""

import logging
import signal
import time
from types import FrameType
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, close_old_connections, connection

from k8s.errors import ClusterError
from k8s.specs import Change
from provider.pulse import touch
from tenants.models import DataServer
from tenants.reconcile import advisory, builds, cluster, data_servers, instances, measuring
from tenants.reconcile.repair import repair
from tenants.reconcile.retries import Retries
from tenants.tasks import enqueue_build_now

log = logging.getLogger(__name__)
WATCH_S = 60.0  # then it goes on, or a driver that cannot begins anew with everything that exists
PULSE_KEY = "freehold:pulse:observer"
PULSE_EXPIRES_S = 120
LONGEST_WAIT_S = 10.0


class Stopped(Exception):
    """Asked to end by a signal."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


class Command(BaseCommand):
    help = "Watch the cluster and write down what is seen. Only one process does; others wait to take over."

    def handle(self, *_args: Any, **_options: Any) -> None:
        signal.signal(signal.SIGTERM, _stop)
        try:
            cluster.current()
        except (cluster.WrongInstallation, ClusterError) as error:
            raise CommandError(str(error)) from error
        try:
            while True:
                self._lead()
        except (Stopped, KeyboardInterrupt):
            return

    def _lead(self) -> None:
        """Take the lead and keep it until the database's connection, and the lock with it, is lost."""
        touch("observer")
        try:
            with advisory.held(f"observer:{settings.DEFAULT_CELL}", wait_s=LONGEST_WAIT_S) as leader:
                if leader:
                    log.info("observer_leads")
                    with measuring.going_on():
                        self._observe()
        except Error as error:
            log.warning("observer_lost_database error=%s", error)
            close_old_connections()
            time.sleep(1)

    def _observe(self) -> None:
        wait_s, retries = 0.5, Retries()
        while True:
            try:
                for change in cluster.current().watch(retries.wait_s(WATCH_S), resume=True):
                    wait_s = 0.5
                    for each in (change, *retries.due()):
                        retries.note(each, done=take(each))
                    pulse()
            except ClusterError as error:
                log.warning("watch_ended why=%s again_in_s=%.1f", error, wait_s)
                time.sleep(wait_s)
                wait_s = min(LONGEST_WAIT_S, wait_s * 2)
            for late in retries.due():
                retries.note(late, done=take(late))
            # Proves that the connection, hence the lead, is still there; raises if it is not.
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            pulse()


def take(change: Change) -> bool:
    """Look again at what moved, here and now: a task would only add its way through the broker.

    A failure concerns this one thing. False: it must be looked at again later.
    """
    try:
        if change.instance_id is not None:
            if DataServer.objects.filter(pk=change.instance_id).exists():
                return data_servers.reconcile(change.instance_id)
            return instances.reconcile(change.instance_id, altered=change.altered)
        if change.job_id is not None:
            for revision_id in builds.reconcile(change.job_id):
                enqueue_build_now(revision_id)
        elif change.altered:
            return repair(change.cloud_id)
    except Error:
        raise
    except Exception:
        log.exception("observation_failed cloud=%s subject=%s", change.cloud_id, change.instance_id or change.job_id)
    return True


def pulse() -> None:
    touch("observer")
    try:
        _client().set(PULSE_KEY, f"{time.time():.3f}", ex=PULSE_EXPIRES_S)
    except redis.RedisError as error:
        log.warning("pulse_failed error=%s", error)


_redis: "redis.Redis | None" = None


def _client() -> "redis.Redis":
    global _redis
    if _redis is None:
        _redis = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    return _redis
