"""The hard cap: an owner wants the apps asleep once the month's traffic is used up, until there is more again."""

from django.db import transaction

from tenants.amounts import in_words
from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import Cloud, CloudHold, Event, HoldCause, TrafficCap, User
from tenants.models.plans import BOUNDS
from tenants.reconcile import alerts
from tenants.reconcile.alerts import Traffic
from tenants.services import holds, quota
from tenants.states import DARK, CloudState

MOST = BOUNDS["traffic_bytes"][1]


@transaction.atomic
def cap_traffic(actor: User, cloud: Cloud, *, is_on: bool, most_bytes: int | None = None) -> None:
    """Whether the apps sleep when the plan's traffic of the month is used up, or sooner, at `most_bytes`.

    Takes effect at once, both ways. Raises Refused naming the field (hard_cap, cap_bytes), Conflict for a cloud that is
    closing. Again: changes nothing.
    """
    locked = quota.locked(cloud.pk)
    if locked.state in DARK:
        raise Conflict("cloud_unavailable", f"The cloud is {locked.get_state_display().lower()}.")
    before = TrafficCap.objects.filter(cloud=locked).first()
    if (before is not None, before.most_bytes if before else None) == (is_on, most_bytes):
        return
    _check(locked.allowance.traffic_bytes, is_on, most_bytes)
    if is_on:
        TrafficCap.objects.update_or_create(cloud=locked, defaults={"most_bytes": most_bytes})
    else:
        TrafficCap.objects.filter(cloud=locked).delete()
    said = f"at {most_bytes} bytes" if most_bytes is not None else "at the plan's figure" if is_on else "off"
    Event.record(locked, before=locked.state, after=locked.state, actor=actor.pk, reason=f"traffic cap {said}")
    alerts.mark([locked.pk])
    settle(locked)
    announce(locked.pk, locked.pk)


@transaction.atomic
def settle_cap(cloud_id: str) -> None:
    """Bring a cloud to sleep, or back, as its traffic says. Again: changes nothing."""
    settle(quota.locked(cloud_id))


def settle(locked: Cloud) -> None:
    """As `settle_cap`, in the transaction that holds the cloud's row."""
    if locked.state in DARK:
        return
    traffic = alerts.traffic_of(locked.pk)
    if traffic.is_capped and traffic.is_over:
        holds.hold(locked, HoldCause.TRAFFIC, CloudState.ASLEEP, _reason(traffic))
    elif CloudHold.objects.filter(cloud=locked, cause=HoldCause.TRAFFIC).exists():
        holds.release(locked, HoldCause.TRAFFIC, reason="there is traffic again")


def _check(plan_bytes: int | None, is_on: bool, most_bytes: int | None) -> None:
    if most_bytes is None:
        if is_on and plan_bytes is None:
            raise Refused("cap_missing", "Your plan has no limit: say at how many bytes.", field="cap_bytes")
        return
    if not is_on:
        raise Refused("cap_without_effect", "A figure counts only with the hard cap.", field="cap_bytes")
    if not 1 <= most_bytes <= MOST:
        raise Refused("invalid_cap", f"A whole number of bytes, 1 to {MOST}.", field="cap_bytes")
    if plan_bytes is not None and most_bytes > plan_bytes:
        raise Refused("cap_above_plan", f"Your plan gives {in_words(plan_bytes)} a month.", field="cap_bytes")


def _reason(traffic: Traffic) -> str:
    """For its owner. The limit and not what was used, so that it stays the same while the last requests are counted."""
    limit = in_words(traffic.limit_bytes or 0)
    return (
        f"This month’s traffic is used up ({limit}), and you chose that your apps sleep then. They wake when the month "
        "ends, when you raise or take away the cap, or with a plan that has more."
    )
