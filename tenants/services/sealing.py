"""Changing the key that secrets in the database are encrypted with, while everything runs."""

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from tenants.models import Instance
from tenants.models.sealed import unseal

AT_ONCE = 200


def rotate() -> int:
    """Encrypt anew what is not under the first key yet; how many that were. Killed at any point: call it again.

    Rows are locked in small lots, and nothing but the cipher text changes. Raises Unreadable for a value whose key is
    missing; those before it are done.
    """
    number, last = 0, ""
    while lot := _lot(last):
        number += _rotate(lot)
        last = lot[-1]
    return number


def _lot(after: str) -> list[str]:
    rows = Instance.objects.filter(pk__gt=after).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:AT_ONCE])


@transaction.atomic
def _rotate(lot: list[str]) -> int:
    rows = (
        Instance.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=lot).order_by("pk").defer("config")
    )
    number = 0
    for pk, token in rows.annotate(token=Cast("config", TextField())).values_list("pk", "token"):
        if token and not _is_current(token):
            Instance.objects.filter(pk=pk).update(config=unseal(token))
            number += 1
    return number


def _is_current(token: str) -> bool:
    try:
        Fernet(settings.FIELD_KEYS[0]).decrypt(token.encode())
    except InvalidToken:
        return False
    return True
