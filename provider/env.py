"""Readers of environment variables. Only settings.py and `up` use them; a wrong value stops the start with one sentence."""

import base64
import binascii
import os

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """The variable, or `default`; without a default the variable must be set."""
    value = os.environ.get(name, "")
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"Set the environment variable {name}: Freehold does not start without it.")
    return default


def integer(name: str, default: int) -> int:
    """Never a negative one."""
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit()):
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.")
    return int(value)


def boolean(name: str, default: bool) -> bool:
    value = text(name, "true" if default else "false").lower()
    if value not in ("true", "false", "1", "0", "yes", "no"):
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
    return value in ("true", "1", "yes")


def choice(name: str, allowed: tuple[str, ...], default: str) -> str:
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value


def beginning(name: str, allowed: tuple[str, ...]) -> str:
    """Nothing, or a secret that begins with one of these. What it is instead is not repeated: it may be another secret."""
    value = text(name, "")
    if value and not value.startswith(allowed):
        raise ImproperlyConfigured(f"{name} must begin with one of {', '.join(allowed)}.")
    return value


def names(name: str, default: str = "") -> list[str]:
    """A comma-separated list; blanks are dropped."""
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def pairs(name: str) -> list[tuple[str, str]]:
    """`key=value` by blanks; values may hold further signs of equality."""
    found = [part.partition("=") for part in os.environ.get(name, "").split()]
    if any(not (key and value) for key, _, value in found):
        raise ImproperlyConfigured(f"{name} must be NAME=VALUE, several by blanks.")
    return [(key, value) for key, _, value in found]


def keys(name: str, default: str | None = None) -> list[str]:
    """A comma-separated list of keys of 32 bytes each in URL-safe base64; at least one."""
    found = [part.strip() for part in text(name, default).split(",") if part.strip()]
    try:
        good = bool(found) and all(len(base64.urlsafe_b64decode(key)) == 32 for key in found)
    except (binascii.Error, ValueError):
        good = False
    if not good:
        raise ImproperlyConfigured(f"{name} must be keys of 32 bytes in URL-safe base64, separated by commas.")
    return found
