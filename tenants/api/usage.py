"""What one's cloud used."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.http import Http404
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, Moment, Number, Text, errors, page_of
from tenants.api.base import Document, Endpoint, person
from tenants.api.limit_shapes import (
    CapWish,
    LimitNoticeShape,
    StatementBriefShape,
    StatementShape,
    TrafficShape,
    notice_document,
    statement_document,
    traffic_document,
)
from tenants.errors import Refused
from tenants.models import Cloud
from tenants.representation import moment
from tenants.services import limits, statements, usage
from tenants.services.caps import cap_traffic
from tenants.services.idempotency import Answer

ASKED = [
    OpenApiParameter("by", enum=list(usage.Span)),
    OpenApiParameter("since", OpenApiTypes.DATETIME),
    OpenApiParameter("until", OpenApiTypes.DATETIME),
]


class UsedShape(serializers.Serializer[Any]):
    cpu_seconds = serializers.FloatField()
    memory_gb_hours = serializers.FloatField()
    storage_gb_hours = serializers.FloatField()
    requests = Number()
    bytes_in = Number()
    bytes_out = Number()


class PointShape(UsedShape):
    since = Moment()


class PartShape(UsedShape):
    subject = Text()
    title = Text()
    wakes = Number()
    builds = Number()
    runs = Number()


class UsageShape(serializers.Serializer[Any]):
    by = Text()
    points = PointShape(many=True)
    month = PartShape(many=True)
    traffic = TrafficShape()
    notices = LimitNoticeShape(many=True)


class Usage(Endpoint):
    area = "cloud"

    @extend_schema(
        operation_id="cloud_usage",
        responses={200: UsageShape, **errors(404, 422)},
        parameters=[*ASKED, OpenApiParameter("instance")],
    )
    def get(self, request: Request) -> Response:
        """Use over time, and of this month by app. A GB is 10⁹ bytes; hours and days are UTC and kept for 70 days.

        `subject` of a part is an instance's id, `data` or `builds`.
        """
        user = person(request)
        cloud = access.cloud_of(user)
        chosen = request.query_params.get("instance", "")
        subject = access.instance_for(user, chosen).pk if chosen else ""
        return Response(usage_document(request, cloud, subject))

    @extend_schema(
        operation_id="cloud_usage_change",
        request=CapWish,
        responses={200: TrafficShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def patch(self, request: Request) -> Response:
        """Whether the apps sleep once the month's traffic is used up, or before, at `cap_bytes`. What is left out stays."""
        user, wish = person(request), self.body(request, CapWish)
        cloud = access.cloud_of(user)

        def act() -> Answer:
            before = limits.standing(cloud)
            is_on = wish.get("hard_cap", before.traffic.is_capped)
            most_bytes = wish.get("cap_bytes", before.cap_bytes if is_on else None)
            cap_traffic(user, cloud, is_on=is_on, most_bytes=most_bytes)
            return Answer(200, traffic_document(limits.standing(cloud)))

        return self.once(request, act)


class Statements(Endpoint):
    area = "cloud"

    @extend_schema(
        operation_id="cloud_usage_statements",
        responses={200: page_of(StatementBriefShape), **errors(404)},
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        """The months in which something was used, the newest first."""
        found = statements.months(access.cloud_of(person(request)))
        closed = statements.closed()

        def brief(since: datetime) -> dict[str, Any]:
            return {"month": f"{since:%Y-%m}", "since": moment(since), "closed_at": moment(closed.of(since))}

        return self.pages(request, found, brief)


class OneStatement(Endpoint):
    area = "cloud"

    @extend_schema(operation_id="cloud_usage_statement", responses={200: StatementShape, **errors(404)})
    def get(self, request: Request, month: str) -> Response:
        """What a month took in whole units, by plan and by app. An hour after its end it is closed and stays as it is.

        `month` is like 2026-11. What comes late counts where the next month begins.
        """
        cloud, since = access.cloud_of(person(request)), statements.month_named(month)
        found = statements.statement(cloud, since) if since else None
        if found is None:
            raise Http404
        return Response(statement_document(found))


def usage_document(request: Request, cloud: Cloud, subject: str) -> Document:
    """What a cloud used, as ASKED; subject: of this alone, "" for all of it. Raises Refused naming the parameter."""
    by = request.query_params.get("by", usage.Span.DAY)
    if by not in list(usage.Span):
        raise Refused("invalid_by", f"by is one of {', '.join(usage.Span)}.", field="by")
    points = usage.series(cloud, usage.Span(by), _moment(request, "since"), _moment(request, "until"), subject)
    return {
        "by": by,
        "points": [{"since": moment(point.since), **asdict(point.used)} for point in points],
        "month": [_part(part) for part in usage.parts(cloud) if subject in ("", part.subject)],
        "traffic": traffic_document(limits.standing(cloud)),
        "notices": [notice_document(notice) for notice in limits.counting(cloud)],
    }


def _part(part: usage.Part) -> dict[str, Any]:
    events = {f"{what}s": part.events.get(what, 0) for what in ("wake", "build", "run")}
    return {"subject": part.subject, "title": part.title, **asdict(part.used), **events}


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Refused(f"invalid_{name}", "A date and time with its offset, like 2026-11-25T12:00:00Z.", field=name)
    return found
