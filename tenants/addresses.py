"""Host names of instances, made once and stored; and the links that lead to them."""

import re

from django.conf import settings
from django.utils.text import slugify

from apps_catalog.identifiers import random_letters
from tenants.errors import Refused
from tenants.models import Cell, Instance

LABEL_LIMIT = 63  # RFC 1035: one label of a host name
RANDOM_LETTERS = 8
_ALIAS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def alias_limit() -> int:
    """How long an alias may be, so that prefix, alias, hyphen and random letters fit into one label."""
    return min(40, LABEL_LIMIT - len(settings.APPS_HOST_PREFIX) - 1 - RANDOM_LETTERS)


def check_alias(alias: str) -> str:
    """Raises Refused naming the field."""
    if not 1 <= len(alias) <= alias_limit() or not _ALIAS.fullmatch(alias):
        raise Refused(
            "invalid_alias",
            f"An alias has 1 to {alias_limit()} of the letters a–z, digits and single hyphens inside.",
            field="alias",
        )
    return alias


def alias_from(name: str) -> str:
    """An alias out of an app's name, whatever it is written in."""
    return slugify(name).replace("_", "-")[: min(24, alias_limit())].strip("-") or "app"


def new_host(alias: str, cell: Cell) -> str:
    """A full host name without port, 40 of its bits random: not to be guessed, and hardly ever taken."""
    return f"{settings.APPS_HOST_PREFIX}{alias}-{random_letters(RANDOM_LETTERS)}.{cell.apps_domain}".lower()


def authority(host: str) -> str:
    """host, with the port where it is not the scheme's own."""
    usual = 443 if settings.APPS_SCHEME == "https" else 80
    return host if usual == settings.APPS_PORT else f"{host}:{settings.APPS_PORT}"


def url_of(instance: Instance) -> str:
    return f"{settings.APPS_SCHEME}://{authority(instance.host)}/"
