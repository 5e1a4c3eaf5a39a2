"""`manage.py up`. manage.py itself goes straight to provider.up; this is for `django-admin up` and for `manage.py help`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from provider.up import command


class Command(BaseCommand):
    help = "Run all of Freehold on this machine, in the foreground."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, *_args: Any, port: int, tls_port: int, home: Any, **_options: Any) -> None:
        sys.exit(command.main(["--port", str(port), "--tls-port", str(tls_port), "--home", str(home)]))
