"""Settings and versions of one instance."""

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, ConfigShape, OperationShape, UpdateShape, errors
from tenants.api.base import Document, Endpoint, person
from tenants.api.instances import accepted, flag
from tenants.api.plan_shapes import UpdatePlanShape
from tenants.api.requests import UpdateWish
from tenants.api.shapes import room_document, update_document
from tenants.errors import Refused
from tenants.models import Instance
from tenants.services import quota, updates
from tenants.services.configuration import Setting, settings_of
from tenants.services.idempotency import Answer

DRY_RUN = OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Only say what it would change: 200 and a plan.")


class Config(Endpoint):
    area = "instances"

    @extend_schema(operation_id="instances_config", responses={200: ConfigShape, **errors(404)})
    def get(self, request: Request, instance_id: str) -> Response:
        """The app's own settings and which have a value. Values are never told; PATCH the instance to change them."""
        instance = access.instance_for(person(request), instance_id)
        return Response({"settings": [_setting(setting) for setting in settings_of(instance)]})


class Update(Endpoint):
    area = "instances"

    @extend_schema(operation_id="instances_update_offer", responses={200: UpdateShape, **errors(404)})
    def get(self, request: Request, instance_id: str) -> Response:
        """What is offered: null in every field where it is up to date."""
        instance = access.instance_for(person(request), instance_id)
        return Response(update_document(instance, updates.plan_update(instance)))

    @extend_schema(
        operation_id="instances_update",
        request=UpdateWish,
        responses={202: OperationShape, 200: UpdatePlanShape, **errors(404, 409, 422)},
        parameters=[KEY, DRY_RUN],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """To another release, the newest if none is named. `consent` lists what it newly demands: see `needs_consent`."""
        user, wish = person(request), self.body(request, UpdateWish)
        instance = access.instance_for(user, instance_id)
        if flag(request, "dry_run"):
            return Response(_planned(instance, wish.get("release")))

        def act() -> Answer:
            return accepted(
                user,
                updates.update_instance(
                    user, instance, release_id=wish.get("release"), consent=frozenset(wish.get("consent", ()))
                ),
            )

        return self.once(request, act)


class Rollback(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="instances_rollback",
        request=None,
        responses={202: OperationShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """Back to the version before the last update."""
        user = person(request)
        instance = access.instance_for(user, instance_id)
        return self.once(request, lambda: accepted(user, updates.rollback_instance(user, instance)))


@transaction.atomic
def _planned(instance: Instance, release_id: str | None) -> Document:
    """What an update would take, and leave. Raises QuotaExceeded as the update itself would."""
    cloud = quota.lock(instance.cloud_id)
    plan = updates.plan_update(instance, release_id)
    if plan is None:
        raise Refused("up_to_date", "There is no newer version.", field="release")
    _, extra = updates.needs_after(instance, plan.release.revision)
    then = quota.require(cloud, extra)
    return {**update_document(instance, plan), **room_document(then, cloud.quota)}


def _setting(setting: Setting) -> Document:
    return {
        "name": setting.name,
        "description": setting.description,
        "micros": list(setting.micros),
        "is_set": setting.is_set,
        "has_default": setting.has_default,
    }
