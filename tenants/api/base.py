"""What all endpoints share: scopes, strict bodies, answers given once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.api.pagination import Pages
from tenants.api.permissions import WithinScopes
from tenants.models import User
from tenants.services.idempotency import Answer, fingerprint, once

Document = dict[str, Any]
Permissions = Sequence[type[BasePermission]]
OPEN: Permissions = (AllowAny,)  # no token needed


class Strict(serializers.Serializer[Any]):
    """A request's body: what it does not list may not be sent."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError({unknown[0][:60]: ["There is no such field, or you may not set it."]})
        return super().to_internal_value(data)


class Endpoint(APIView):
    """area: what scopes call it."""

    area: ClassVar[str] = ""
    permission_classes: Permissions = (WithinScopes,)

    def body(self, request: Request, serializer: type[Strict]) -> Document:
        found = serializer(data=request.data)
        found.is_valid(raise_exception=True)
        return dict(found.validated_data)

    def once(
        self, request: Request, act: Callable[[], Answer], asked: object = None, who: str | None = None
    ) -> Response:
        """`act()` once per Idempotency-Key. asked: stands for the body where that is not JSON."""
        user = who if who is not None else person(request)
        mark = fingerprint(request.method, request.get_full_path(), request.data if asked is None else asked)
        answer = once(user, request.headers.get("Idempotency-Key"), mark, act)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
        return Response(answer.full if answer.status != 204 else None, status=answer.status, headers=headers)

    def pages(
        self, request: Request, rows: "QuerySet[Any]", document: Callable[[Any], Document], by: type[Pages] = Pages
    ) -> Response:
        paginator = by()
        page = paginator.paginate_queryset(rows, request, view=self) or []
        return paginator.get_paginated_response([document(row) for row in page])


def operator(request: Request) -> User:
    """Whoever asks, if an operator: scopes say so already, and this is the second lock."""
    user = person(request)
    if not user.is_staff:
        raise Http404
    return user


def person(request: Request) -> User:
    """Who asks. Only for endpoints that need a token."""
    if not isinstance(request.user, User):
        raise TypeError("this endpoint must require a token")
    return request.user
