"""Lists: `{"results": […], "next": …}`, by `?page=` and `?page_size=`."""

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

MOST = 200


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MOST

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": "string", "nullable": True, "format": "uri"},
            },
        }


class LongPages(Pages):
    """For lists of the whole installation, which nobody wants counted: one row more than the page has says whether there
    is a next one. Beyond the last page there is nothing."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        size, asked = self.get_page_size(request) or MOST, request.query_params.get(self.page_query_param) or "1"
        if not asked.isdecimal() or not 0 < int(asked[:9]) == int(asked):
            raise NotFound("There is no such page.")
        self.address, self.number = request.build_absolute_uri(), int(asked)
        rows = list(queryset[(self.number - 1) * size : self.number * size + 1])
        self.has_next = len(rows) > size
        return rows[:size]

    def get_next_link(self) -> str | None:
        if not self.has_next:
            return None
        return str(replace_query_param(self.address, self.page_query_param, self.number + 1))
