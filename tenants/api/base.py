"""What all endpoints share: scopes, strict bodies, answers given once."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.api.pagination import Pages
from tenants.models import ApiToken, User
from tenants.services.idempotency import Answer, fingerprint, once
from tenants.services.tokens import allows

Document = dict[str, Any]


class Strict(serializers.Serializer[Any]):
    """A request's body: what it does not list may not be sent."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError({unknown[0][:60]: ["There is no such field, or you may not set it."]})
        return super().to_internal_value(data)


class WithinScopes(BasePermission):
    """The token's scopes cover the endpoint's area."""

    message = "The token's scopes do not cover this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return False
        return allows(token, getattr(view, "area", ""), writes=request.method not in SAFE_METHODS)


class Endpoint(APIView):
    """area: what scopes call it."""

    area: ClassVar[str] = ""
    permission_classes = (WithinScopes,)

    def body(self, request: Request, serializer: type[Strict]) -> Document:
        found = serializer(data=request.data)
        found.is_valid(raise_exception=True)
        return dict(found.validated_data)

    def once(self, request: Request, act: Callable[[], Answer], asked: object = None, who: str | None = None) -> Response:
        """`act()` once per Idempotency-Key. asked: stands for the body where that is not JSON."""
        user = who if who is not None else person(request)
        mark = fingerprint(request.method, request.get_full_path(), request.data if asked is None else asked)
        answer = once(user, request.headers.get("Idempotency-Key"), mark, act)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
        return Response(answer.full if answer.status != 204 else None, status=answer.status, headers=headers)

    def pages(self, request: Request, rows: "QuerySet[Any]", document: Callable[[Any], Document]) -> Response:
        paginator = Pages()
        page = paginator.paginate_queryset(rows, request, view=self) or []
        return paginator.get_paginated_response([document(row) for row in page])


def person(request: Request) -> User:
    """Who asks. Only for endpoints that need a token."""
    if not isinstance(request.user, User):
        raise TypeError("this endpoint must require a token")
    return request.user

