"""Settings and versions of one instance."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, ConfigShape, OperationShape, UpdateShape, errors
from tenants.api.base import Document, Endpoint, person
from tenants.api.instances import accepted, flag
from tenants.api.requests import UpdateWish
from tenants.api.shapes import update_document
from tenants.errors import Refused
from tenants.services import updates
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
        responses={202: OperationShape, 200: UpdateShape, **errors(404, 409, 422)},
        parameters=[KEY, DRY_RUN],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """To another release, the newest if none is named. `consent` lists what it newly demands: see `needs_consent`."""
        user, wish = person(request), self.body(request, UpdateWish)
        instance = access.instance_for(user, instance_id)
        if flag(request, "dry_run"):
            plan = updates.plan_update(instance, wish.get("release"))
            if plan is None:
                raise Refused("up_to_date", "There is no newer version.", field="release")
            return Response(update_document(instance, plan))

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


def _setting(setting: Setting) -> Document:
    return {
        "name": setting.name,
        "description": setting.description,
        "micros": list(setting.micros),
        "is_set": setting.is_set,
        "has_default": setting.has_default,
    }
