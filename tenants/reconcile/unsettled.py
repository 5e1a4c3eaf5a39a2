"""What the sweep must look at: rows whose observed side lags behind, and operations that are not over."""

from datetime import timedelta

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps_catalog.models import Placement, Revision
from tenants import steps
from tenants.models import (
    AppSignIn,
    Cloud,
    GateChange,
    IdempotencyRecord,
    Instance,
    Operation,
    OperationKind,
    RevokedSession,
    SignInCode,
)
from tenants.reconcile import again
from tenants.reconcile import transfers as transfer_rows
from tenants.reconcile.clouds import LIVING, MAKING
from tenants.reconcile.data_servers import unsettled as data_server_rows
from tenants.states import CloudState, InstanceState, RevisionState

AT_ONCE = 1000  # a sweep enqueues at most so many of each; the next one comes in seconds
REFUSED = (InstanceState.FAILED, InstanceState.REMOVING)
KEEP_ANSWERS = timedelta(days=1)
KEEP_CHANGES = timedelta(days=1)


def clouds() -> list[str]:
    behind = Cloud.objects.filter(again.due() | Q(observed_generation__lt=F("generation")), state__in=LIVING)
    waiting = Operation.objects.filter(_later(), kind__in=MAKING).values("cloud_id")
    found = list(behind.exclude(pk__in=waiting).values_list("pk", flat=True)[:AT_ONCE])
    closing = Operation.objects.filter(_due(), kind=OperationKind.CLOSE_CLOUD)
    return [*found, *closing.values_list("cloud_id", flat=True)[:AT_ONCE]]


def instances() -> list[str]:
    behind = Instance.objects.exclude(state=InstanceState.REMOVED).filter(observed_generation__lt=F("generation"))
    waiting = Operation.objects.filter(_later(), instance__isnull=False).values("instance_id")
    found = set(behind.exclude(pk__in=waiting).values_list("pk", flat=True)[:AT_ONCE])
    refused = Instance.objects.filter(again.due(), state__in=REFUSED, cloud__state=CloudState.ACTIVE)
    found.update(refused.values_list("pk", flat=True)[:AT_ONCE])
    copied = Instance.objects.exclude(copy_id="").filter(state=InstanceState.RUNNING, cloud__state=CloudState.ACTIVE)
    found.update(copied.values_list("pk", flat=True)[:AT_ONCE])
    due = Operation.objects.filter(_due(), instance__isnull=False)
    return [*found.union(due.values_list("instance_id", flat=True)[:AT_ONCE])]


def data_servers() -> list[str]:
    return list(data_server_rows().values_list("pk", flat=True)[:AT_ONCE])


def builds() -> list[str]:
    due = Operation.objects.filter(_due(), kind=OperationKind.BUILD, revision__isnull=False)
    return list(due.order_by("created_at").values_list("revision_id", flat=True)[:AT_ONCE])


def transfers() -> list[str]:
    due = Operation.objects.filter(_due(), kind__in=transfer_rows.KINDS, cloud__state=CloudState.ACTIVE)
    due |= Operation.objects.filter(_due(), kind=OperationKind.EXPORT, cloud__state__in=transfer_rows.LEAVING)
    due |= Operation.objects.filter(_due(), kind__in=transfer_rows.KINDS, collection__isnull=True)
    return list(due.order_by("created_at").values_list("pk", flat=True)[:AT_ONCE])


def placements() -> list[str]:
    """Built revisions that are still to come into their developer's own copy."""
    due = Revision.objects.filter(placement=Placement.DUE, state=RevisionState.READY)
    return list(due.order_by("created_at").values_list("pk", flat=True)[:AT_ONCE])


def is_to_place(revision_id: str) -> bool:
    return Revision.objects.filter(pk=revision_id, placement=Placement.DUE, state=RevisionState.READY).exists()


def apps_to_spread() -> list[str]:
    """Apps with copies that update themselves and have not looked at the newest release yet."""
    behind = Instance.objects.filter(auto_update=True, is_builder=False, state=InstanceState.RUNNING)
    behind = behind.filter(cloud__state=CloudState.ACTIVE)
    behind = behind.annotate(since=Coalesce("auto_considered_at", F("release__created_at")))
    newer = Q(app__releases__created_at__gt=F("since"), app__releases__yanked_at__isnull=True)
    return list(behind.filter(newer).values_list("app_id", flat=True).distinct()[:AT_ONCE])


def prune() -> None:
    """Rows that have served their time."""
    now = timezone.now()
    IdempotencyRecord.objects.filter(created_at__lt=now - KEEP_ANSWERS).delete()
    GateChange.objects.filter(created_at__lt=now - KEEP_CHANGES).delete()
    RevokedSession.objects.filter(until__lt=now).delete()
    SignInCode.objects.filter(expires_at__lt=now).delete()
    AppSignIn.objects.filter(until__lt=now).delete()


def _due() -> Q:
    soon = Q(not_before__isnull=True) | Q(not_before__lte=timezone.now())
    return Q(state__in=steps.OPEN) & soon


def _later() -> Q:
    return Q(state__in=steps.OPEN, not_before__gt=timezone.now())
