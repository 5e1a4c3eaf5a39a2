"""What a page shows of things that move: read in a fixed number of queries, for the page and for its stream alike."""

from typing import Any

from django.db.models import QuerySet

from apps_catalog.models import Revision
from tenants import access
from tenants.models import Cloud, Event, Instance, Operation, OperationKind, User
from tenants.services import limits, quota, sleeping
from tenants.services.actions import scheduled
from tenants.states import InstanceState, RevisionState, WorkState

Context = dict[str, Any]

OPEN = (WorkState.QUEUED, WorkState.RUNNING)
BUILT = (RevisionState.READY, RevisionState.FAILED)
MOVING = (InstanceState.INSTALLING, InstanceState.UPDATING, InstanceState.WAKING, InstanceState.REMOVING)
OF_CLOUDS = (
    OperationKind.CREATE_CLOUD,
    OperationKind.CLOSE_CLOUD,
    OperationKind.REOPEN_CLOUD,
    OperationKind.CHANGE_PLAN,
)
HISTORY = 12
REVISIONS = 30


def installed(user: User) -> QuerySet[Instance]:
    """Their instances for lists: what lists show and no more, because making the objects is what such a page costs."""
    rows = access.instances_of(user).prefetch_related(None).select_related(None).select_related("app")
    own = ("alias", "host", "state", "cpu_millis", "memory_mib", "storage_mib")
    return rows.only(*own, "app__slug", "app__name", "app__title", "app__icon", "app__theme_color")


def home(user: User) -> Context:
    cloud = access.cloud_with_notices(user)
    return {
        "cloud": cloud,
        "notices": limits.notices(cloud),
        "instances": list(installed(user)),
        "operations": list(access.operations_of(user).filter(state__in=OPEN)[:HISTORY]),
        "used": quota.use_of(cloud),
        "quota": cloud.quota,
    }


def cloud(user: User) -> Context:
    """`operation` is what is being done, or failed last, about the cloud itself."""
    cloud = access.cloud_with_notices(user)
    own = access.operations_of(user).select_related(None).filter(kind__in=OF_CLOUDS).first()
    return {
        "cloud": cloud,
        "notices": limits.notices(cloud),
        "instances": list(installed(user)),
        "operation": own if own is not None and own.state in (*OPEN, WorkState.FAILED) else None,
        "used": quota.use_of(cloud),
        "quota": cloud.quota,
    }


def history_of(cloud: Cloud) -> QuerySet[Operation]:
    shown = ("cloud", "kind", "state", "created_at", "instance__alias")
    return cloud.operations.select_related("instance").only(*shown)[:HISTORY]


def instance(user: User, instance_id: str) -> Context:
    """`operation` is the newest one while it is open, or as long as the instance suffers from its failure."""
    row = access.instance_for(user, instance_id)
    newest = row.operations.prefetch_related("steps").first()
    return {
        "instance": row,
        "operation": newest if newest is not None and _matters(newest, row) else None,
        "never_sleeps": sleeping.never_sleeps(row),
        "scheduled": scheduled(row),
    }


def _matters(operation: Operation, instance: Instance) -> bool:
    if operation.state in OPEN:
        return True
    if operation.state != WorkState.FAILED:
        return False
    # Its owner pressed a button, and nothing else on the page says why it stays as it was.
    unslept = operation.kind in (OperationKind.SLEEP, OperationKind.WAKE)
    return unslept or instance.state in (InstanceState.FAILED, InstanceState.REMOVING)


def history_of_instance(row: Instance) -> Context:
    return {
        "operations": list(row.operations.all()[:HISTORY]),
        "events": list(Event.objects.filter(subject=row.pk).order_by("-at")[: 2 * HISTORY]),
    }


def operation(user: User, operation_id: str) -> Context:
    row = access.operation_for(user, operation_id)
    return {"operation": row, "is_over": row.state not in OPEN, "can_retry": row.state == WorkState.FAILED}


def project(user: User, slug: str) -> Context:
    row = access.project_for(user, slug)
    copy_id = getattr(row, "builder_id", None)
    return {
        "project": row,
        "revisions": list(row.revisions.defer("spacefile", "manifest")[:REVISIONS]),
        "copy": installed(user).filter(pk=copy_id).first() if copy_id else None,
    }


def revision(user: User, slug: str, revision_id: str) -> Context:
    row: Revision = access.revision_for(user, slug, revision_id)
    newest = access.operations_of(user).filter(revision=row).first()
    is_open = newest is not None and newest.state in OPEN
    return {
        "project": row.app,
        "revision": row,
        "operation": newest if is_open else None,
        "is_over": row.state in BUILT and not is_open,
    }
