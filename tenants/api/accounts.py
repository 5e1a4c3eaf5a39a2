"""Signing up, and tokens."""

from allauth.account.models import EmailAddress
from django.contrib.auth import authenticate
from django.utils.crypto import salted_hmac
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, AccountShape, IssuedTokenShape, TokenShape, errors, page_of
from tenants.api.base import OPEN, Endpoint, person
from tenants.api.requests import NewAccount, NewToken
from tenants.api.shapes import account_document, token_document
from tenants.api.throttles import SignIns, SignUps
from tenants.errors import Conflict, Refused
from tenants.models import User
from tenants.services import tokens
from tenants.services.accounts import is_verified, register, require_open
from tenants.services.idempotency import Answer


class Unverified(Refused):
    status = 403


class WrongPassword(Refused):
    status = 401


class Accounts(Endpoint):
    authentication_classes = ()
    permission_classes = OPEN
    throttle_classes = (SignUps,)

    @extend_schema(
        operation_id="accounts_create",
        request=NewAccount,
        responses={201: AccountShape, **errors(409, 422, 429)},
        parameters=[KEY],
    )
    def post(self, request: Request) -> Response:
        """Become somebody: an account with a cloud, where sign-up is open."""
        require_open()
        sent = self.body(request, NewAccount)
        made: list[User] = []

        def act() -> Answer:
            made.append(register(**sent))
            return Answer(201, account_document(made[0], made[0].cloud))

        answer = self.once(request, act, who=_newcomer(sent["email"]))
        if made and not is_verified(made[0]):
            address = EmailAddress.objects.get(user=made[0])
            address.send_confirmation(request._request, signup=True)
        return answer


class Tokens(Endpoint):
    area = "tokens"
    throttle_classes = (SignIns,)

    def get_authenticators(self) -> list:  # type: ignore[type-arg]
        return [] if self._issues() else super().get_authenticators()

    def get_permissions(self) -> list:  # type: ignore[type-arg]
        return [AllowAny()] if self._issues() else list(super().get_permissions())

    def _issues(self) -> bool:
        request = getattr(self, "request", None)
        return request is not None and request.method == "POST"

    @extend_schema(operation_id="tokens_list", responses={200: page_of(TokenShape), **errors()}, parameters=PAGE)
    def get(self, request: Request) -> Response:
        """One's tokens, without their secrets."""
        return self.pages(request, access.tokens_of(person(request)), token_document)

    @extend_schema(
        operation_id="tokens_create",
        request=NewToken,
        responses={201: IssuedTokenShape, **errors(409, 422, 429)},
        parameters=[KEY],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Issue a token for an e-mail address and its password. It is shown this once."""
        sent = self.body(request, NewToken)
        user = authenticate(email=sent.pop("email"), password=sent.pop("password"))
        if not isinstance(user, User) or not user.is_active:
            raise WrongPassword("invalid_credentials", "E-mail address and password do not belong together.")
        if not is_verified(user):
            raise Unverified("email_unverified", "Confirm your e-mail address first: we sent you a link.")

        def act() -> Answer:
            token, plaintext = tokens.issue_token(user, **sent)
            return Answer(201, token_document(token), secret={"token": plaintext})

        answer = self.once(request, act, who=user.pk)
        if "Idempotent-Replayed" in answer.headers:
            # What was shown once is kept nowhere, so it cannot be shown again.
            detail = {"id": answer.data["id"]}
            raise Conflict("token_shown_already", "This token was issued and shown already.", detail=detail)
        return answer


class Token(Endpoint):
    area = "tokens"

    @extend_schema(operation_id="tokens_retrieve", responses={200: TokenShape, **errors(404)})
    def get(self, request: Request, token_id: str) -> Response:
        return Response(token_document(access.token_for(person(request), token_id)))

    @extend_schema(operation_id="tokens_destroy", responses={204: None, **errors(404)}, parameters=[KEY])
    def delete(self, request: Request, token_id: str) -> Response:
        """Revoke it; whoever holds it is refused from now on."""
        user = person(request)

        def act() -> Answer:
            tokens.revoke_token(user, access.token_for(user, token_id).pk)
            return Answer(204, None)

        return self.once(request, act)


def _newcomer(email: str) -> str:
    """Whose key it is before there is an account. Keyed, so that the table does not tell who tried."""
    return "new:" + salted_hmac("freehold.newcomer", email.strip().lower(), algorithm="sha256").hexdigest()[:64]
