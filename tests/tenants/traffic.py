"""A cloud with a limit of traffic, and an app in it that sends something."""

from datetime import timedelta

from tenants import metering
from tenants.followups import settle_cap
from tenants.metering import Reading
from tenants.models import Instance
from tenants.reconcile import alert_mails, alerts
from tenants.services.instances import install_app
from tenants.services.plan_changes import change_plan
from tests.clocks import Clock
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, released, settle

GB = 10**9
ROOM = {"cpu_millis": 9000, "memory_mib": 9000, "storage_mib": 9000, "instances": 9}


def limited(cluster: MemoryCluster) -> Instance:
    """In a cloud that may send 100 GB a month."""
    offer("small", **ROOM, traffic_bytes=100 * GB)
    instance = install_app(active_person(cluster), app_slug=released(cluster).app.slug)[0]
    change_plan(None, instance.cloud, "small", by_operator=True)
    instance.cloud.refresh_from_db()
    look()
    return instance


def look() -> None:
    """What comes each minute, and what follows."""
    for cloud_id in alerts.look():
        settle_cap(cloud_id)
    settle()
    for notice_id in alert_mails.due():
        alert_mails.send(notice_id)


def send(clock: Clock, instance: Instance, gigabytes: float) -> None:
    """So much has gone out since the gate was started, and a round has looked at it."""
    clock.now += timedelta(minutes=1)
    metering.record([Reading("gate", instance.pk, bytes_out=int(gigabytes * GB))])
    look()
