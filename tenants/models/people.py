"""People: one account each, signed in by e-mail, known to others by a handle."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

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


class User(AbstractBaseUser, PermissionsMixin):
    """The id is what apps see as X-Freehold-User: opaque and never reused. Handles are normalised by tenants.handles."""

    id = models.CharField(primary_key=True, max_length=40, default=new_user_id, editable=False)
    email = models.EmailField(unique=True)
    handle = models.CharField(max_length=32, unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("operator", default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["handle"]

    class Meta:
        # One person per address and per handle, whatever the capitals.
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("email"), name="user_email_once"),
            models.UniqueConstraint(Lower("handle"), name="user_handle_once"),
        ]

    def __str__(self) -> str:
        return self.handle
