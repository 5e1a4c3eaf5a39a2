"""Who may enter an instance beside its owner: keys for programs, people who are invited, and what others share with one."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, OperationShape, errors, page_of
from tenants.api.base import Endpoint, person
from tenants.api.instances import accepted
from tenants.api.requests import Invited, NewAppKey
from tenants.api.sharing_shapes import (
    AppKeyShape,
    GuestShape,
    IssuedAppKeyShape,
    SharedShape,
    app_key_document,
    guest_document,
    shared_document,
)
from tenants.errors import Conflict
from tenants.services import app_keys, sharing
from tenants.services.idempotency import Answer
from tenants.services.instances import renew_calls_key


class AppKeys(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="instances_keys_list", responses={200: page_of(AppKeyShape), **errors(404)}, parameters=PAGE
    )
    def get(self, request: Request, instance_id: str) -> Response:
        """Keys that programs may show to the app, without their secrets."""
        instance = access.instance_for(person(request), instance_id)
        return self.pages(request, instance.app_keys.order_by("-created_at"), app_key_document)

    @extend_schema(
        operation_id="instances_keys_create",
        request=NewAppKey,
        responses={201: IssuedAppKeyShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """A key to the private paths of one micro, or of all that take keys. Programs send it as X-Space-App-Key. It is
        shown this once."""
        user, sent = person(request), self.body(request, NewAppKey)
        instance = access.instance_for(user, instance_id)

        def act() -> Answer:
            key, text = app_keys.make_key(user, instance, **sent)
            return Answer(201, app_key_document(key), secret={"key": text})

        answer = self.once(request, act)
        if "Idempotent-Replayed" in answer.headers:
            # What was shown once is kept nowhere, so it cannot be shown again.
            detail = {"id": answer.data["id"]}
            raise Conflict("key_shown_already", "This key was made and shown already.", detail=detail)
        return answer


class OneAppKey(Endpoint):
    area = "instances"

    @extend_schema(operation_id="instances_keys_destroy", responses={204: None, **errors(404)}, parameters=[KEY])
    def delete(self, request: Request, instance_id: str, key_id: str) -> Response:
        """Whoever holds it is refused within five seconds."""
        user = person(request)

        def act() -> Answer:
            app_keys.revoke_key(user, access.app_key_for(user, instance_id, key_id))
            return Answer(204, None)

        return self.once(request, act)


class RenewOwnKey(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="instances_keys_renew",
        request=None,
        responses={202: OperationShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """Another key for the calls between its own micros (DETA_API_KEY), which start afresh with it."""
        user = person(request)
        instance = access.instance_for(user, instance_id)
        return self.once(request, lambda: accepted(user, renew_calls_key(user, instance)))


class People(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="instances_people_list", responses={200: page_of(GuestShape), **errors(404)}, parameters=PAGE
    )
    def get(self, request: Request, instance_id: str) -> Response:
        """Who was invited, and what they answered."""
        return self.pages(request, access.shares_of(access.instance_for(person(request), instance_id)), guest_document)

    @extend_schema(
        operation_id="instances_people_create",
        request=Invited,
        responses={201: GuestShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, instance_id: str) -> Response:
        """Invite somebody by e-mail. The answer is the same whether or not the address has an account."""
        user, sent = person(request), self.body(request, Invited)
        instance = access.instance_for(user, instance_id)
        return self.once(request, lambda: Answer(201, guest_document(sharing.invite(user, instance, sent["email"]))))


class OneGuest(Endpoint):
    area = "instances"

    @extend_schema(operation_id="instances_people_destroy", responses={204: None, **errors(404)}, parameters=[KEY])
    def delete(self, request: Request, instance_id: str, share_id: str) -> Response:
        """Take the invitation back, or let them in no more: within five seconds."""
        user = person(request)

        def act() -> Answer:
            sharing.end(user, access.share_for(user, instance_id, share_id))
            return Answer(204, None)

        return self.once(request, act)


class Shared(Endpoint):
    area = "instances"

    @extend_schema(operation_id="shared_list", responses={200: page_of(SharedShape), **errors()}, parameters=PAGE)
    def get(self, request: Request) -> Response:
        """Other people's instances that one may enter or is invited to; open invitations first."""
        return self.pages(request, access.shared_with(person(request)), shared_document)


class OneShared(Endpoint):
    area = "instances"

    @extend_schema(operation_id="shared_destroy", responses={204: None, **errors(404)}, parameters=[KEY])
    def delete(self, request: Request, share_id: str) -> Response:
        """Leave. Only another invitation leads back."""
        user = person(request)

        def act() -> Answer:
            sharing.end(user, access.share_with(user, share_id))
            return Answer(204, None)

        return self.once(request, act)


class Accept(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="shared_accept",
        request=None,
        responses={200: SharedShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request, share_id: str) -> Response:
        return _answer(self, request, share_id, accept=True)


class Decline(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="shared_decline",
        request=None,
        responses={200: SharedShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request, share_id: str) -> Response:
        return _answer(self, request, share_id, accept=False)


def _answer(endpoint: Endpoint, request: Request, share_id: str, *, accept: bool) -> Response:
    user = person(request)

    def act() -> Answer:
        sharing.answer(user, access.share_with(user, share_id), accept=accept)
        return Answer(200, shared_document(access.share_with(user, share_id)))

    return endpoint.once(request, act)
