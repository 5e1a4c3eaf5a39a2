"""How plans, what clouds may have, and changes of both look in answers; the documents and their schema."""

from typing import Any

from rest_framework import serializers

from tenants.api.answers import Moment, Number, QuotaShape, Text, UpdateShape
from tenants.api.shapes import quota_document
from tenants.models import Allowance, Cloud, Override, Plan, Quota
from tenants.representation import moment
from tenants.services.plan_changes import PlanChange, must_go_detail
from tenants.services.plan_files import Imported, plan_entry

Document = dict[str, Any]


class PlanTermsShape(serializers.Serializer[Any]):
    """price_minor: in the currency's smallest unit, per interval. sleep_after_s, traffic_bytes: null without one."""

    slug = Text()
    name = Text()
    description = Text()
    price_minor = Number()
    currency = Text()
    interval = Text()
    trial_days = Number()
    cpu_millis = Number()
    memory_mib = Number()
    storage_mib = Number()
    instances = Number()
    builds = Number()
    sleep_after_s = Number(allow_null=True)
    domains = Number()
    backups_kept = Number()
    traffic_bytes = Number(allow_null=True)
    rate_class = Text()


class OperatorPlanShape(PlanTermsShape):
    """clouds: how many have it."""

    is_visible = serializers.BooleanField()
    archived = serializers.BooleanField()
    clouds = Number()


class AllowanceShape(serializers.Serializer[Any]):
    quota = QuotaShape()
    builds = Number()
    sleep_after_s = Number(allow_null=True)
    domains = Number()
    backups_kept = Number()
    traffic_bytes = Number(allow_null=True)
    rate_class = Text()


class OwnOverrideShape(serializers.Serializer[Any]):
    id = Text()
    figures = serializers.DictField()
    reason = Text()
    ends_at = Moment(allow_null=True)


class OverrideShape(OwnOverrideShape):
    """counts: now. ended_at: when it stopped to count."""

    counts = serializers.BooleanField()
    granted_by = Text(allow_null=True)
    created_at = Moment()
    ended_at = Moment(allow_null=True)


class CloudPlanShape(serializers.Serializer[Any]):
    plan = PlanTermsShape()
    allowance = AllowanceShape()
    usage = QuotaShape()
    overrides = OwnOverrideShape(many=True)


class HolderShape(serializers.Serializer[Any]):
    kind = Text()
    id = Text()
    name = Text()
    amount = Number()


class MustGoShape(serializers.Serializer[Any]):
    resource = Text()
    used = Number()
    limit = Number()
    over = Number()
    holders = HolderShape(many=True)


class PlanChangeShape(serializers.Serializer[Any]):
    """remaining: of the new quota, negative where it is too small. price_delta_minor: null if prices do not compare.

    traffic_remaining_bytes: of this month's; null without limit.
    """

    current = Text()
    plan = PlanTermsShape()
    allowance = AllowanceShape()
    usage = QuotaShape()
    remaining = QuotaShape()
    traffic_remaining_bytes = Number(allow_null=True)
    price_delta_minor = Number(allow_null=True)
    fits = serializers.BooleanField()
    must_go = MustGoShape(many=True)


class ImportedShape(serializers.Serializer[Any]):
    created = serializers.ListField(child=Text())
    changed = serializers.ListField(child=Text())
    unchanged = serializers.ListField(child=Text())


class PlanFileShape(serializers.Serializer[Any]):
    freehold_plans = Number()
    plans = serializers.ListField(child=serializers.DictField())


class UpdatePlanShape(UpdateShape):
    """With what the cloud's use would be. price_delta: plans cover what fits into them, so it adds nothing."""

    quota = QuotaShape()
    quota_after = QuotaShape()
    price_delta = Number()


def plan_document(plan: Plan) -> Document:
    entry = plan_entry(plan)
    return {name: value for name, value in entry.items() if name not in ("is_visible", "archived")}


def operator_plan_document(plan: Plan) -> Document:
    """`plan` as `access.plans_for` gives it."""
    return {**plan_entry(plan), "clouds": getattr(plan, "clouds", 0)}


def allowance_document(allowance: Allowance) -> Document:
    return {
        "quota": quota_document(allowance.quota),
        "builds": allowance.builds,
        "sleep_after_s": allowance.sleep_after_s,
        "domains": allowance.domains,
        "backups_kept": allowance.backups_kept,
        "traffic_bytes": allowance.traffic_bytes,
        "rate_class": allowance.rate_class,
    }


def own_override_document(override: Override) -> Document:
    return {
        "id": override.pk,
        "figures": override.figures,
        "reason": override.reason,
        "ends_at": moment(override.ends_at),
    }


def override_document(override: Override) -> Document:
    """`override` with who granted it."""
    return {
        **own_override_document(override),
        "counts": override.counts_now,
        "granted_by": override.granted_by.handle if override.granted_by else None,
        "created_at": moment(override.created_at),
        "ended_at": moment(override.ended_at),
    }


def cloud_plan_document(cloud: Cloud, usage: Quota) -> Document:
    """`cloud` with plan."""
    counting = [override for override in cloud.overrides.all() if override.counts_now]
    return {
        "plan": plan_document(cloud.plan),
        "allowance": allowance_document(cloud.allowance),
        "usage": quota_document(usage),
        "overrides": [own_override_document(override) for override in counting],
    }


def plan_change_document(change: PlanChange) -> Document:
    return {
        "current": change.current.pk,
        "plan": plan_document(change.plan),
        "allowance": allowance_document(change.after),
        "usage": quota_document(change.use),
        "remaining": quota_document(change.left),
        "traffic_remaining_bytes": change.traffic_left,
        "price_delta_minor": change.price_delta_minor,
        "fits": change.fits,
        "must_go": must_go_detail(change),
    }


def imported_document(imported: Imported) -> Document:
    return {
        "created": list(imported.created),
        "changed": list(imported.changed),
        "unchanged": list(imported.unchanged),
    }
