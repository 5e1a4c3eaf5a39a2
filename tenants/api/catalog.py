"""What can be installed. The catalog is public; unlisted apps are found by their slug alone."""

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps_catalog.models import App
from apps_catalog.services import SORTS, app_by_slug, listed_apps, releases_of
from tenants.api.answers import PAGE, AppShape, ReleaseShape, errors, page_of
from tenants.api.base import OPEN, Endpoint
from tenants.api.shapes import app_document, release_document
from tenants.errors import Refused

QUERY_LIMIT = 200


class Apps(Endpoint):
    permission_classes = OPEN

    @extend_schema(
        operation_id="apps_list",
        responses={200: page_of(AppShape), **errors(422)},
        parameters=[OpenApiParameter("q"), OpenApiParameter("sort", enum=SORTS), *PAGE],
        auth=[],
    )
    def get(self, request: Request) -> Response:
        """Listed apps: `q` finds words by their beginning, `sort` is popular, recent or hot."""
        sort = request.query_params.get("sort", SORTS[0])
        if sort not in SORTS:
            raise Refused("invalid_sort", f"Sort by {', '.join(SORTS)}.", field="sort")
        return self.pages(request, listed_apps(request.query_params.get("q", "")[:QUERY_LIMIT], sort), app_document)


class OneApp(Endpoint):
    permission_classes = OPEN

    @extend_schema(operation_id="apps_retrieve", responses={200: AppShape, **errors(404)}, auth=[])
    def get(self, _request: Request, slug: str) -> Response:
        return Response(app_document(_found(slug)))


class AppReleases(Endpoint):
    permission_classes = OPEN

    @extend_schema(
        operation_id="apps_releases_list",
        responses={200: page_of(ReleaseShape), **errors(404)},
        parameters=PAGE,
        auth=[],
    )
    def get(self, request: Request, slug: str) -> Response:
        """Of a listed app only the listed releases: the others are for those whom its developer told."""
        app = _found(slug)
        releases = releases_of(app)
        return self.pages(request, releases.filter(listed=True) if app.listed else releases, release_document)


def _found(slug: str) -> App:
    app = app_by_slug(slug)
    if app is None:
        raise Http404
    return app
