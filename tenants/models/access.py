"""Tokens for programs, answers kept for repeated requests."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps_catalog.identifiers import new_id


def new_token_id() -> str:
    return new_id("tok")


class ApiToken(models.Model):
    """`fh_<prefix>_<secret>`: the prefix finds the row, of the secret only its SHA-256 is kept."""

    id = models.CharField(primary_key=True, max_length=40, default=new_token_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=16, unique=True)
    secret_sha256 = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class IdempotencyRecord(models.Model):
    """The answer to a mutating request that carried an Idempotency-Key, written together with its effect.

    scope: whose key it is: a user's id, or a keyed hash of the address of somebody who is signing up.
    """

    scope = models.CharField(max_length=80)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["scope", "key"], name="idempotency_key_once")]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="idempotency_age")]
