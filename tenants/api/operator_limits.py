"""For operators: clouds that have used up what they may."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import PAGE, Text, errors, page_of
from tenants.api.base import Endpoint, person
from tenants.api.limit_shapes import LimitNoticeShape, notice_document
from tenants.errors import Refused
from tenants.models import Limited, LimitNotice


class FullShape(LimitNoticeShape):
    cloud = Text()
    handle = Text()


class Full(Endpoint):
    area = "operator:people"

    @extend_schema(
        operation_id="operator_clouds_full",
        responses={200: page_of(FullShape), **errors(422)},
        parameters=[OpenApiParameter("what", enum=Limited.values), *PAGE],
    )
    def get(self, request: Request) -> Response:
        """Those that came to 100 % last before the others. `what`: traffic (of this month; default) or storage."""
        what = request.query_params.get("what", Limited.TRAFFIC)
        if what not in Limited.values:
            raise Refused("invalid_what", f"what is one of {', '.join(Limited.values)}.", field="what")
        return self.pages(request, access.full_clouds_for(person(request), what), _document)


def _document(notice: LimitNotice) -> dict[str, Any]:
    return {**notice_document(notice), "cloud": notice.cloud_id, "handle": notice.cloud.owner.handle}
