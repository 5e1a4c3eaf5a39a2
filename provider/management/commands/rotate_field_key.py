"""`manage.py rotate_field_key`: bring every secret in the database under the first of FREEHOLD_FIELD_KEY's keys."""

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.models.sealed import Unreadable
from tenants.services import sealing


class Command(BaseCommand):
    help = "Encrypt what is secret in the database anew, with the first key of FREEHOLD_FIELD_KEY."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--new-key", action="store_true", help="only print a new key, to be put first")

    def handle(self, *_args: Any, new_key: bool, **_options: Any) -> None:
        if new_key:
            self.stdout.write(Fernet.generate_key().decode())
            return
        try:
            number = sealing.rotate()
        except Unreadable as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{number} encrypted anew; keys after the first may be taken out of FREEHOLD_FIELD_KEY now.")
