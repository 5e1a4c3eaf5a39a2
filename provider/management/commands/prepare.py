"""`manage.py prepare`: what must be there before the processes start. `manage.py up` runs it when something changed."""

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from tenants.models import User
from tenants.services import installation


class Command(BaseCommand):
    help = "Migrate, collect static files and, where there is no operator yet, make the operator's account."

    def handle(self, *_args: Any, **_options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=1)
        installation.prepare()
        call_command("collectstatic", interactive=False, verbosity=0)
        email = os.environ.get("FREEHOLD_OPERATOR_EMAIL")
        if email and not User.objects.filter(is_superuser=True).exists():
            make_operator(email, os.environ["FREEHOLD_OPERATOR_PASSWORD"])
            (settings.FREEHOLD_RUN / "operator-created").touch()


@transaction.atomic
def make_operator(email: str, password: str) -> User:
    """An account like everyone's, with a cloud, that may also operate. Its address counts as verified."""
    from allauth.account.models import EmailAddress

    from tenants.services.clouds import create_cloud

    user = User.objects.create_superuser(email=email, handle="operator", password=password)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    create_cloud(user)
    return user
