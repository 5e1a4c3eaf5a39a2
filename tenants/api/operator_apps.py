"""For operators: releases that wait for a look before they are listed, and what people report about apps."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps_catalog.models import AppReport
from tenants import access
from tenants.api.answers import KEY, PAGE, ReceivedReportShape, ReviewShape, errors, page_of
from tenants.api.base import Endpoint, person
from tenants.api.requests import Answered, ReportAnswer, Unlisting
from tenants.api.shapes import received_report_document, review_document
from tenants.services import releases, reports
from tenants.services.idempotency import Answer

AREA = "operator:apps"


class Reviews(Endpoint):
    area = AREA

    @extend_schema(
        operation_id="operator_reviews_list", responses={200: page_of(ReviewShape), **errors()}, parameters=PAGE
    )
    def get(self, request: Request) -> Response:
        """Releases that wait for an operator's answer, the oldest first."""
        return self.pages(request, access.reviews_for(person(request)), review_document)


class _Review(Endpoint):
    area = AREA
    approves: bool

    def answer(self, request: Request, release_id: str) -> Response:
        operator, sent = person(request), self.body(request, Answered)

        def act() -> Answer:
            release = access.review_for(operator, release_id)
            releases.review_release(operator, release, approve=self.approves, note=sent.get("note", ""))
            return Answer(200, review_document(access.review_for(operator, release_id)))

        return self.once(request, act)


class Approve(_Review):
    approves = True

    @extend_schema(
        operation_id="operator_reviews_approve",
        request=Answered,
        responses={200: ReviewShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, release_id: str) -> Response:
        """List it."""
        return self.answer(request, release_id)


class Refuse(_Review):
    approves = False

    @extend_schema(
        operation_id="operator_reviews_refuse",
        request=Answered,
        responses={200: ReviewShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, release_id: str) -> Response:
        """It stays unlisted; `note` says why, to its developer."""
        return self.answer(request, release_id)


class Unlist(Endpoint):
    area = AREA

    @extend_schema(
        operation_id="operator_apps_unlist",
        request=Unlisting,
        responses={204: None, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, slug: str) -> Response:
        """Take an app off the catalog, though nobody reported it. Copies that people have are left alone."""
        operator, note = person(request), self.body(request, Unlisting)["note"]

        def act() -> Answer:
            releases.unlist_app(operator, access.any_app_for(operator, slug), note=note)
            return Answer(204, None)

        return self.once(request, act)


class ReceivedReports(Endpoint):
    area = AREA

    @extend_schema(
        operation_id="operator_reports_list", responses={200: page_of(ReceivedReportShape), **errors()}, parameters=PAGE
    )
    def get(self, request: Request) -> Response:
        """Reports that nobody has answered yet, the newest first."""
        rows: QuerySet[AppReport] = access.reports_for(person(request)).filter(closed_at__isnull=True)
        return self.pages(request, rows, received_report_document)


class CloseReport(Endpoint):
    area = AREA

    @extend_schema(
        operation_id="operator_reports_close",
        request=ReportAnswer,
        responses={200: ReceivedReportShape, **errors(404, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, report_id: str) -> Response:
        """It was looked at. `unlist` takes the app off the catalog too; `note` says why, to its developer."""
        operator, sent = person(request), self.body(request, ReportAnswer)

        def act() -> Answer:
            report = access.report_for(operator, report_id)
            reports.answer_report(operator, report, unlist=sent.get("unlist", False), note=sent.get("note", ""))
            return Answer(200, received_report_document(access.report_for(operator, report_id)))

        return self.once(request, act)
