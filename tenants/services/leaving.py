"""Who leaves takes everything along: what is needed for that in a cloud that is held or closing."""

from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from tenants.errors import Conflict
from tenants.models import Cloud, DataServer
from tenants.reconcile.transfers import LEAVING
from tenants.states import CloudState
from tenants.tasks import enqueue_data_server

# From the last thing that was asked of it; an export can be fetched for as long.
KEPT_UP = timedelta(hours=1)
_NOTED_EVERY = timedelta(minutes=5)


def lock(cloud_id: str) -> Cloud:
    """Like quota.lock, also for a cloud that nothing more may be added to. Raises Conflict where nothing can be had."""
    cloud: Cloud = (
        Cloud.objects.select_for_update(of=("self",), no_key=True)
        .select_related("plan", "cell", "owner")
        .get(pk=cloud_id)
    )
    is_over = cloud.erase_at is not None and cloud.erase_at <= timezone.now()
    if is_over or cloud.state not in (CloudState.CREATING, CloudState.ACTIVE, *LEAVING):
        raise Conflict("cloud_unavailable", f"Your cloud is {cloud.get_state_display().lower()}.")
    return cloud


def keep_up(locked: Cloud) -> None:
    """Its data server runs for a while, where it would not anyway; nobody but the provider gets in. Not beyond erasure."""
    if locked.state not in LEAVING:
        return
    until = _until(locked)
    down = DataServer.objects.filter(cloud=locked, needed_until__isnull=True)
    if down.update(needed_until=until, generation=F("generation") + 1):
        enqueue_data_server(DataServer.objects.values_list("pk", flat=True).get(cloud=locked))
    DataServer.objects.filter(cloud=locked).update(needed_until=until)


def is_up(cloud: Cloud) -> bool:
    """For whoever fetches something: whether it can still be there. Then it stays for a while longer."""
    if cloud.state not in LEAVING:
        return True
    until = _until(cloud)
    up = DataServer.objects.filter(cloud=cloud, needed_until__gt=timezone.now())
    up.filter(needed_until__lt=until - _NOTED_EVERY).update(needed_until=until)
    return up.exists()


def _until(cloud: Cloud) -> datetime:
    until = timezone.now() + KEPT_UP
    return min(until, cloud.erase_at) if cloud.erase_at is not None else until
