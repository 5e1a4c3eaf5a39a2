"""What one's cloud used."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import Moment, Number, Text, errors
from tenants.api.base import Document, Endpoint, person
from tenants.errors import Refused
from tenants.models import Cloud
from tenants.representation import moment
from tenants.services import usage

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
