"""`login` and `status`."""

import socket
import sys
from typing import Annotated

import typer

from provider.cli import config
from provider.cli.api import Api, Document
from provider.cli.failures import Usage
from provider.cli.screen import Screen
from provider.cli.session import AsJson, Url, session

Token = Annotated[str | None, typer.Option("--token", "-t", help="An API token instead of a password; - reads it.")]
Email = Annotated[str | None, typer.Option("--email", help="Asked for when left out.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def login(
    token: Token = None,
    email: Email = None,
    password_stdin: FromStdin = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Sign in, by e-mail and password or with a token, and stay so."""
    with session(url, as_json, signed_in=False) as here:
        if token is not None:
            sign_in = config.SignIn(_first_line() if token == "-" else token, "")  # noqa: S105 - "-" means stdin
        else:
            sign_in = _by_password(here.api, here.screen, email, password_stdin)
        cloud = Api(here.api.url, sign_in.token).get("cloud/")
        config.remember(here.api.url, sign_in)
        here.screen.say(f"Signed in at {here.api.url} as {cloud['handle']}.", "green")
        here.screen.say("Next: `freehold push` in a folder with a Spacefile, or `freehold install APP`.")
        here.screen.document({"url": here.api.url, "handle": cloud["handle"], "cloud": cloud})


def status(url: Url = None, as_json: AsJson = False) -> None:
    """Who you are, how your cloud is, and how much of it is used."""
    with session(url, as_json) as here:
        cloud = here.api.get("cloud/")
        here.screen.say(f"{cloud['handle']} at {here.api.url}")
        here.screen.say(f"cloud {cloud['namespace']} is {cloud['state']}, plan {cloud['plan']}")
        units = {"cpu_millis": "m cpu", "memory_mib": "MiB memory", "storage_mib": "MiB storage", "instances": "apps"}
        here.screen.table(
            ("", "used", "of"),
            [(unit, str(cloud["usage"][key]), str(cloud["quota"][key])) for key, unit in units.items()],
        )
        here.screen.document({"url": here.api.url, **cloud})


def _by_password(api: Api, screen: Screen, email: str | None, password_stdin: bool) -> config.SignIn:
    if not password_stdin and not sys.stdin.isatty():
        raise Usage("Without a terminal, use --token - or --email with --password-stdin.", code="usage")
    if password_stdin and not email:
        raise Usage("--password-stdin needs --email.", code="usage", field="email")
    # Prompts go to standard error: in JSON mode standard output is the document's alone.
    email = email or typer.prompt("E-mail", err=True)
    password = _first_line() if password_stdin else typer.prompt("Password", hide_input=True, err=True)
    with screen.waiting("Signing in"):
        answer = _token(api, email, password)
    return config.SignIn(answer["token"], email)


def _token(api: Api, email: str, password: str) -> Document:
    name = f"freehold on {socket.gethostname()}"[:60]
    return api.post("tokens/", {"email": email, "password": password, "name": name, "scopes": ["*"]})


def _first_line() -> str:
    return sys.stdin.readline().rstrip("\r\n")
