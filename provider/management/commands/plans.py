"""`manage.py plans export|import FILE`: plans as a file; `-` is standard output or input."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.errors import Refused
from tenants.services.plan_files import SIZE_LIMIT, export_plans, import_plans, parse


class Command(BaseCommand):
    help = "Write all plans to a file, or make and change plans as a file says: all of it or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["export", "import"])
        parser.add_argument("file", help="- is standard output or input")
        parser.add_argument("--dry-run", action="store_true", help="only say what an import would change")

    def handle(self, *_args: Any, what: str, file: str, dry_run: bool, **_options: Any) -> None:
        try:
            if what == "export":
                self._export(file)
            else:
                self._import(file, dry_run)
        except Refused as refusal:
            raise CommandError(f"{refusal.field}: {refusal}") from refusal
        except OSError as error:
            raise CommandError(str(error)) from error

    def _export(self, file: str) -> None:
        text = json.dumps(export_plans(), indent=2) + "\n"
        if file == "-":
            self.stdout.write(text, ending="")
        else:
            Path(file).write_text(text)

    def _import(self, file: str, dry_run: bool) -> None:
        if file == "-":
            content = sys.stdin.buffer.read(SIZE_LIMIT + 1)
        else:
            with open(file, "rb") as opened:
                content = opened.read(SIZE_LIMIT + 1)
        done = import_plans(None, parse(content), dry_run=dry_run)
        for word, slugs in (("made", done.created), ("changed", done.changed), ("as it was", done.unchanged)):
            for slug in slugs:
                self.stdout.write(f"{slug}: {word}")
