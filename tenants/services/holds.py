"""What keeps a cloud from running: an operator, a plan that is not paid for, traffic that is used up. In the caller's
transaction, which holds the cloud's row locked; each may be repeated."""

from tenants.models import Cloud, CloudHold, Event, HoldCause
from tenants.services import standstill
from tenants.states import HELD, CloudState, move
from tenants.tasks import enqueue_cloud

_KEPT = (CloudState.ACTIVE, *HELD)  # in any other it has no effect yet: whoever opens the cloud asks `wanted_state`


def hold(cloud: Cloud, cause: HoldCause, level: CloudState, reason: str, *, actor: str = "") -> None:
    """From now on the cloud is at least `level` (asleep or suspended) for this cause; a cause has one level at a time."""
    CloudHold.objects.update_or_create(cloud=cloud, cause=cause, defaults={"level": level, "reason": reason})
    _follow(cloud, actor)


def release(cloud: Cloud, cause: HoldCause, *, actor: str = "", reason: str = "") -> bool:
    """The cause is gone. What ran before starts again unless another one holds it. False: it did not hold the cloud."""
    if not CloudHold.objects.filter(cloud=cloud, cause=cause).delete()[0]:
        return False
    why = reason or f"{cause} no longer holds it"
    if not _follow(cloud, actor, why):  # a move leaves its own event
        Event.record(cloud, before="held", after="released", actor=actor, reason=why)
    return True


def holding(cloud: Cloud) -> list[CloudHold]:
    """The hardest first, and of those the oldest."""
    order = {level: place for place, level in enumerate(CloudHold.LEVELS)}
    return sorted(cloud.holds.all(), key=lambda one: (-order[CloudState(one.level)], one.since))


def wanted_state(cloud: Cloud) -> tuple[CloudState, str]:
    """(state, why) of a cloud that is there and not closing."""
    found = holding(cloud)
    return (CloudState(found[0].level), found[0].reason) if found else (CloudState.ACTIVE, "")


def _follow(cloud: Cloud, actor: str, told: str = "") -> bool:
    """told: why, for the record. Returns whether its state changed."""
    if cloud.state not in _KEPT:
        return False
    before, (wanted, why) = CloudState(cloud.state), wanted_state(cloud)
    if wanted == before:
        if cloud.state_reason != why:
            Cloud.objects.filter(pk=cloud.pk).update(state_reason=why)
            standstill.touch(cloud)  # each app says why it does not run
        return False
    if wanted == CloudState.ACTIVE:
        move(cloud, wanted, actor=actor, reason=told, state_reason="", generation=cloud.generation + 1)
        standstill.start_again(cloud.owner, cloud)
        enqueue_cloud(cloud.pk)
        return True
    if before == CloudState.ACTIVE:
        standstill.stop_work(cloud, f"The cloud is {wanted}.")
    move(cloud, wanted, actor=actor, reason=told, state_reason=why)
    standstill.touch(cloud)
    return True
