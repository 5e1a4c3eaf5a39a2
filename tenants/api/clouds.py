"""One's cloud."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import CloudShape, errors
from tenants.api.base import Endpoint, person
from tenants.api.shapes import cloud_document
from tenants.services.quota import use_of


class OwnCloud(Endpoint):
    area = "cloud"

    @extend_schema(operation_id="cloud_retrieve", responses={200: CloudShape, **errors(404)})
    def get(self, request: Request) -> Response:
        """The cloud with its quota and what is used of it."""
        cloud = access.cloud_of(person(request))
        return Response(cloud_document(cloud, use_of(cloud)))
