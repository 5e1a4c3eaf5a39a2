"""Where the client keeps who is signed in, and keys to data: files in the user's config folder that nobody else reads."""

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


_SIGN_INS = "config.json"


def folder() -> Path:
    return Path(typer.get_app_dir("freehold"))


def chosen_url(given: str | None) -> str:
    """The option or FREEHOLD_URL, else where the last sign-in went, else this machine."""
    return (given or str(kept(_SIGN_INS).get("url", "")) or DEFAULT_URL).rstrip("/")


def sign_in_for(url: str) -> SignIn | None:
    """FREEHOLD_TOKEN wins over what is stored, so that a pipeline needs no file."""
    if token := os.environ.get("FREEHOLD_TOKEN"):
        return SignIn(token, "")
    entry = kept(_SIGN_INS).get("sign_ins", {}).get(url)
    return SignIn(entry["token"], entry.get("email", "")) if entry else None


def remember(url: str, sign_in: SignIn) -> None:
    data = kept(_SIGN_INS)
    data["url"] = url
    data.setdefault("sign_ins", {})[url] = {"token": sign_in.token, "email": sign_in.email}
    keep(_SIGN_INS, data)


def kept(name: str) -> dict[str, Any]:
    """What `keep` wrote under that name; empty at first. Raises Failure for a file that cannot be read."""
    path = folder() / name
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Failure(f"{path} cannot be read ({error}). Mend or remove it.", code="config") from error
    return data if isinstance(data, dict) else {}


def keep(name: str, data: dict[str, Any]) -> None:
    write(folder() / name, json.dumps(data, indent=2))


def write(target: Path, text: str) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_suffix(f".{os.getpid()}")
    # Created with its final mode: at no moment may another user read the token.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(target)
