"""How near a cloud is to its limits, and what it used in a month: the documents and their schema."""

from typing import Any

from rest_framework import serializers

from tenants.api.answers import CloudShape, Moment, Number, Text
from tenants.api.base import Strict
from tenants.api.requests import Whole
from tenants.models import LimitNotice
from tenants.representation import moment
from tenants.services.lateness import Lateness
from tenants.services.limits import Standing
from tenants.services.statements import Line, Period, Statement, Units

Document = dict[str, Any]


class LimitNoticeShape(serializers.Serializer[Any]):
    """what: traffic or storage. percent: 80, 95 or 100. used_bytes, limit_bytes: as they were when it was told."""

    what = Text()
    percent = Number()
    used_bytes = Number()
    limit_bytes = Number()
    told_at = Moment()


class LateShape(serializers.Serializer[Any]):
    """state: past_due, asleep, suspended or closing. next_state begins at next_at unless the plan is paid for."""

    state = Text()
    began_at = Moment()
    since = Moment()
    next_state = Text(allow_null=True)
    next_at = Moment(allow_null=True)


class OwnCloudShape(CloudShape):
    notices = LimitNoticeShape(many=True)
    payment = LateShape(allow_null=True)


class TrafficShape(serializers.Serializer[Any]):
    """used_bytes: out of its apps in this month (UTC). plan_bytes: null without limit. hard_cap: the apps sleep when it is
    used up, or at cap_bytes where that is not null. is_asleep: they do, for this.
    """

    used_bytes = Number()
    plan_bytes = Number(allow_null=True)
    hard_cap = serializers.BooleanField()
    cap_bytes = Number(allow_null=True)
    is_asleep = serializers.BooleanField()
    ends_at = Moment()


class CapWish(Strict):
    hard_cap = serializers.BooleanField(required=False)
    cap_bytes = Whole(required=False, allow_null=True)


class UnitsShape(serializers.Serializer[Any]):
    """cpu_us: microseconds. …_byte_s: bytes times seconds."""

    cpu_us = Number()
    memory_byte_s = Number()
    storage_byte_s = Number()
    requests = Number()
    bytes_in = Number()
    bytes_out = Number()


class StatementLineShape(UnitsShape):
    subject = Text()
    title = Text()


class StatementPeriodShape(serializers.Serializer[Any]):
    plan = Text()
    plan_name = Text()
    since = Moment()
    total = UnitsShape()
    lines = StatementLineShape(many=True)


class StatementBriefShape(serializers.Serializer[Any]):
    """month: like 2026-11. closed_at: null while it may still grow."""

    month = Text()
    since = Moment()
    closed_at = Moment(allow_null=True)


class StatementShape(StatementBriefShape):
    total = UnitsShape()
    periods = StatementPeriodShape(many=True)


def late_document(late: Lateness) -> Document:
    return {
        "state": late.state,
        "began_at": moment(late.began_at),
        "since": moment(late.since),
        "next_state": late.next_state,
        "next_at": moment(late.next_at),
    }


def notice_document(notice: LimitNotice) -> Document:
    return {
        "what": notice.what,
        "percent": notice.percent,
        "used_bytes": notice.used_bytes,
        "limit_bytes": notice.limit_bytes,
        "told_at": moment(notice.told_at),
    }


def traffic_document(standing: Standing) -> Document:
    return {
        "used_bytes": standing.traffic.used_bytes,
        "plan_bytes": standing.plan_bytes,
        "hard_cap": standing.traffic.is_capped,
        "cap_bytes": standing.cap_bytes,
        "is_asleep": standing.traffic.is_held,
        "ends_at": moment(standing.ends_at),
    }


def statement_document(statement: Statement) -> Document:
    return {
        "month": f"{statement.since:%Y-%m}",
        "since": moment(statement.since),
        "closed_at": moment(statement.closed_at),
        "total": _units(statement.total),
        "periods": [_period(period) for period in statement.periods],
    }


def _period(period: Period) -> Document:
    return {
        "plan": period.plan,
        "plan_name": period.plan_name,
        "since": moment(period.since),
        "total": _units(period.total),
        "lines": [_line(line) for line in period.lines],
    }


def _line(line: Line) -> Document:
    return {"subject": line.subject, "title": line.title, **_units(line.units)}


def _units(units: Units) -> Document:
    return dict(units)
