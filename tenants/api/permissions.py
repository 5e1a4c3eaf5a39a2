"""What a token may do at an endpoint."""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from tenants import operators
from tenants.models import ApiToken
from tenants.services.tokens import allows

if TYPE_CHECKING:  # the framework reads this module while it is loading its views
    from rest_framework.views import APIView


class WithinScopes(BasePermission):
    """The token's scopes cover the endpoint's `area`."""

    message = "The token's scopes do not cover this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return False
        area, writes = getattr(view, "area", ""), request.method not in SAFE_METHODS
        if not allows(token, area, writes=writes):
            return False
        group, _, part = area.partition(":")
        if group == "operator" and writes and not operators.may(token.user, part):
            self.message = f"An operator of the role {token.user.operator_role} may look at this, and not change it."
            return False
        return True
