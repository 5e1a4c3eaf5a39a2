"""Where the client keeps who is signed in: one JSON file in the user's config folder, readable by nobody else."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from provider.cli.failures import Failure

DEFAULT_URL = "http://freehold.localhost:8000"


@dataclass(frozen=True)
class SignIn:
    """email: empty when the token was given instead of a password."""

    token: str
    email: str


def path() -> Path:
    return Path(typer.get_app_dir("freehold")) / "config.json"


def chosen_url(given: str | None) -> str:
    """The option or FREEHOLD_URL, else where the last sign-in went, else this machine."""
    return (given or str(_read().get("url", "")) or DEFAULT_URL).rstrip("/")


def sign_in_for(url: str) -> SignIn | None:
    """FREEHOLD_TOKEN wins over what is stored, so that a pipeline needs no file."""
    if token := os.environ.get("FREEHOLD_TOKEN"):
        return SignIn(token, "")
    entry = _read().get("sign_ins", {}).get(url)
    return SignIn(entry["token"], entry.get("email", "")) if entry else None


def remember(url: str, sign_in: SignIn) -> None:
    data = _read()
    data["url"] = url
    data.setdefault("sign_ins", {})[url] = {"token": sign_in.token, "email": sign_in.email}
    _write(data)


def _read() -> dict[str, Any]:
    try:
        data = json.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Failure(f"{path()} cannot be read ({error}). Mend or remove it.", code="config") from error
    return data if isinstance(data, dict) else {}


def _write(data: dict[str, Any]) -> None:
    target = path()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_suffix(f".{os.getpid()}")
    # Created with its final mode: at no moment may another user read the token.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2)
    draft.replace(target)
