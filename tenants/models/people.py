"""People: one account each, signed in by e-mail, known to others by a handle."""

import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps_catalog.identifiers import new_id


def new_user_id() -> str:
    return new_id("usr")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, handle: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), handle=handle, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, handle: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, handle, password, is_staff=True, is_superuser=True, **fields)


class OperatorRole(models.TextChoices):
    """What an operator may do besides looking: see tenants.operators."""

    SUPPORT = "support"
    BILLING = "billing"
    ADMIN = "admin"


class User(AbstractBaseUser, PermissionsMixin):
    """The id is what apps see as X-Freehold-User: opaque and never reused. Handles are normalised by tenants.handles."""

    id = models.CharField(primary_key=True, max_length=40, default=new_user_id, editable=False)
    email = models.EmailField(unique=True)
    handle = models.CharField(max_length=32, unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("operator", default=False)
    operator_role = models.CharField(
        max_length=10, choices=OperatorRole.choices, default=OperatorRole.ADMIN, help_text="Counts for operators only."
    )
    date_joined = models.DateTimeField(default=timezone.now)
    session_epoch = models.PositiveIntegerField(default=0, help_text="Sessions of an earlier one have ended.")

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["handle"]

    class Meta:
        # The operator's list: the newest people.
        indexes: ClassVar = [models.Index(fields=["-date_joined"], name="user_newest")]
        # One person per address and per handle, whatever the capitals.
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("email"), name="user_email_once"),
            models.UniqueConstraint(Lower("handle"), name="user_handle_once"),
        ]

    def __str__(self) -> str:
        return self.handle

    def get_session_auth_hash(self) -> str:
        """What a session must agree with to count: the password, and that nobody has ended all sessions since."""
        return self._epoch_hash(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for known in super().get_session_auth_fallback_hash():
            yield self._epoch_hash(known)

    def _epoch_hash(self, password_hash: str) -> str:
        if not self.session_epoch:  # sessions from before there were epochs go on
            return password_hash
        return salted_hmac("freehold.session_epoch", f"{password_hash}:{self.session_epoch}").hexdigest()


class RetiredHandle(models.Model):
    """Of a closed account. Nobody gets it again, lest they be taken for that person; only its SHA-256 is kept."""

    sha256 = models.CharField(primary_key=True, max_length=64)

    @staticmethod
    def digest(handle: str) -> str:
        return hashlib.sha256(handle.encode()).hexdigest()
