"""`manage.py prepare`: what must be there before the processes start. `manage.py up` runs it when something changed."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from k8s.connect import installation_of
from k8s.errors import Permanent
from provider.up import data_program
from provider.up.secretfile import write_private
from tenants.models import User
from tenants.reconcile.cluster import WrongInstallation, own_id
from tenants.services import collections, installation


class Command(BaseCommand):
    help = "Migrate, collect static files and, where there is no operator yet, make the operator's account."

    def handle(self, *_args: Any, **_options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=1)
        _settle_installation(settings.FREEHOLD_HOME / "installation")
        given = collections.give_missing_collections()
        if given:
            self.stdout.write(f"{given} apps from before there were collections have one now")
        call_command("collectstatic", interactive=False, verbosity=0)
        if settings.DATA_PACKED:
            data_program.install(Path(settings.DATA_PACKED), settings.STORE_DIR, settings.DATA_PROGRAM)
        email = os.environ.get("FREEHOLD_OPERATOR_EMAIL")
        if email and not User.objects.filter(is_superuser=True).exists():
            make_operator(email, os.environ["FREEHOLD_OPERATOR_PASSWORD"])
            (settings.FREEHOLD_RUN / "operator-created").touch()


def _settle_installation(file: Path) -> None:
    """The id in the database is the one that the cluster's objects carry. Where CLUSTER_URL leaves it to `file`, the
    database's is written there, for processes without Django."""
    left_to_file = parse_qs(urlsplit(settings.CLUSTER_URL).query).get("installation") == [str(file)]
    missing = left_to_file and not file.exists()
    try:
        installation.prepare(None if missing else installation_of(settings.CLUSTER_URL))
    except (WrongInstallation, Permanent) as error:
        raise CommandError(str(error)) from error
    if missing:
        write_private(file, f"{own_id()}\n".encode())


@transaction.atomic
def make_operator(email: str, password: str) -> User:
    """An account like everyone's, with a cloud, that may also operate. Its address counts as verified."""
    from allauth.account.models import EmailAddress

    from tenants.services.clouds import create_cloud

    user = User.objects.create_superuser(email=email, handle="operator", password=password)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    create_cloud(user)
    return user
