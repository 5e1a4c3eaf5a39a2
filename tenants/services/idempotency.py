"""Doing a thing once however often it is asked: the answer is kept under the caller's key.

Effect and record are written in one transaction, so a crash leaves both or neither, and a second request with the same
key waits on the first one's unique row and then gets its answer.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from tenants.errors import Refused
from tenants.models import IdempotencyRecord, User

KEY_LIMIT = 200


@dataclass(frozen=True)
class Answer:
    """status: an HTTP status. body: JSON data. secret: parts of the answer that are shown once and not kept."""

    status: int
    body: Any
    secret: dict[str, Any] | None = None
    replayed: bool = False

    @property
    def full(self) -> Any:
        return self.body if self.secret is None else {**self.body, **self.secret}


def fingerprint(*parts: object) -> str:
    """What was asked, as a keyed hash: it covers passwords too, and must not help to guess them."""
    text = json.dumps(parts, cls=DjangoJSONEncoder, sort_keys=True)
    return salted_hmac("freehold.idempotency", text, algorithm="sha256").hexdigest()


def once(user: User | str, key: str | None, asked: str, act: Callable[[], Answer]) -> Answer:
    """`act()` in a transaction, at most once per key of this person; later calls get the first one's answer.

    user: a person, or a text that names somebody who has no account yet. key: None acts without remembering.
    asked: `fingerprint(…)` of the request. Whatever `act` raises undoes everything, the record too, so that the
    same key may be tried again. Raises Refused when the key was used for something else.
    """
    if key is None:
        with transaction.atomic():
            return act()
    _check_key(key)
    scope = user if isinstance(user, str) else user.pk
    with transaction.atomic():
        record = _claim(scope, key, asked)
        if record is not None:
            answer = act()
            record.status, record.body = answer.status, json.loads(json.dumps(answer.body, cls=DjangoJSONEncoder))
            record.save(update_fields=["status", "body"])
            return answer
    return _again(scope, key, asked)


def _claim(scope: str, key: str, asked: str) -> IdempotencyRecord | None:
    """Insert our row; None if there is one. The insert waits for another transaction that holds the same key."""
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(scope=scope, key=key, fingerprint=asked)
    except IntegrityError:
        return None


def _again(scope: str, key: str, asked: str) -> Answer:
    record = IdempotencyRecord.objects.get(scope=scope, key=key)
    if record.fingerprint != asked:
        raise Refused(
            "idempotency_key_reused",
            "This Idempotency-Key was used for a different request. Use a new one.",
            field="Idempotency-Key",
        )
    return Answer(record.status, record.body, replayed=True)


def _check_key(key: str) -> None:
    if not 1 <= len(key) <= KEY_LIMIT or not key.isascii() or not key.isprintable():
        raise Refused(
            "invalid_idempotency_key",
            f"An Idempotency-Key has 1 to {KEY_LIMIT} printable ASCII characters.",
            field="Idempotency-Key",
        )
