"""What can be installed. The catalog is public; unlisted apps are found by their slug alone."""

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps_catalog.models import App, Category
from apps_catalog.services import SORTS, app_by_slug, listed_apps, releases_of
from tenants import access
from tenants.api.answers import KEY, PAGE, AppShape, ReleaseShape, ReportShape, errors, page_of
from tenants.api.base import OPEN, Endpoint, person
from tenants.api.requests import NewReport
from tenants.api.shapes import app_document, release_document, report_document
from tenants.errors import Refused
from tenants.services import reports
from tenants.services.idempotency import Answer

QUERY_LIMIT = 200


class Apps(Endpoint):
    permission_classes = OPEN

    @extend_schema(
        operation_id="apps_list",
        responses={200: page_of(AppShape), **errors(422)},
        parameters=[
            OpenApiParameter("q"),
            OpenApiParameter("sort", enum=SORTS),
            OpenApiParameter("category", enum=Category.values),
            OpenApiParameter("developer"),
            *PAGE,
        ],
        auth=[],
    )
    def get(self, request: Request) -> Response:
        """Listed apps: `q` finds words by their beginning, `sort` is popular, recent or hot; `developer` is a handle."""
        sort = request.query_params.get("sort", SORTS[0])
        if sort not in SORTS:
            raise Refused("invalid_sort", f"Sort by {', '.join(SORTS)}.", field="sort")
        category = request.query_params.get("category", "")
        if category and category not in Category.values:
            raise Refused("invalid_category", f"Categories are {', '.join(Category.values)}.", field="category")
        words = request.query_params.get("q", "")[:QUERY_LIMIT]
        developer = request.query_params.get("developer", "")[:64]
        return self.pages(request, listed_apps(words, sort, category=category, developer=developer), app_document)


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


class Reports(Endpoint):
    area = "instances"

    @extend_schema(
        operation_id="apps_report",
        request=NewReport,
        responses={201: ReportShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, slug: str) -> Response:
        """Tell the operator what is wrong with an app."""
        user = person(request)
        app, sent = access.app_for(user, slug), self.body(request, NewReport)
        return self.once(request, lambda: Answer(201, report_document(reports.report_app(user, app, **sent))))


def _found(slug: str) -> App:
    app = app_by_slug(slug)
    if app is None:
        raise Http404
    return app
