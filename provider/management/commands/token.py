"""`manage.py token EMAIL`: an API token for a person, printed once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.errors import Refused
from tenants.models import User
from tenants.services.tokens import issue_token


class Command(BaseCommand):
    help = "Print a new API token of the person with this e-mail address."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="command line", help="what the person sees in the list of tokens")
        parser.add_argument("--scope", action="append", help="may be repeated; default *", dest="scopes")

    def handle(self, *_args: Any, email: str, name: str, scopes: list[str] | None, **_options: Any) -> None:
        user = User.objects.filter(email__iexact=email.strip()).first()
        if user is None:
            raise CommandError(f"Nobody has the address {email}.")
        try:
            _, plaintext = issue_token(user, name, scopes or ["*"])
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(plaintext)
