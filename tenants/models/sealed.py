"""Columns that hold secrets: encrypted with FREEHOLD_FIELD_KEY, so that a dump or backup of the database shows none."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

if TYPE_CHECKING:  # Django's own class takes no types at run time
    Base = models.TextField[dict[str, Any], dict[str, Any]]
else:
    Base = models.TextField


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "FREEHOLD_FIELD_KEY must be keys of 32 bytes in URL-safe base64, separated by commas."
        ) from error


def cipher() -> MultiFernet:
    """The first key encrypts, all of them decrypt. Raises ImproperlyConfigured for what are no keys."""
    return _cipher(tuple(settings.FIELD_KEYS))


class Unreadable(ImproperlyConfigured):
    """A value was encrypted with a key that is not in FREEHOLD_FIELD_KEY."""


def seal(data: dict[str, Any]) -> str:
    """Nothing is stored as nothing: most instances have no settings, and a list of them decrypts none."""
    return cipher().encrypt(json.dumps(data).encode()).decode() if data else ""


def unseal(token: str) -> dict[str, Any]:
    """Raises Unreadable."""
    if not token:
        return {}
    try:
        data: dict[str, Any] = json.loads(cipher().decrypt(token.encode()))
    except InvalidToken as error:
        raise Unreadable("A stored secret cannot be read: its key is missing from FREEHOLD_FIELD_KEY.") from error
    return data


class SealedField(Base):
    """A dictionary of JSON values, encrypted as a whole. Not to be searched or compared in the database."""

    def from_db_value(self, value: str | None, _expression: object, _connection: object) -> dict[str, Any]:
        return unseal(value or "")

    def get_prep_value(self, value: Any) -> str:
        return seal(value or {})

    def value_to_string(self, obj: models.Model) -> str:
        """For dumps of rows: as it is stored."""
        return seal(self.value_from_object(obj))
