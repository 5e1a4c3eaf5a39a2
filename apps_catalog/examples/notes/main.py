"""Notes: a page, a few JSON routes, and one SQLite file on the app's volume. Standard library only.

Who may come here is decided before a request arrives; `X-Freehold-Email` says who it was.
"""

import json
import re
from http import HTTPStatus
from pathlib import Path

from store import Notes, NotFoundError

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MAX_BODY = 1_000_000
NOTE = re.compile(r"/api/notes/([0-9]{1,12})(/restore)?")
HEADERS = [
    ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
]

notes = Notes()


class BadRequestError(Exception):
    """What was sent cannot be used; the text says why."""


def app(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/"
    try:
        status, kind, body = route(method, path, environ)
    except NotFoundError:
        status, kind, body = as_json({"error": "There is no such note."}, HTTPStatus.NOT_FOUND)
    except BadRequestError as error:
        status, kind, body = as_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
    headers = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body))), *HEADERS]
    start_response(f"{status.value} {status.phrase}", headers)
    return [] if method == "HEAD" else [body]


def route(method, path, environ):
    if path.startswith("/api/"):
        return api(method, path, environ)
    if method not in ("GET", "HEAD"):
        return as_json({"error": "Not here."}, HTTPStatus.METHOD_NOT_ALLOWED)
    name = "index.html" if path == "/" else path.removeprefix("/static/")
    file = STATIC / name
    if "/" in name or file.suffix not in TYPES or not file.is_file():
        return HTTPStatus.NOT_FOUND, "text/plain", b"Not found"
    return HTTPStatus.OK, TYPES[file.suffix], file.read_bytes()


def api(method, path, environ):
    if path == "/api/me":
        return as_json({"email": environ.get("HTTP_X_FREEHOLD_EMAIL", "")})
    if path == "/api/notes" and method == "GET":
        return as_json({"notes": notes.all()})
    if path == "/api/notes" and method == "POST":
        return as_json(notes.add(text_of(environ)), HTTPStatus.CREATED)
    match = NOTE.fullmatch(path)
    if not match:
        return as_json({"error": "Not found."}, HTTPStatus.NOT_FOUND)
    number = int(match[1])
    if match[2] and method == "POST":
        return as_json(notes.restore(number))
    if not match[2] and method == "PUT":
        return as_json(notes.change(number, text_of(environ)))
    if not match[2] and method == "DELETE":
        notes.remove(number)
        return as_json({"removed": number})
    return as_json({"error": "That cannot be done to a note."}, HTTPStatus.METHOD_NOT_ALLOWED)


def text_of(environ):
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > MAX_BODY:
        raise BadRequestError("A note may be 1 MB long at most.")
    try:
        text = json.loads(environ["wsgi.input"].read(int(length)))["text"]
    except (ValueError, KeyError, TypeError):
        raise BadRequestError('Send JSON with "text".') from None
    if not isinstance(text, str) or "\x00" in text:
        raise BadRequestError("The text of a note must be text.")
    return text.encode(errors="replace").decode()


def as_json(data, status=HTTPStatus.OK):
    return status, "application/json", json.dumps(data).encode()
