"""What the gate's agents read: a change feed, and sessions that ended; and single-use sign-in codes."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Func

from tenants.models.instances import Instance


class CurrentTransaction(Func):
    """The 64-bit id of the writing transaction."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()


class GateChangeKind(models.TextChoices):
    INSTANCE = "instance"  # key: instance id; its host or upstreams may have changed
    REVOKED = "revoked"  # key: sid of a console session that ended
    DATA = "data"  # key: cloud id; its collections, keys or data server may have changed


class GateChange(models.Model):
    """A hint to read rows again. Committed rows become visible out of order of `id`, so readers go by `txid`:
    a row may be read once `txid < pg_snapshot_xmin(pg_current_snapshot())`, in the order (txid, id)."""

    txid = models.BigIntegerField(editable=False, db_default=CurrentTransaction())
    kind = models.CharField(max_length=12, choices=GateChangeKind.choices)
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # The agents' read: what came after their cursor.
        indexes: ClassVar = [models.Index(fields=["txid", "id"], name="gate_change_cursor")]


class RevokedSession(models.Model):
    """sid: what app sessions name of the console session they came from. Kept until the last of them has run out."""

    sid = models.CharField(primary_key=True, max_length=64)
    until = models.DateTimeField(db_index=True)


class AppSignIn(models.Model):
    """A console session from which somebody entered an app: what must be told to the gate when all of theirs end."""

    sid = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="app_sign_ins")
    until = models.DateTimeField(db_index=True)


class SignInCode(models.Model):
    """A console session's ticket into one instance: once, within 60 s, by the browser that holds the nonce."""

    code_sha256 = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    host = models.CharField(max_length=200)
    nonce_sha256 = models.CharField(max_length=64)
    sid = models.CharField(max_length=64)
    next_path = models.CharField(max_length=2048)
    expires_at = models.DateTimeField(db_index=True)
