"""For operators: how the whole installation is, what fails, and one cloud as its owner would see it."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import PAGE, CloudShape, Moment, Number, OperationShape, Text, errors, page_of
from tenants.api.base import Document, Endpoint, operator
from tenants.api.operator_people import LoadShape
from tenants.api.pagination import LongPages
from tenants.api.shapes import cloud_document
from tenants.api.usage import ASKED, UsageShape, usage_document
from tenants.errors import Refused
from tenants.models import Operation
from tenants.representation import moment, operation_document
from tenants.services import desk, figures
from tenants.services.figures import Figures
from tenants.services.quota import use_of
from tenants.states import WorkState

FAILING = "failing"


class IncomeShape(serializers.Serializer[Any]):
    """What plans bring in as they are priced now. minor: smallest units of the currency."""

    currency = Text()
    interval = Text()
    minor = Number()
    clouds = Number()


class DayShape(serializers.Serializer[Any]):
    """joined, succeeded, failed: of that day (UTC). The rest: as it was last counted on it."""

    day = serializers.DateField()
    people = Number()
    joined = Number()
    clouds = Number()
    running = Number()
    succeeded = Number()
    failed = Number()
    income = IncomeShape(many=True)


class WaitingShape(serializers.Serializer[Any]):
    """behind: instances that the cluster does not yet run as wanted."""

    reviews = Number()
    reports = Number()
    operations = Number()
    behind = Number()


class OverviewShape(serializers.Serializer[Any]):
    counted_at = Moment()
    people = Number()
    clouds = serializers.DictField(child=Number())
    instances = serializers.DictField(child=Number())
    cells = LoadShape(many=True)
    income = IncomeShape(many=True)
    waiting = WaitingShape()
    failing = Number()
    days = DayShape(many=True)


class OwnedOperationShape(OperationShape):
    cloud = Text()
    handle = Text()


class Overview(Endpoint):
    area = "operator:cells"

    @extend_schema(operation_id="operator_overview", responses={200: OverviewShape, **errors()})
    def get(self, request: Request) -> Response:
        """People, clouds and instances by state, cells, what plans bring in, what waits, and the last thirty days.

        Where there are many clouds it was counted up to ten minutes ago: at `counted_at`.
        """
        operator(request)
        now = figures.now()
        return Response(
            {
                "counted_at": moment(now.at),
                "people": now.people,
                "clouds": dict(now.clouds_by_state),
                "instances": dict(now.by_state),
                "cells": [asdict(load) for load in now.loads],
                "income": [asdict(income) for income in now.income],
                "waiting": asdict(desk.waiting()),
                "failing": desk.failing().count(),
                "days": [_day(str(day), found) for day, found in figures.history() if found],
            }
        )


def _day(day: str, found: Figures) -> Document:
    named = ("people", "joined", "clouds", "running", "succeeded", "failed")
    counted = {name: getattr(found, name) for name in named}
    return {"day": day, **counted, "income": [asdict(income) for income in found.income]}


class Operations(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_operations_list",
        responses={200: page_of(OwnedOperationShape), **errors(422)},
        parameters=[OpenApiParameter("state", enum=[FAILING, *WorkState.values]), OpenApiParameter("cloud"), *PAGE],
    )
    def get(self, request: Request) -> Response:
        """The newest first. `failing`: failed lately with nothing newer after it, and open for long."""
        operator(request)
        state, cloud = request.query_params.get("state", ""), request.query_params.get("cloud", "")
        if state not in ("", FAILING, *WorkState.values):
            raise Refused("invalid_state", f"state is {FAILING}, {', '.join(WorkState.values)}.", field="state")
        rows = desk.failing() if state == FAILING else desk.operations()
        rows = rows.filter(state=state) if state in WorkState.values else rows
        rows = rows.filter(cloud=cloud.replace("\x00", "")) if cloud else rows
        return self.pages(request, rows.prefetch_related("steps"), _owned, LongPages)


def _owned(operation: Operation) -> Document:
    return {**operation_document(operation), "cloud": operation.cloud_id, "handle": operation.cloud.owner.handle}


class OneCloud(Endpoint):
    area = "operator:people"

    @extend_schema(operation_id="operator_clouds_retrieve", responses={200: CloudShape, **errors(404)})
    def get(self, request: Request, cloud_id: str) -> Response:
        """Anybody's cloud, with its quota and what is used of it."""
        cloud = access.cloud_for(operator(request), cloud_id)
        return Response(cloud_document(cloud, use_of(cloud)))


class CloudUsage(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_clouds_usage", responses={200: UsageShape, **errors(404, 422)}, parameters=ASKED
    )
    def get(self, request: Request, cloud_id: str) -> Response:
        """What anybody's cloud used, over time and of this month by app: as `cloud/usage/` tells its owner."""
        return Response(usage_document(request, access.cloud_for(operator(request), cloud_id), ""))
