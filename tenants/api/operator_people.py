"""For operators: people, what happened to them, and what support does for them."""

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, Moment, Number, OperationShape, Text, errors, page_of
from tenants.api.base import Endpoint, Strict, operator
from tenants.api.pagination import LongPages
from tenants.models import Cloud, Event, Operation, User
from tenants.representation import moment, operation_document
from tenants.services import desk, figures, support
from tenants.services.idempotency import Answer


class PersonShape(serializers.Serializer[Any]):
    """role: of an operator, else empty. cloud: its id; null where there is none any more."""

    id = Text()
    email = Text()
    handle = Text()
    role = Text()
    is_active = serializers.BooleanField()
    joined_at = Moment()
    cloud = Text(allow_null=True)
    cloud_state = Text(allow_null=True)
    plan = Text(allow_null=True)


class EventShape(serializers.Serializer[Any]):
    at = Moment()
    cloud = Text()
    subject = Text()
    kind = Text()
    before = Text()
    after = Text()
    actor = Text()
    reason = Text()


class LoadShape(serializers.Serializer[Any]):
    cell = Text()
    clouds = Number()
    awake = Number()
    installed = Number()
    cpu_millis = Number()
    memory_mib = Number()


class CloudStateShape(serializers.Serializer[Any]):
    id = Text()
    state = Text()
    state_reason = Text()


class Reason(Strict):
    reason = serializers.CharField(max_length=support.REASON_LIMIT)


class Role(Strict):
    """role: support, billing, admin, or empty for nobody in particular. reason: kept."""

    role = serializers.CharField(max_length=10, allow_blank=True)
    reason = serializers.CharField(max_length=support.REASON_LIMIT)


def person_document(user: User) -> dict[str, Any]:
    cloud = getattr(user, "cloud", None)
    return {
        "id": user.pk,
        "email": user.email,
        "handle": user.handle,
        "role": user.operator_role if user.is_staff else "",
        "is_active": user.is_active,
        "joined_at": moment(user.date_joined),
        "cloud": cloud.pk if cloud else None,
        "cloud_state": cloud.state if cloud else None,
        "plan": cloud.plan_id if cloud else None,
    }


def event_document(event: Event) -> dict[str, Any]:
    told = {name: getattr(event, name) for name in ("subject", "kind", "before", "after", "actor", "reason")}
    return {"at": moment(event.at), "cloud": event.cloud_id, **told}


class People(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_people_list",
        responses={200: page_of(PersonShape), **errors()},
        parameters=[OpenApiParameter("q"), *PAGE],
    )
    def get(self, request: Request) -> Response:
        """`q`: the beginning of a handle or address, an id, or a namespace."""
        operator(request)
        asked = request.query_params.get("q", "").strip()[:100].replace("\x00", "")
        return self.pages(request, desk.people(asked), person_document, LongPages)


class OnePerson(Endpoint):
    area = "operator:people"

    @extend_schema(operation_id="operator_people_retrieve", responses={200: PersonShape, **errors(404)})
    def get(self, request: Request, user_id: str) -> Response:
        operator(request)
        return Response(person_document(get_object_or_404(desk.people(), pk=user_id)))


class Confirmation(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_people_confirmation",
        request=Reason,
        responses={204: None, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, user_id: str) -> Response:
        """Mail the confirmation of their address again."""
        actor, row = operator(request), get_object_or_404(User, pk=user_id)
        reason = self.body(request, Reason)["reason"]

        def act() -> Answer:
            support.resend_confirmation(actor, row, reason)
            return Answer(204, {})

        return self.once(request, act)


class PersonRole(Endpoint):
    area = "operator:operators"

    @extend_schema(
        operation_id="operator_people_role",
        request=Role,
        responses={200: PersonShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def put(self, request: Request, user_id: str) -> Response:
        """Make somebody an operator, or none."""
        actor, row = operator(request), get_object_or_404(User, pk=user_id)
        sent = self.body(request, Role)

        def act() -> Answer:
            return Answer(200, person_document(support.appoint(actor, row, sent["role"], sent["reason"])))

        return self.once(request, act)


def _act(endpoint: Endpoint, request: Request, cloud_id: str, act: Callable[[User, Cloud, str], Cloud]) -> Response:
    """Do `act` to a cloud, for the reason that was sent."""
    actor = operator(request)
    cloud, reason = access.cloud_for(actor, cloud_id), endpoint.body(request, Reason)["reason"]

    def once() -> Answer:
        row = act(actor, cloud, reason)
        return Answer(200, {"id": row.pk, "state": row.state, "state_reason": row.state_reason})

    return endpoint.once(request, once)


class Suspend(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_clouds_suspend",
        request=Reason,
        responses={200: CloudStateShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, cloud_id: str) -> Response:
        """Stop everything in it. Its owner reads the reason, and can export and close."""
        return _act(self, request, cloud_id, support.suspend_cloud)


class Restore(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_clouds_restore",
        request=Reason,
        responses={200: CloudStateShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, cloud_id: str) -> Response:
        """What ran before it was suspended starts again."""
        return _act(self, request, cloud_id, support.restore_cloud)


class RetryOperation(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_operations_retry",
        request=Reason,
        responses={202: OperationShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, operation_id: str) -> Response:
        """Try again what failed, for whomever it failed."""
        actor, row = operator(request), get_object_or_404(Operation, pk=operation_id)
        reason = self.body(request, Reason)["reason"]
        return self.once(request, lambda: Answer(202, operation_document(support.retry_for(actor, row, reason))))


class Audit(Endpoint):
    area = "operator:audit"

    @extend_schema(
        operation_id="operator_audit_list",
        responses={200: page_of(EventShape), **errors()},
        parameters=[OpenApiParameter("cloud"), OpenApiParameter("actor"), OpenApiParameter("subject"), *PAGE],
    )
    def get(self, request: Request) -> Response:
        """What happened, the newest first: of one cloud, by one person, or to one thing."""
        operator(request)
        asked = {
            name: request.query_params.get(name, "")[:40].replace("\x00", "") for name in ("cloud", "actor", "subject")
        }
        rows = desk.events(cloud_id=asked["cloud"], actor=asked["actor"], subject=asked["subject"])
        return self.pages(request, rows, event_document, LongPages)


class Cells(Endpoint):
    area = "operator:cells"

    @extend_schema(operation_id="operator_cells_list", responses={200: LoadShape(many=True), **errors()})
    def get(self, request: Request) -> Response:
        """Where clouds are, and what runs there."""
        operator(request)
        return Response([vars(load) for load in figures.now().loads])
