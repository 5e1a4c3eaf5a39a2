"""Collections and keys to them."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import (
    KEY,
    PAGE,
    CollectionShape,
    DataKeyShape,
    IssuedDataKeyShape,
    errors,
    page_of,
)
from tenants.api.base import Endpoint, person
from tenants.api.requests import Named
from tenants.api.shapes import collection_document, data_key_document
from tenants.errors import Conflict
from tenants.services import collections
from tenants.services.idempotency import Answer


class Collections(Endpoint):
    area = "collections"

    @extend_schema(
        operation_id="collections_list", responses={200: page_of(CollectionShape), **errors()}, parameters=PAGE
    )
    def get(self, request: Request) -> Response:
        """One's collections, newest first: those of apps, those kept of removed ones, and those made by hand."""
        return self.pages(request, access.collections_of(person(request)), collection_document)

    @extend_schema(
        operation_id="collections_create",
        request=Named,
        responses={201: CollectionShape, **errors(409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request) -> Response:
        """Make a free-standing one."""
        user, sent = person(request), self.body(request, Named)
        return self.once(
            request, lambda: Answer(201, collection_document(collections.create_collection(user, sent["name"])))
        )


class OneCollection(Endpoint):
    area = "collections"

    @extend_schema(operation_id="collections_retrieve", responses={200: CollectionShape, **errors(404)})
    def get(self, request: Request, collection_id: str) -> Response:
        return Response(collection_document(access.collection_for(person(request), collection_id)))

    @extend_schema(
        operation_id="collections_partial_update",
        request=Named,
        responses={200: CollectionShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def patch(self, request: Request, collection_id: str) -> Response:
        """Another name; keys and project id stay."""
        user, sent = person(request), self.body(request, Named)
        collection = access.collection_for(user, collection_id)

        def act() -> Answer:
            return Answer(200, collection_document(collections.rename_collection(user, collection, sent["name"])))

        return self.once(request, act)

    @extend_schema(operation_id="collections_destroy", responses={204: None, **errors(404, 409)}, parameters=[KEY])
    def delete(self, request: Request, collection_id: str) -> Response:
        """With all its data, for good. Not while an app uses it."""
        user = person(request)

        def act() -> Answer:
            collections.remove_collection(user, access.collection_for(user, collection_id))
            return Answer(204, None)

        return self.once(request, act)


class DataKeys(Endpoint):
    area = "collections"

    @extend_schema(
        operation_id="collections_keys_list",
        responses={200: page_of(DataKeyShape), **errors(404)},
        parameters=PAGE,
    )
    def get(self, request: Request, collection_id: str) -> Response:
        """Keys that were made by hand, without their secrets. An app's own key is not among them."""
        collection = access.collection_for(person(request), collection_id)
        return self.pages(request, collection.keys.order_by("-created_at"), data_key_document)

    @extend_schema(
        operation_id="collections_keys_create",
        request=Named,
        responses={201: IssuedDataKeyShape, **errors(404, 409, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """A key to all of the collection, reading and writing. It is shown this once."""
        user, sent = person(request), self.body(request, Named)
        collection = access.collection_for(user, collection_id)

        def act() -> Answer:
            key, text = collections.create_key(user, collection, sent["name"])
            document = {**data_key_document(key), "project_id": collection.project_id}
            return Answer(201, document, secret={"key": text})

        answer = self.once(request, act)
        if "Idempotent-Replayed" in answer.headers:
            # What was shown once is kept nowhere, so it cannot be shown again.
            detail = {"id": answer.data["id"]}
            raise Conflict("key_shown_already", "This key was made and shown already.", detail=detail)
        return answer


class OneDataKey(Endpoint):
    area = "collections"

    @extend_schema(operation_id="collections_keys_destroy", responses={204: None, **errors(404)}, parameters=[KEY])
    def delete(self, request: Request, collection_id: str, key_id: str) -> Response:
        """Whoever holds it is refused within five seconds."""
        user = person(request)

        def act() -> Answer:
            key = access.data_key_for(user, collection_id, key_id)
            collections.revoke_key(user, access.collection_for(user, collection_id), key)
            return Answer(204, None)

        return self.once(request, act)
