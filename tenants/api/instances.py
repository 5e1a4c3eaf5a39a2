"""Instances and operations."""

from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import (
    KEY,
    PAGE,
    InstalledShape,
    InstanceShape,
    OperationShape,
    PlanShape,
    errors,
    page_of,
)
from tenants.api.base import Document, Endpoint, person
from tenants.api.requests import InstanceChanges, NewInstance
from tenants.api.shapes import (
    installed_document,
    instance_document,
    operation_document,
    plan_document,
)
from tenants.errors import Refused
from tenants.models import Operation, User
from tenants.services import instances, quota, sleeping, waking
from tenants.services.idempotency import Answer
from tenants.sizes import Size

DRY_RUN = OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Only say what it would take: 200 and a plan.")
DATA = OpenApiParameter("data", enum=["keep", "delete"], description="What becomes of its data; keep if absent.")


class Instances(Endpoint):
    area = "instances"

    @extend_schema(operation_id="instances_list", responses={200: page_of(InstanceShape), **errors()}, parameters=PAGE)
    def get(self, request: Request) -> Response:
        """One's instances, newest first, without those that were removed."""
        return self.pages(request, access.instances_of(person(request)), instance_document)

    @extend_schema(
        operation_id="instances_create",
        request=NewInstance,
        responses={202: InstalledShape, 200: PlanShape, **errors(404, 409, 422)},
        parameters=[KEY, DRY_RUN],
    )
    def post(self, request: Request) -> Response:
        """Install an app into one's cloud. collection: a kept one that it goes on with."""
        user, wishes = person(request), _wishes(self.body(request, NewInstance))
        if flag(request, "dry_run"):
            return Response(_plan(user, wishes))

        def act() -> Answer:
            return Answer(202, installed_document(*instances.install_app(user, **wishes)))

        return self.once(request, act)


class OneInstance(Endpoint):
    area = "instances"

    @extend_schema(operation_id="instances_retrieve", responses={200: InstanceShape, **errors(404)})
    def get(self, request: Request, instance_id: str) -> Response:
        return Response(instance_document(access.instance_for(person(request), instance_id)))

    @extend_schema(
        operation_id="instances_partial_update",
        request=InstanceChanges,
        responses={200: InstalledShape, 202: InstalledShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def patch(self, request: Request, instance_id: str) -> Response:
        """Another alias (the address stays), automatic updates or not, another idle time, or other settings, which
        restart it: then 202 with an operation. Settings that are left out keep their values; null takes one back to the
        app's default."""
        user = person(request)
        instance = access.instance_for(user, instance_id)
        changes = self.body(request, InstanceChanges)

        @transaction.atomic
        def act() -> Answer:
            others = {name: value for name, value in changes.items() if name != "sleep_after_s"}
            if "sleep_after_s" in changes:
                sleeping.choose_sleep_after(instance, changes["sleep_after_s"])
            changed, operation = instances.change_instance(user, instance, **others)
            body = {**instance_document(changed), "operation": operation.pk if operation else None}
            return Answer(202 if operation else 200, body)

        return self.once(request, act)

    @extend_schema(
        operation_id="instances_destroy",
        responses={202: OperationShape, **errors(404, 409, 422)},
        parameters=[KEY, DATA],
    )
    def delete(self, request: Request, instance_id: str) -> Response:
        """Remove it. Its data is kept unless `?data=delete`."""
        user = person(request)
        instance = access.instance_for(user, instance_id)
        data = request.query_params.get("data", "keep")
        if data not in ("keep", "delete"):
            raise Refused("invalid_data", "data is keep or delete.", field="data")

        def act() -> Answer:
            return accepted(user, instances.remove_instance(user, instance, delete_data=data == "delete"))

        return self.once(request, act)


class Restart(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="instances_restart",
        request=None,
        responses={202: OperationShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """Start it afresh; for one that failed this is another try."""
        user = person(request)
        instance = access.instance_for(user, instance_id)
        return self.once(request, lambda: accepted(user, instances.restart_instance(user, instance)))


class Sleep(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="instances_sleep",
        request=None,
        responses={202: OperationShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """Stop it until somebody needs it. What is open may end first; the operation fails where that takes too long."""
        user = person(request)
        instance = access.instance_for(user, instance_id)
        return self.once(request, lambda: accepted(user, sleeping.sleep_now(user, instance)))


class Wake(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="instances_wake",
        request=None,
        responses={202: OperationShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """Start it again. In a full cloud the longest idle make room for it; 422 where none of them may."""
        user = person(request)
        instance = access.instance_for(user, instance_id)
        return self.once(request, lambda: accepted(user, waking.wake_now(user, instance)))


class Operations(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="operations_list", responses={200: page_of(OperationShape), **errors()}, parameters=PAGE
    )
    def get(self, request: Request) -> Response:
        """What went on in one's cloud, newest first."""
        return self.pages(request, access.operations_of(person(request)), operation_document)


class OneOperation(Endpoint):
    area = "instances"

    @extend_schema(operation_id="operations_retrieve", responses={200: OperationShape, **errors(404)})
    def get(self, request: Request, operation_id: str) -> Response:
        return Response(operation_document(access.operation_for(person(request), operation_id)))


def _wishes(sent: Document) -> dict[str, Any]:
    wishes = {"app_slug": sent.pop("app"), "release_id": sent.pop("release", None), **sent}
    if "collection" in wishes:
        wishes["collection_id"] = wishes.pop("collection")
    if "size" in wishes:
        wishes["size"] = Size(**wishes["size"])
    return wishes


@transaction.atomic
def _plan(user: User, wishes: dict[str, Any]) -> Document:
    plan = instances.plan_install(user, **wishes)
    cloud = quota.lock(access.cloud_of(user).pk)
    return plan_document(plan, quota.require(cloud, plan.needs), cloud.quota)


def accepted(user: User, operation: Operation) -> Answer:
    return Answer(202, operation_document(access.operation_for(user, operation.pk)))


def flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise Refused(f"invalid_{name}", f"{name} is true or false.", field=name)
    return value in ("true", "1")
