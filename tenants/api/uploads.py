"""Archives of any size, in parts: begin, send each part, finish; then it is an import that was looked at."""

from collections.abc import Iterator

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, ImportShape, UploadShape, errors
from tenants.api.base import Endpoint, person
from tenants.api.parsers import TooLarge
from tenants.api.requests import NewUpload
from tenants.api.shapes import import_document, upload_document
from tenants.api.throttles import Transfers
from tenants.errors import Refused
from tenants.services import uploads
from tenants.services.idempotency import Answer

SHA256 = OpenApiParameter(
    "sha256", OpenApiTypes.STR, description="Of the part, in hex; it is refused where it differs."
)
_PIECE_BYTES = 64 * 1024


class Uploads(Endpoint):
    area = "collections"
    throttle_classes = (Transfers,)

    @extend_schema(
        operation_id="uploads_create",
        request=NewUpload,
        responses={201: UploadShape, **errors(404, 409, 422, 503)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """Begin an archive that comes in parts, or go on with one of the same fingerprint. What nobody goes on with is
        thrown away after a day."""
        user, sent = person(request), self.body(request, NewUpload)
        collection = access.collection_for(user, collection_id)

        def act() -> Answer:
            return Answer(201, {"id": uploads.note(user, collection, sent["size_bytes"], sent["fingerprint"]).pk})

        row = access.import_for(user, collection_id, self.once(request, act).data["id"])
        return Response(upload_document(row, uploads.progress(row)), status=201)


class OneUpload(Endpoint):
    area = "collections"

    @extend_schema(operation_id="uploads_retrieve", responses={200: UploadShape, **errors(404, 409, 503)})
    def get(self, request: Request, collection_id: str, import_id: str) -> Response:
        """Which parts are there, for whoever goes on."""
        row = access.import_for(person(request), collection_id, import_id)
        return Response(upload_document(row, uploads.progress(row)))


class Part(Endpoint):
    area = "collections"

    @extend_schema(
        operation_id="uploads_part",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={204: None, **errors(404, 409, 413, 422, 503)},
        parameters=[KEY, SHA256],
    )
    def put(self, request: Request, collection_id: str, import_id: str, number: int) -> Response:
        """One part, as it is. Sent again, it takes the place of itself."""
        row = access.import_for(person(request), collection_id, import_id)
        size = request.headers.get("Content-Length", "")
        if not size.isdigit():
            raise Refused("no_length", "A part says how long it is.", field="Content-Length")
        if int(size) > uploads.PART_LIMIT_BYTES:
            raise TooLarge(f"A part has at most {uploads.PART_LIMIT_BYTES // 1024**2} MiB.")
        uploads.put_part(row, number, request.query_params.get("sha256", ""), _pieces(request), int(size))
        return Response(status=204)


class Finish(Endpoint):
    area = "collections"
    throttle_classes = (Transfers,)

    @extend_schema(
        operation_id="uploads_finish",
        request=None,
        responses={202: ImportShape, **errors(404, 409, 422, 503)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str, import_id: str) -> Response:
        """All parts are sent. When its operation is over, the import has its preview, and `apply/` imports it."""
        user = person(request)
        row = access.import_for(user, collection_id, import_id)
        uploads.check_whole(row)
        return self.once(request, lambda: Answer(202, import_document(uploads.finish(user, row))), asked=[])


def _pieces(request: Request) -> Iterator[bytes]:
    while piece := request._request.read(_PIECE_BYTES):
        yield piece
