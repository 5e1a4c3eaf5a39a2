"""`/api/v1/billing/…`: paying, cards and invoices, and what has been paid."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from provider.billing import paying
from tenants.api.answers import Moment, Number, Text, errors
from tenants.api.base import Endpoint, person
from tenants.api.requests import PlanWish
from tenants.representation import moment


class AddressShape(serializers.Serializer[Any]):
    """url: where the browser goes; null where the subscription was changed at once."""

    url = serializers.URLField(allow_null=True)


class InvoiceShape(serializers.Serializer[Any]):
    """Amounts in the currency's smallest unit."""

    id = Text()
    number = Text()
    status = Text()
    currency = Text()
    total_minor = Number()
    paid_minor = Number()
    created_at = Moment()
    url = Text()


class InvoicesShape(serializers.Serializer[Any]):
    results = InvoiceShape(many=True)
    next = serializers.URLField(allow_null=True)


class Checkout(Endpoint):
    area = "cloud"

    @extend_schema(
        operation_id="billing_checkout", request=PlanWish, responses={200: AddressShape, **errors(404, 409, 422)}
    )
    def post(self, request: Request) -> Response:
        """Pay for a plan: the address of a page of Stripe's. A subscription that is there is changed at once."""
        return Response({"url": paying.start_checkout(person(request), self.body(request, PlanWish)["plan"])})


class Portal(Endpoint):
    area = "cloud"

    @extend_schema(operation_id="billing_portal", request=None, responses={200: AddressShape, **errors(404, 409)})
    def post(self, request: Request) -> Response:
        """The address of the page where cards are changed, invoices read and the subscription is ended."""
        return Response({"url": paying.open_portal(person(request))})


class Invoices(Endpoint):
    area = "cloud"

    @extend_schema(operation_id="billing_invoices_list", responses={200: InvoicesShape, **errors(409)})
    def get(self, request: Request) -> Response:
        """The newest fifty."""
        rows = [
            {
                "id": row.id,
                "number": row.number,
                "status": row.status,
                "currency": row.currency,
                "total_minor": row.total_minor,
                "paid_minor": row.paid_minor,
                "created_at": moment(row.created),
                "url": row.url,
            }
            for row in paying.invoices_of(person(request))
        ]
        return Response({"results": rows, "next": None})
