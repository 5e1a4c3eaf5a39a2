"""A collection as a whole: exports, imports, wiping. The zip itself comes from the live process: tenants.views.downloads."""

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, PAGE, ExportShape, ImportShape, OperationShape, errors, page_of
from tenants.api.base import Endpoint, person
from tenants.api.parsers import check_length
from tenants.api.requests import ImportChoice, NewImport
from tenants.api.shapes import export_document, import_document, operation_document
from tenants.api.throttles import Transfers
from tenants.services import transfers
from tenants.services.idempotency import Answer

DRY_RUN = OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Only look at the archive; nothing is imported.")


class Exports(Endpoint):
    area = "collections"
    throttle_classes = (Transfers,)

    @extend_schema(operation_id="exports_list", responses={200: page_of(ExportShape), **errors(404)}, parameters=PAGE)
    def get(self, request: Request, collection_id: str) -> Response:
        return self.pages(request, access.exports_of(person(request), collection_id), export_document)

    @extend_schema(
        operation_id="exports_create",
        request=None,
        responses={202: ExportShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """Make a zip of all bases and drives as they are at one instant. The collection's export before it ends."""
        user = person(request)
        collection = access.collection_for(user, collection_id)
        return self.once(
            request, lambda: Answer(202, export_document(transfers.start_export(user, collection))), asked=[]
        )


class OneExport(Endpoint):
    area = "collections"

    @extend_schema(operation_id="exports_retrieve", responses={200: ExportShape, **errors(404)})
    def get(self, request: Request, collection_id: str, export_id: str) -> Response:
        """How far it is, its checksum, and where to fetch it: GET and HEAD of `download`, with Range if you like."""
        return Response(export_document(access.export_for(person(request), collection_id, export_id)))


class Imports(Endpoint):
    area = "collections"
    throttle_classes = (Transfers,)

    def get_parsers(self) -> list:  # type: ignore[type-arg]
        request = getattr(self, "request", None)
        return [MultiPartParser()] if request is None or request.method == "POST" else super().get_parsers()

    @extend_schema(operation_id="imports_list", responses={200: page_of(ImportShape), **errors(404)}, parameters=PAGE)
    def get(self, request: Request, collection_id: str) -> Response:
        return self.pages(request, access.imports_of(person(request), collection_id), import_document)

    @extend_schema(
        operation_id="imports_create",
        request={"multipart/form-data": NewImport},
        responses={200: ImportShape, 202: ImportShape, **errors(404, 409, 413, 422, 503)},
        parameters=[KEY, DRY_RUN],
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """Import a zip: an export of ours, or one of the former platform as it is. With `?dry_run=true` the answer is 200
        and a preview, and `apply/` imports what was previewed for a day."""
        user = person(request)
        collection = access.collection_for(user, collection_id)
        check_length(request, settings.BUNDLE_LIMIT_MIB * 1024**2, "An archive")
        sent, only_look = self.body(request, NewImport), request.query_params.get("dry_run") == "true"
        transfers.check_choice(sent["conflicts"])
        staged = transfers.stage_archive(collection, sent["archive"])

        def act() -> Answer:
            row = transfers.look_at_archive(user, collection, staged)
            if only_look:
                return Answer(200, import_document(row))
            return Answer(202, import_document(transfers.apply_import(user, row, sent["conflicts"])))

        taken = False
        try:
            answer = self.once(request, act, asked=[staged.sha256, sent["conflicts"]])
            taken = "Idempotent-Replayed" not in answer.headers
        finally:
            if not taken:
                transfers.discard_staged(collection, staged)
        return answer


class OneImport(Endpoint):
    area = "collections"

    @extend_schema(operation_id="imports_retrieve", responses={200: ImportShape, **errors(404)})
    def get(self, request: Request, collection_id: str, import_id: str) -> Response:
        return Response(import_document(access.import_for(person(request), collection_id, import_id)))


class Apply(Endpoint):
    area = "collections"
    throttle_classes = (Transfers,)

    @extend_schema(
        operation_id="imports_apply",
        request=ImportChoice,
        responses={202: ImportShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str, import_id: str) -> Response:
        """Import what was previewed, whole or not at all."""
        user, sent = person(request), self.body(request, ImportChoice)
        row = access.import_for(user, collection_id, import_id)
        return self.once(
            request, lambda: Answer(202, import_document(transfers.apply_import(user, row, sent["conflicts"])))
        )


class Wipe(Endpoint):
    area = "collections"
    throttle_classes = (Transfers,)

    @extend_schema(
        operation_id="collections_wipe",
        request=None,
        responses={202: OperationShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """Delete all bases and drives, for good; collection and keys stay. What is written until it is done goes too."""
        user = person(request)
        collection = access.collection_for(user, collection_id)
        return self.once(
            request, lambda: Answer(202, operation_document(transfers.wipe_collection(user, collection))), asked=[]
        )
