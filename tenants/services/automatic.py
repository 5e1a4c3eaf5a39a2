"""Updates without a click, for owners who chose so. What asks for more is left to them."""

import logging

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from tenants.errors import Conflict, Refused
from tenants.models import Instance
from tenants.services.updates import offered, plan_update, update_instance
from tenants.states import CloudState, InstanceState

log = logging.getLogger(__name__)
AT_ONCE = 500


def waiting(app_id: str) -> list[str]:
    """The app's running instances that follow by themselves and for which a newer release was not considered yet."""
    rows = Instance.objects.filter(app_id=app_id, auto_update=True, is_builder=False, state=InstanceState.RUNNING)
    rows = rows.filter(cloud__state=CloudState.ACTIVE)
    rows = rows.annotate(since=Coalesce("auto_considered_at", F("release__created_at")))
    newer = Q(app__releases__created_at__gt=F("since"), app__releases__yanked_at__isnull=True)
    return list(rows.filter(newer).distinct().values_list("pk", flat=True)[:AT_ONCE])


def update(instance_id: str) -> None:
    """Bring it to what is offered, unless that asks for more or does not fit. Each release is considered once."""
    rows = Instance.objects.select_related("app", "release", "revision", "cloud__owner")
    instance = rows.filter(pk=instance_id, auto_update=True, state=InstanceState.RUNNING).first()
    newest = instance.app.releases.order_by("-created_at").first() if instance else None
    if instance is None or newest is None:
        return
    try:
        if offered(instance) is not None and (plan := plan_update(instance)) is not None and not plan.demands:
            update_instance(None, instance, release_id=plan.release.pk)
    except Refused as refusal:
        log.warning("not_updated cloud=%s instance=%s why=%s", instance.cloud_id, instance.pk, refusal.code)
        if isinstance(refusal, Conflict):
            return  # another time
    # By the release's own time, not by now: one that was made meanwhile must not be passed over.
    Instance.objects.filter(pk=instance_id).update(auto_considered_at=newest.created_at)
