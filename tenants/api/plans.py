"""What is offered, what one's cloud has of it, and changing that."""

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, OperationShape, errors, page_of
from tenants.api.base import OPEN, Endpoint, person
from tenants.api.instances import accepted, flag
from tenants.api.plan_shapes import (
    CloudPlanShape,
    PlanChangeShape,
    PlanTermsShape,
    cloud_plan_document,
    plan_change_document,
    plan_document,
)
from tenants.api.requests import PlanWish
from tenants.services.plan_changes import change_own_plan, chosen_plan, plan_change
from tenants.services.quota import use_of

DRY_RUN = OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Only say what it would change: 200.")


class Plans(Endpoint):
    permission_classes = OPEN

    @extend_schema(
        operation_id="billing_plans_list", responses={200: page_of(PlanTermsShape), **errors()}, parameters=PAGE
    )
    def get(self, request: Request) -> Response:
        """What anybody may choose, the cheapest first."""
        return self.pages(request, access.plans_offered(), plan_document)


class OwnPlan(Endpoint):
    area = "cloud"

    @extend_schema(operation_id="cloud_plan_retrieve", responses={200: CloudPlanShape, **errors(404)})
    def get(self, request: Request) -> Response:
        """The cloud's plan, what operators gave it beside, and what it may use in the end."""
        cloud = access.cloud_of(person(request))
        return Response(cloud_plan_document(cloud, use_of(cloud)))

    @extend_schema(
        operation_id="cloud_plan_change",
        request=PlanWish,
        responses={202: OperationShape, 200: PlanChangeShape, **errors(404, 409, 422)},
        parameters=[KEY, DRY_RUN],
    )
    def post(self, request: Request) -> Response:
        """Change to another plan. One that is too small is refused with `detail.must_go`, and nothing changes."""
        user, slug = person(request), self.body(request, PlanWish)["plan"]
        cloud = access.cloud_of(user)
        if flag(request, "dry_run"):
            with transaction.atomic():
                return Response(plan_change_document(plan_change(cloud, chosen_plan(slug))))
        return self.once(request, lambda: accepted(user, change_own_plan(user, cloud, slug)))
