"""A cloud's plan: what it allows, what another one would change, and changing it."""

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import F

from tenants import metering, steps
from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import (
    HOLDING_COMPUTE,
    Allowance,
    BillingAccount,
    Cloud,
    Event,
    Operation,
    OperationKind,
    Override,
    Plan,
    Quota,
    User,
)
from tenants.models.billing import LIVE
from tenants.models.plans import QUOTA_FIELDS, overruled
from tenants.reconcile import alerts, limits
from tenants.services import caps, quota
from tenants.services.plans import hold_plan
from tenants.states import HELD, CloudState, InstanceState
from tenants.tasks import enqueue_cloud

CHANGE_STEPS = (
    ("fit", "See that your apps and data fit"),
    ("plan", "Change the plan"),
    ("namespace", "Bring the new limits to your cloud"),
)
CHANGEABLE = (CloudState.CREATING, CloudState.ACTIVE, *HELD)


@dataclass(frozen=True)
class Takes:
    """One thing that holds some of a resource: an app, or data that is kept without one."""

    kind: str  # instance or collection
    id: str
    name: str
    amount: int


@dataclass(frozen=True)
class Excess:
    """`over` of this resource must go before the cloud fits; holders are what takes it, the largest first."""

    resource: str
    used: int
    limit: int
    holders: tuple[Takes, ...]

    @property
    def over(self) -> int:
        return self.used - self.limit


@dataclass(frozen=True)
class PlanChange:
    """What another plan would mean. before and after: with the overrides that count now. use: what is there now.

    sent_bytes: this month's traffic, which goes on under the other plan.
    price_delta_minor: per interval of the new plan; None where prices cannot be compared (another currency, interval).
    """

    current: Plan
    plan: Plan
    before: Allowance
    after: Allowance
    use: Quota
    sent_bytes: int
    must_go: tuple[Excess, ...]

    @property
    def fits(self) -> bool:
        return not self.must_go

    @property
    def left(self) -> Quota:
        """Of the new quota, negative where it is too small."""
        return Quota(**{name: getattr(self.after.quota, name) - getattr(self.use, name) for name in QUOTA_FIELDS})

    @property
    def traffic_left(self) -> int | None:
        """Bytes that may still be sent this month. None: without limit."""
        most = self.after.traffic_bytes
        return None if most is None else max(0, most - self.sent_bytes)

    @property
    def price_delta_minor(self) -> int | None:
        old, new = self.current, self.plan
        comparable = (old.currency, old.interval) == (new.currency, new.interval)
        if comparable or not old.price_minor:
            return new.price_minor - old.price_minor
        return None if new.price_minor else 0


def chosen_plan(slug: str, *, by_operator: bool = False, is_paid: bool = False) -> Plan:
    """One that may be changed to: on offer; for operators any that is not archived; what is paid for always.

    Raises Refused (field plan).
    """
    plan = Plan.objects.filter(pk=slug).first()
    offered = plan is not None and plan.archived_at is None and (plan.is_visible or by_operator)
    if plan is None or not (offered or is_paid):
        raise Refused("no_plan", "There is no such plan to choose.", field="plan")
    return plan


def plan_change(cloud: Cloud, plan: Plan) -> PlanChange:
    """`cloud` with plan. Reads only; a promise while the cloud's row is locked."""
    counting = list(Override.objects.filter(cloud=cloud, ended_at__isnull=True))
    after, use = overruled(plan.allowance, counting), quota.use_of(cloud)
    return PlanChange(
        current=cloud.plan,
        plan=plan,
        before=overruled(cloud.plan.allowance, counting),
        after=after,
        use=use,
        sent_bytes=alerts.traffic_of(cloud.pk).used_bytes,
        must_go=_must_go(cloud, use, after.quota),
    )


def require_fit(cloud: Cloud, plan: Plan) -> PlanChange:
    """Raises Refused (plan_too_small) with all that must go."""
    change = plan_change(cloud, plan)
    if not change.fits:
        raise Refused("plan_too_small", _too_small(change), field="plan", detail={"must_go": must_go_detail(change)})
    return change


def change_own_plan(actor: User, cloud: Cloud, slug: str) -> Operation:
    """As `change_plan`, where nothing has to be paid for it. Raises Refused: payment_needed, subscription_running."""
    plan = chosen_plan(slug)
    if settings.STRIPE_KEY:
        if plan.price_minor:
            raise Refused("payment_needed", f"{plan.name} is paid for first: see billing/checkout/.", field="plan")
        if BillingAccount.customers().filter(cloud=cloud, status__in=LIVE).exists():
            raise Refused(
                "subscription_running",
                "You pay for a subscription: end it first (Cards and invoices). Then you come to the free plan by yourself.",
                field="plan",
            )
    return change_plan(actor, cloud, slug)


@transaction.atomic
def change_plan(
    actor: User | None,
    cloud: Cloud,
    slug: str,
    *,
    by_operator: bool = False,
    is_paid: bool = False,
    reason: str = "",
) -> Operation:
    """Give the cloud another plan: its quota holds from now on, the cluster's limits follow within the operation.

    One that is too small for what is there is refused (plan_too_small) with all that must go, and nothing changes.
    Several at once go one after the other, each against what the one before left. Raises Refused naming the field, Conflict.
    """
    hold_plan(slug)  # before the cloud's row, in the order in which an edited plan comes to its clouds
    plan = chosen_plan(slug, by_operator=by_operator, is_paid=is_paid)
    locked = _lock(cloud)
    if plan.pk == locked.plan_id:
        raise Refused("same_plan", "The cloud has this plan already.", field="plan")
    change = require_fit(locked, plan)
    Cloud.objects.filter(pk=locked.pk).update(plan=plan)
    metering.begin_plan(locked, change.current.pk, plan.pk)
    limits.touch([locked.pk])
    alerts.mark([locked.pk])
    caps.settle(locked)
    locked.refresh_from_db(fields=["generation"])
    for other in Operation.objects.filter(cloud=locked, kind=OperationKind.CHANGE_PLAN, state__in=steps.OPEN):
        steps.cancel(other, "The plan was changed again.")
    said = f"plan {change.current.pk} became {plan.pk}" + (f"; {reason}" if reason else "")
    before, after = f"plan {change.current.pk}"[:20], f"plan {plan.pk}"[:20]
    Event.record(locked, before=before, after=after, actor=actor.pk if actor else "", reason=said)
    operation = steps.open_operation(OperationKind.CHANGE_PLAN, locked, CHANGE_STEPS, actor=actor, done=("fit", "plan"))
    announce(locked.pk, locked.pk)
    enqueue_cloud(locked.pk)
    return operation


@transaction.atomic
def retry_limits(actor: User, cloud: Cloud) -> Operation:
    """The plan is changed and the cluster would not hear of it: tell it again."""
    locked = _lock(cloud)
    Cloud.objects.filter(pk=locked.pk).update(generation=F("generation") + 1, state_reason="")
    locked.refresh_from_db(fields=["generation"])
    operation = steps.open_operation(OperationKind.CHANGE_PLAN, locked, CHANGE_STEPS, actor=actor, done=("fit", "plan"))
    enqueue_cloud(locked.pk)
    return operation


def must_go_detail(change: PlanChange) -> list[dict[str, object]]:
    """For programs."""
    return [
        {
            "resource": excess.resource,
            "used": excess.used,
            "limit": excess.limit,
            "over": excess.over,
            "holders": [
                {"kind": one.kind, "id": one.id, "name": one.name, "amount": one.amount} for one in excess.holders
            ],
        }
        for excess in change.must_go
    ]


def _lock(cloud: Cloud) -> Cloud:
    locked = quota.locked(cloud.pk)
    if locked.state not in CHANGEABLE:
        raise Conflict("cloud_unavailable", f"The cloud is {locked.get_state_display().lower()}.")
    return locked


def _must_go(cloud: Cloud, use: Quota, limit: Quota) -> tuple[Excess, ...]:
    over = [name for name in QUOTA_FIELDS if getattr(use, name) > getattr(limit, name)]
    return tuple(
        Excess(name, getattr(use, name), getattr(limit, name), tuple(_holders(cloud, name)) if over else ())
        for name in over
    )


def _holders(cloud: Cloud, resource: str) -> list[Takes]:
    rows = cloud.instances.exclude(state=InstanceState.REMOVED)
    if resource in ("cpu_millis", "memory_mib"):
        rows = rows.filter(state__in=HOLDING_COMPUTE)
    found = [
        Takes("instance", row.pk, row.alias, 1 if resource == "instances" else getattr(row, resource)) for row in rows
    ]
    if resource == "storage_mib":
        found += [
            Takes("collection", row.pk, row.name, -(-beyond // quota.MIB))
            for row in cloud.collections.select_related("instance")
            if (beyond := row.size_bytes - (row.instance.storage_mib * quota.MIB if row.instance else 0)) > 0
        ]
    return sorted((one for one in found if one.amount), key=lambda one: (-one.amount, one.name, one.id))


def _too_small(change: PlanChange) -> str:
    """“Small is too small: 2 of your 5 apps must go, and 300 MiB of storage.”"""
    words = [quota.in_words(excess.resource, excess.over) for excess in change.must_go]
    return f"{change.plan.name} is too small for what is in the cloud. Must go first: {', '.join(words)}."
