"""How near a cloud is to what it may: what its owner was told of it, and this month's traffic."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from tenants.metering import month_of
from tenants.models import Cloud, Limited, LimitNotice, TrafficCap
from tenants.reconcile.alert_mails import consequence
from tenants.reconcile.alerts import Traffic, traffic_of
from tenants.services.lateness import Lateness, lateness


@dataclass(frozen=True)
class Notice:
    """For people: the highest threshold that counts now of one thing. is_full: it is used up."""

    what: str
    percent: int
    title: str
    text: str

    @property
    def is_full(self) -> bool:
        return self.percent >= 100


@dataclass(frozen=True)
class Standing:
    """This month's traffic. plan_bytes: what the plan gives, None without limit. ends_at: where it begins anew.

    cap_bytes: where its owner wants the apps to sleep, if that is before the plan's figure.
    """

    traffic: Traffic
    plan_bytes: int | None
    cap_bytes: int | None
    ends_at: datetime


def standing(cloud: Cloud) -> Standing:
    now = timezone.now()
    until = month_of(month_of(now) + timedelta(days=32))
    cap_bytes = TrafficCap.objects.filter(cloud=cloud).values_list("most_bytes", flat=True).first()
    return Standing(traffic_of(cloud.pk, now), cloud.allowance.traffic_bytes, cap_bytes, until)


def counting(cloud: Cloud) -> list[LimitNotice]:
    """What its owner was told and still holds."""
    return list(cloud.limit_notices.filter(ended_at__isnull=True).order_by("what", "percent"))


def notices(cloud: Cloud) -> list[Notice | Lateness]:
    """`cloud` as `access.cloud_with_notices` gives it; no queries."""
    highest: dict[str, int] = {}
    for told in getattr(cloud, "told", ()):
        highest[told["what"]] = max(told["percent"], highest.get(told["what"], 0))
    capped = bool(getattr(cloud, "is_capped", False))
    near = [
        Notice(what, percent, _title(what, percent), consequence(what, percent, is_capped=capped))
        for what, percent in sorted(highest.items())
    ]
    late = lateness(cloud)
    return [late, *near] if late else [*near]


def _title(what: str, percent: int) -> str:
    if percent >= 100:
        return "Your storage is full." if what == Limited.STORAGE else "This month’s traffic is used up."
    if what == Limited.STORAGE:
        return f"More than {percent} % of your storage is full."
    return f"More than {percent} % of this month’s traffic is used."
