"""`manage.py rotate_session_keys`: a new key for the sessions of apps, and in which order to put it into use."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from provider.gate.appsession import LIFETIME_S, parse_keys


class Command(BaseCommand):
    help = (
        "Print a new first key for FREEHOLD_SESSION_KEYS, and the steps by which nobody is signed out. Changes nothing."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        parse_keys(settings.SESSION_KEYS)  # what is there must be understood before anything is advised
        now, old = timezone.now(), ",".join(settings.SESSION_KEYS)
        new = f"k{now:%Y%m%d}{secrets.token_hex(2)}:{secrets.token_urlsafe(32)}"
        over = now + timedelta(seconds=LIFETIME_S) + timedelta(days=1)
        for line in (
            "1. Let every process know the new key (several gates or live processes: wait until all run with it):",
            f"   FREEHOLD_SESSION_KEYS={old},{new}",
            "2. Let it sign:",
            f"   FREEHOLD_SESSION_KEYS={new},{old}",
            f"3. From {over:%-d %B %Y} on, when the last session under the old key has run out:",
            f"   FREEHOLD_SESSION_KEYS={new}",
            "With one gate and one live process, as under `make up`, begin with 2.",
        ):
            self.stdout.write(line)
