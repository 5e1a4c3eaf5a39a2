"""One's cloud."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import KEY, ChangedCloudShape, errors
from tenants.api.base import Endpoint, person
from tenants.api.limit_shapes import OwnCloudShape, late_document, notice_document
from tenants.api.shapes import cloud_document
from tenants.models import Operation, User
from tenants.services.closing import close_account, reopen_account
from tenants.services.idempotency import Answer
from tenants.services.lateness import lateness
from tenants.services.limits import counting
from tenants.services.quota import use_of


class OwnCloud(Endpoint):
    area = "cloud"

    @extend_schema(operation_id="cloud_retrieve", responses={200: OwnCloudShape, **errors(404)})
    def get(self, request: Request) -> Response:
        """The cloud with its quota, what is used of it, `notices` of limits that come near (80, 95, 100 %), and `payment`
        where its plan is not paid for: what follows, and when."""
        cloud = access.cloud_with_notices(person(request))
        late = lateness(cloud)
        payment = late_document(late) if late else None
        notices = [notice_document(notice) for notice in counting(cloud)]
        return Response({**cloud_document(cloud, use_of(cloud)), "notices": notices, "payment": payment})

    @extend_schema(
        operation_id="cloud_destroy", responses={202: ChangedCloudShape, **errors(404, 409)}, parameters=[KEY]
    )
    def delete(self, request: Request) -> Response:
        """Close the account: dark at once, everything is erased at `erase_at`.

        Ends all sessions and tokens, this one too: 401 to a repetition means that it was done. Until `erase_at`
        a token made with address and password may `POST cloud/reopen/`.
        """
        user = person(request)
        return self.once(request, lambda: _accepted(user, close_account(user)))


class Reopen(Endpoint):
    area = "cloud"

    @extend_schema(
        operation_id="cloud_reopen",
        request=None,
        responses={202: ChangedCloudShape, **errors(404, 409)},
        parameters=[KEY],
    )
    def post(self, request: Request) -> Response:
        """Keep an account that is being closed: what ran before starts again."""
        user = person(request)
        return self.once(request, lambda: _accepted(user, reopen_account(user)))


def _accepted(user: User, operation: Operation) -> Answer:
    cloud = access.cloud_of(user)
    return Answer(202, {**cloud_document(cloud, use_of(cloud)), "operation": operation.pk})
