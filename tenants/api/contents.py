"""The bases and drives of a collection as wholes; what is in them is asked of the data address with a key."""

import contextlib
from typing import ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, BaseShape, DriveShape, RemovedShape, errors, page_of
from tenants.api.base import Endpoint, person
from tenants.api.requests import NewPart
from tenants.models import Collection
from tenants.services import contents
from tenants.services.contents import NotThere

FOLDER = OpenApiParameter("folder", OpenApiTypes.STR, description="Only what lies below it; it ends in a slash.")


class Parts(Endpoint):
    """Either kind."""

    area = "collections"
    kind: ClassVar[contents.Kind]
    count: ClassVar[str]

    def shown(self, collection: Collection) -> list[dict[str, object]]:
        parts = contents.parts_of(collection, self.kind)
        return [{"name": part.name, self.count: part.count, "size_bytes": part.size_bytes} for part in parts]

    def made(self, request: Request, collection_id: str) -> Response:
        sent = self.body(request, NewPart)
        collection = access.collection_for(person(request), collection_id)
        contents.make(collection, self.kind, sent["name"])
        found = next(part for part in self.shown(collection) if part["name"] == sent["name"])
        return Response(found, status=201)

    def removed(self, request: Request, collection_id: str, name: str) -> Response:
        collection = access.collection_for(person(request), collection_id)
        with contextlib.suppress(NotThere):  # an answer that was lost: asked again, it is the same
            contents.drop(collection, self.kind, name)
        return Response(status=204)


class Bases(Parts):
    kind, count = "bases", "items"

    @extend_schema(operation_id="bases_list", responses={200: page_of(BaseShape), **errors(404, 503)})
    def get(self, request: Request, collection_id: str) -> Response:
        """All of them as they are now, by name."""
        shown = self.shown(access.collection_for(person(request), collection_id))
        return Response({"results": shown, "next": None})

    @extend_schema(
        operation_id="bases_create",
        request=NewPart,
        responses={201: BaseShape, **errors(404, 422, 503)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """An empty one; again: the same. A base also comes by itself when something is put into it."""
        return self.made(request, collection_id)


class OneBase(Parts):
    kind, count = "bases", "items"

    @extend_schema(operation_id="bases_destroy", responses={204: None, **errors(404, 503)}, parameters=[KEY])
    def delete(self, request: Request, collection_id: str, name: str) -> Response:
        """With all its items, for good. Again: nothing more."""
        return self.removed(request, collection_id, name)


class Drives(Parts):
    kind, count = "drives", "files"

    @extend_schema(operation_id="drives_list", responses={200: page_of(DriveShape), **errors(404, 503)})
    def get(self, request: Request, collection_id: str) -> Response:
        """All of them as they are now, by name."""
        shown = self.shown(access.collection_for(person(request), collection_id))
        return Response({"results": shown, "next": None})

    @extend_schema(
        operation_id="drives_create",
        request=NewPart,
        responses={201: DriveShape, **errors(404, 422, 503)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """An empty one; again: the same. A drive also comes by itself when a file is put into it."""
        return self.made(request, collection_id)


class OneDrive(Parts):
    kind, count = "drives", "files"

    @extend_schema(
        operation_id="drives_destroy",
        responses={200: RemovedShape, 204: None, **errors(404, 422, 503)},
        parameters=[KEY, FOLDER],
    )
    def delete(self, request: Request, collection_id: str, name: str) -> Response:
        """With all its files, for good (again: nothing more); with `folder` only those below it, and the answer says how
        many they were."""
        folder = request.query_params.get("folder")
        if folder is None:
            return self.removed(request, collection_id, name)
        collection = access.collection_for(person(request), collection_id)
        return Response({"removed": contents.drop_folder(collection, name, folder)})
