"""`/operator/mails/`: on one machine mails are written to a folder; here they are read.

By those alone who may make operators: whoever reads a mail can follow the links in it.
"""

import email
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from provider.pages.operator import changes

_FILE = re.compile(r"[A-Za-z0-9_-]+\.log")
_RULE = b"-" * 79 + b"\n"  # what Django's file backend writes after each message
MOST = 200


@dataclass(frozen=True)
class Mail:
    """name: file and position in it, as the page's address has it."""

    name: str
    subject: str
    to: str
    sender: str
    at: datetime
    body: str


@never_cache
@changes("operators", reads_too=True)
@require_safe
def mails(request: HttpRequest) -> HttpResponse:
    folder = Path(settings.EMAIL_FILE_PATH)
    files = sorted(folder.glob("*.log"), key=_written, reverse=True)[:MOST] if folder.is_dir() else []
    found = [mail for file in files for mail in reversed(_read(file))][:MOST]
    return render(request, "tenants/mails.html", {"mails": sorted(found, key=lambda mail: mail.at, reverse=True)})


@never_cache
@changes("operators", reads_too=True)
@require_safe
def mail(request: HttpRequest, name: str) -> HttpResponse:
    file_name, _, position = name.rpartition(":")
    file = Path(settings.EMAIL_FILE_PATH) / file_name
    if not _FILE.fullmatch(file_name) or not file.is_file():
        raise Http404
    for found in _read(file):
        if found.name == name:
            return render(request, "tenants/mail.html", {"mail": found})
    raise Http404


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read(file: Path) -> list[Mail]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    parts = [part for part in content.split(_RULE) if part.strip()]
    return [_mail(file, number, part) for number, part in enumerate(parts)]


def _mail(file: Path, number: int, raw: bytes) -> Mail:
    message = email.message_from_bytes(raw, policy=default)
    text = message.get_body(("plain",)) if isinstance(message, EmailMessage) else None
    date = message["date"]
    return Mail(
        name=f"{file.name}:{number}",
        subject=str(message["subject"] or "(no subject)"),
        to=str(message["to"] or ""),
        sender=str(message["from"] or ""),
        at=date.datetime if date is not None and date.datetime else datetime.fromtimestamp(_written(file), UTC),
        body=str(text.get_content()) if text is not None else "",
    )
