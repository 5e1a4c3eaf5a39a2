"""A whole cloud stops, because it closes or is suspended, and starts again. In the transaction that locked its row."""

from django.db.models import F

from tenants import feed, steps
from tenants.live import announce
from tenants.models import Cloud, DataServer, Instance, OperationKind, User, Wanted
from tenants.services import instances
from tenants.states import InstanceState, RevisionState, move
from tenants.tasks import enqueue_data_server, enqueue_instance


def stop_work(cloud: Cloud, why: str) -> None:
    """Cancel whatever goes on in the cloud; removals go on, since they lead where everything goes."""
    for operation in cloud.operations.filter(state__in=steps.OPEN).exclude(kind=OperationKind.REMOVE):
        revision = operation.revision
        if revision is not None and revision.state in (RevisionState.QUEUED, RevisionState.BUILDING):
            move(revision, RevisionState.FAILED, state_reason=why)
        steps.cancel(operation, why)


def touch(cloud: Cloud) -> None:
    """What its instances and its data server are to do follows the cloud's state: gate and cluster must hear of each."""
    rows = cloud.instances.exclude(state=InstanceState.REMOVED)
    ids = list(rows.values_list("pk", flat=True))
    Instance.objects.filter(pk__in=ids).exclude(wanted=Wanted.REMOVED).update(generation=F("generation") + 1)
    for instance_id in ids:
        feed.changed(instance_id)
        enqueue_instance(instance_id)
    for server_id in DataServer.objects.filter(cloud=cloud).values_list("pk", flat=True):
        DataServer.objects.filter(pk=server_id).update(generation=F("generation") + 1)
        enqueue_data_server(server_id)
    feed.data_changed(cloud.pk)
    announce(cloud.pk, cloud.pk)


def start_again(actor: User, cloud: Cloud) -> None:
    """Everything that ran before it stopped."""
    touch(cloud)
    for row in cloud.instances.filter(wanted=Wanted.RUNNING, state=InstanceState.STOPPED):
        instances.start_again(actor, row)
    for row in cloud.instances.filter(wanted=Wanted.ASLEEP, state=InstanceState.STOPPED):
        move(row, InstanceState.ASLEEP, actor=actor.pk, state_reason="")
