"""Scheduled actions of one instance. An action's id is the one that the Spacefile gives it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, Moment, Number, Text, errors, page_of
from tenants.api.base import Document, Endpoint, Strict, person
from tenants.models import Action
from tenants.representation import moment, run_document
from tenants.services import actions
from tenants.services.actions import INTERVAL_LIMIT, Scheduled
from tenants.services.idempotency import Answer


class RunShape(serializers.Serializer[Any]):
    """state: queued, running, succeeded, failed or lost (nobody knows what the app did). answer: its beginning."""

    id = Text()
    trigger = Text()
    state = Text()
    due_at = Moment()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)
    duration_ms = Number(allow_null=True)
    http_status = Number(allow_null=True)
    answer = Text()
    error = Text(allow_null=True)


class ActionShape(serializers.Serializer[Any]):
    """interval: what counts; default_interval: the app's own. next_run_at: null while it is switched off."""

    id = Text()
    micro = Text()
    name = Text()
    description = Text()
    interval = Text()
    default_interval = Text()
    interval_in_words = Text()
    enabled = serializers.BooleanField()
    next_run_at = Moment(allow_null=True)
    last_run = RunShape(allow_null=True)


class ActionsShape(serializers.Serializer[Any]):
    next = Text(allow_null=True)
    results = ActionShape(many=True)


class ActionChanges(Strict):
    interval = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=INTERVAL_LIMIT,
        help_text="A rate (“15 minutes”) or five cron fields in UTC; null: the app's own.",
    )
    enabled = serializers.BooleanField(required=False)


class Actions(Endpoint):
    area = "instances"

    @extend_schema(operation_id="actions_list", responses={200: ActionsShape, **errors(404)})
    def get(self, request: Request, instance_id: str) -> Response:
        """All of them, at most 25: an app has no more."""
        instance = access.instance_for(person(request), instance_id)
        return Response({"next": None, "results": [_document(one) for one in actions.scheduled(instance)]})


class OneAction(Endpoint):
    area = "instances"

    @extend_schema(operation_id="actions_retrieve", responses={200: ActionShape, **errors(404)})
    def get(self, request: Request, instance_id: str, action_id: str) -> Response:
        return Response(_shown(access.action_for(person(request), instance_id, action_id)))

    @extend_schema(
        operation_id="actions_partial_update",
        request=ActionChanges,
        responses={200: ActionShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def patch(self, request: Request, instance_id: str, action_id: str) -> Response:
        """Another interval, or on or off. It is counted from now; updates of the app keep it."""
        user = person(request)
        action = access.action_for(user, instance_id, action_id)
        wish = self.body(request, ActionChanges)

        def act() -> Answer:
            changed = actions.change_action(
                user,
                action,
                interval=wish.get("interval"),
                own_interval="interval" in wish and wish["interval"] is None,
                is_on=wish.get("enabled"),
            )
            return Answer(200, _shown(changed))

        return self.once(request, act)


class RunNow(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="actions_run", request=None, responses={202: RunShape, **errors(404, 409)}, parameters=[KEY]
    )
    def post(self, request: Request, instance_id: str, action_id: str) -> Response:
        """Do it once, now. Its own times stay what they are."""
        user = person(request)
        action = access.action_for(user, instance_id, action_id)
        return self.once(request, lambda: Answer(202, run_document(actions.run_now(user, action))))


class Runs(Endpoint):
    area = "instances"

    @extend_schema(operation_id="actions_runs", responses={200: page_of(RunShape), **errors(404)}, parameters=PAGE)
    def get(self, request: Request, instance_id: str, action_id: str) -> Response:
        """The last fifty, newest first."""
        action = access.action_for(person(request), instance_id, action_id)
        return self.pages(request, action.runs.all(), run_document)


class OneRun(Endpoint):
    area = "instances"

    @extend_schema(operation_id="actions_run_retrieve", responses={200: RunShape, **errors(404)})
    def get(self, request: Request, instance_id: str, action_id: str, run_id: str) -> Response:
        return Response(run_document(access.action_run_for(person(request), instance_id, action_id, run_id)))


def _shown(action: Action) -> Document:
    return _document(actions.with_last([action])[0])


def _document(one: Scheduled) -> Document:
    action = one.action
    return {
        "id": action.key,
        "micro": action.micro,
        "name": action.name,
        "description": action.description,
        "interval": action.chosen_interval,
        "default_interval": action.default_interval,
        "interval_in_words": one.words,
        "enabled": action.is_on,
        "next_run_at": moment(action.next_due),
        "last_run": run_document(one.last) if one.last else None,
    }
