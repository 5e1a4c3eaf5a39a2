"""Which operator may do what. All of them may look; what changes something is given by area."""

from typing import Final

from tenants.models import OperatorRole, User

SUPPORT, BILLING, ADMIN = OperatorRole.SUPPORT, OperatorRole.BILLING, OperatorRole.ADMIN
# Area → who may change something in it.
AREAS: Final = {
    "people": (SUPPORT, ADMIN),  # suspend and restore clouds, try again what failed, send mails again
    "apps": (SUPPORT, ADMIN),  # answer reports, and releases that wait to be listed
    "plans": (BILLING, ADMIN),  # plans, and what single clouds have beside theirs
    "operators": (ADMIN,),  # who is one, and as what
}


def may(user: User, area: str) -> bool:
    """Whether `user` may change something in `area`; in one that is not listed nobody may."""
    return user.is_active and user.is_staff and user.operator_role in AREAS.get(area, ())
