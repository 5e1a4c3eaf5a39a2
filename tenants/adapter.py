"""Where allauth's sign-up becomes an account with a cloud."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from tenants.models import User
from tenants.services.clouds import create_cloud


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.SIGNUP == "open")

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Account and cloud in one transaction: nobody is ever half signed up."""
        user.handle = form.cleaned_data["handle"]
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit)
            create_cloud(saved)
        return saved
