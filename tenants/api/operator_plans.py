"""For operators: the plans, and what single clouds get beside theirs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, OperationShape, errors, page_of
from tenants.api.base import Endpoint, person
from tenants.api.instances import flag
from tenants.api.plan_shapes import (
    CloudPlanShape,
    ImportedShape,
    OperatorPlanShape,
    OverrideShape,
    PlanChangeShape,
    PlanFileShape,
    cloud_plan_document,
    imported_document,
    operator_plan_document,
    override_document,
    plan_change_document,
)
from tenants.api.plans import DRY_RUN
from tenants.api.requests import NewOverride, NewPlan, OperatorPlanWish, OverrideEnd, PlanTerms
from tenants.models import Operation
from tenants.representation import operation_document
from tenants.services import overrides, plan_changes, plan_files, plans
from tenants.services.idempotency import Answer
from tenants.services.quota import use_of

AREA = "operator:plans"


class Plans(Endpoint):
    area = AREA

    @extend_schema(
        operation_id="operator_plans_list", responses={200: page_of(OperatorPlanShape), **errors()}, parameters=PAGE
    )
    def get(self, request: Request) -> Response:
        """All plans, those too that nobody may choose."""
        return self.pages(request, access.plans_for(person(request)), operator_plan_document)

    @extend_schema(
        operation_id="operator_plans_create",
        request=NewPlan,
        responses={201: OperatorPlanShape, **errors(422)},
        parameters=[KEY],
    )
    def post(self, request: Request) -> Response:
        operator, sent = person(request), self.body(request, NewPlan)
        slug = sent.pop("slug")
        return self.once(request, lambda: Answer(201, operator_plan_document(plans.create_plan(operator, slug, sent))))


class OnePlan(Endpoint):
    area = AREA

    @extend_schema(operation_id="operator_plans_retrieve", responses={200: OperatorPlanShape, **errors(404)})
    def get(self, request: Request, slug: str) -> Response:
        return Response(operator_plan_document(access.plan_for(person(request), slug)))

    @extend_schema(
        operation_id="operator_plans_change",
        request=PlanTerms,
        responses={200: OperatorPlanShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Other terms, for every cloud that has it. `archived`: nobody chooses it any more, whoever has it keeps it."""
        operator, sent = person(request), self.body(request, PlanTerms)
        plan = access.plan_for(operator, slug)

        def act() -> Answer:
            terms = {name: value for name, value in sent.items() if name != "archived"}
            plans.edit_plan(operator, plan.pk, terms)
            if "archived" in sent:
                plans.archive_plan(operator, plan.pk, archived=sent["archived"])
            return Answer(200, operator_plan_document(access.plan_for(operator, slug)))

        return self.once(request, act)

    @extend_schema(operation_id="operator_plans_destroy", responses={204: None, **errors(404, 409)}, parameters=[KEY])
    def delete(self, request: Request, slug: str) -> Response:
        """Only one that no cloud has or had."""
        operator = person(request)

        def act() -> Answer:
            plans.delete_plan(operator, access.plan_for(operator, slug).pk)
            return Answer(204, None)

        return self.once(request, act)


class PlanFile(Endpoint):
    area = AREA

    @extend_schema(operation_id="operator_plans_export", responses={200: PlanFileShape, **errors()})
    def get(self, request: Request) -> Response:
        """All plans as a file, for version control or another installation."""
        return Response(plan_files.export_plans())

    @extend_schema(
        operation_id="operator_plans_import",
        request=PlanFileShape,
        responses={200: ImportedShape, **errors(422)},
        parameters=[KEY, DRY_RUN],
    )
    def post(self, request: Request) -> Response:
        """Make and change plans as the file says, all or nothing. What it does not name stays."""
        operator, dry_run = person(request), flag(request, "dry_run")

        def act() -> Answer:
            return Answer(200, imported_document(plan_files.import_plans(operator, request.data, dry_run=dry_run)))

        return Response(act().body) if dry_run else self.once(request, act)


class CloudPlan(Endpoint):
    area = AREA

    @extend_schema(operation_id="operator_clouds_plan", responses={200: CloudPlanShape, **errors(404)})
    def get(self, request: Request, cloud_id: str) -> Response:
        cloud = access.cloud_for(person(request), cloud_id)
        return Response(cloud_plan_document(cloud, use_of(cloud)))

    @extend_schema(
        operation_id="operator_clouds_plan_change",
        request=OperatorPlanWish,
        responses={202: OperationShape, 200: PlanChangeShape, **errors(404, 409, 422)},
        parameters=[KEY, DRY_RUN],
    )
    def post(self, request: Request, cloud_id: str) -> Response:
        """Give a cloud another plan, an invisible one too. `reason` is kept."""
        operator, sent = person(request), self.body(request, OperatorPlanWish)
        cloud = access.cloud_for(operator, cloud_id)
        if flag(request, "dry_run"):
            plan = plan_changes.chosen_plan(sent["plan"], by_operator=True)
            return Response(plan_change_document(plan_changes.plan_change(cloud, plan)))

        def act() -> Answer:
            operation = plan_changes.change_plan(operator, cloud, sent["plan"], by_operator=True, reason=sent["reason"])
            return Answer(202, operation_document(Operation.objects.prefetch_related("steps").get(pk=operation.pk)))

        return self.once(request, act)


class Overrides(Endpoint):
    area = AREA

    @extend_schema(
        operation_id="operator_overrides_list",
        responses={200: page_of(OverrideShape), **errors(404)},
        parameters=PAGE,
    )
    def get(self, request: Request, cloud_id: str) -> Response:
        """What a cloud was ever given beside its plan, newest first."""
        return self.pages(request, access.overrides_for(person(request), cloud_id), override_document)

    @extend_schema(
        operation_id="operator_overrides_create",
        request=NewOverride,
        responses={201: OverrideShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, cloud_id: str) -> Response:
        """Overrule figures of the plan, until `ends_at` or until it is deleted."""
        operator, sent = person(request), self.body(request, NewOverride)
        cloud = access.cloud_for(operator, cloud_id)

        def act() -> Answer:
            figures: dict[str, Any] = sent["figures"]
            made = overrides.grant_override(
                operator, cloud, figures, reason=sent["reason"], ends_at=sent.get("ends_at")
            )
            return Answer(201, override_document(made))

        return self.once(request, act)


class OneOverride(Endpoint):
    area = AREA

    @extend_schema(
        operation_id="operator_overrides_end",
        request=OverrideEnd,
        responses={200: OverrideShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def delete(self, request: Request, cloud_id: str, override_id: str) -> Response:
        """End it now; it stays in the list. Again: changes nothing."""
        operator, reason = person(request), self.body(request, OverrideEnd)["reason"]

        def act() -> Answer:
            override = access.override_for(operator, cloud_id, override_id)
            return Answer(200, override_document(overrides.end_override(operator, override, reason=reason)))

        return self.once(request, act)
