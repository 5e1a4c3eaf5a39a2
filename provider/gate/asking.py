"""The question that the proxy asks about a request, and the answer."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from provider.gate import pages

CALLBACK = "/__space/auth/callback"
ASSETS = "/__space/v0/assets/"


@dataclass(frozen=True)
class Ask:
    """One request as the proxy saw it. authority: the Host header in lower case. path and query: as they were sent.

    own: it comes from the app's own pages or from a person's navigation, so its session may count. cookie, accept,
    authorization, origin, fetch_mode, fetch_dest: headers, "" where missing. program: it shows a key, right or wrong;
    app_key, own_key: the SHA-256 of X-Space-App-Key and of X-API-Key, "" where there is not exactly one. awake: the
    proxy knows where to, by maps that are up to date. held_ms: how long it has been kept waiting.
    """

    scheme: str
    authority: str
    path: str
    query: str
    method: str
    own: bool
    upgrade: bool
    cookie: str
    accept: str
    authorization: str
    origin: str
    fetch_mode: str
    fetch_dest: str
    program: bool = False
    app_key: str = ""
    own_key: str = ""
    awake: bool = False
    held_ms: int = 0

    @property
    def host(self) -> str:
        return self.authority.partition(":")[0]

    @property
    def port(self) -> str:
        """ ":8000", or "" for the scheme's own."""
        return self.authority[len(self.host) :]

    @property
    def wants_page(self) -> bool:
        return "text/html" in self.accept and not self.program

    @property
    def may_sign_in(self) -> bool:
        """A person looks at the answer, so it may lead to the sign-in: a top-level navigation.

        Clients that do not say what a request is for are taken at their Accept header; `*/*` is what link openers send.
        """
        if self.method not in ("GET", "HEAD") or self.upgrade or self.authorization or self.program:
            return False
        if self.fetch_mode or self.fetch_dest:
            return self.fetch_mode == "navigate" and self.fetch_dest == "document"
        return not self.origin and (self.wants_page or self.accept.strip() == "*/*")

    def cookies(self, name: str) -> list[str]:
        """Every value sent under this name, in order."""
        pairs = (part.strip(" \t").partition("=") for part in self.cookie.split(";"))
        return [value.strip(" \t") for key, _, value in pairs if key.strip(" \t") == name]


def from_headers(headers: Mapping[str, str]) -> Ask:
    """Raises KeyError when the proxy's own headers are missing."""
    return Ask(
        scheme=headers["x-gate-scheme"],
        authority=headers["x-gate-authority"],
        path=headers["x-gate-path"],
        query=headers.get("x-gate-query", ""),
        method=headers["x-gate-method"],
        own=headers.get("x-gate-own") == "1",
        upgrade=bool(headers.get("x-gate-upgrade")),
        cookie=headers.get("cookie", ""),
        accept=headers.get("accept", ""),
        authorization=headers.get("authorization", ""),
        origin=headers.get("origin", ""),
        fetch_mode=headers.get("sec-fetch-mode", ""),
        fetch_dest=headers.get("sec-fetch-dest", ""),
        program=headers.get("x-gate-program") == "1",
        app_key=headers.get("x-gate-app-key", ""),
        own_key=headers.get("x-gate-own-key", ""),
        awake=headers.get("x-gate-awake") == "1",
        held_ms=int(headers.get("x-gate-held", "0")),
    )


@dataclass(frozen=True)
class Answer:
    """status 204 lets the request through to the `x-gate-upstream` header; any other goes to the client as it is.

    hold_ms: may soon be different: the proxy keeps the request waiting and asks again after so long, unless the instance
    is there before. The answer then already says, in headers, as whom the request may enter.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    hold_ms: int = field(default=0, compare=False)

    def also(self, *headers: tuple[str, str]) -> "Answer":
        return replace(self, headers=(*self.headers, *headers))

    def held(self, hold_ms: int) -> "Answer":
        return replace(self, hold_ms=hold_ms)


_PRIVATE = (("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff"))


def redirect(location: str) -> Answer:
    return Answer(302, (("location", location), *_PRIVATE))


def say(ask: Ask, status: int, error: str, page: str) -> Answer:
    """The page for browsers, `{"errors": […]}` for programs. error: plain ASCII without quotes."""
    if ask.wants_page:
        kind = (("content-type", "text/html; charset=utf-8"), ("content-security-policy", pages.POLICY))
        return Answer(status, (*kind, *_PRIVATE), page)
    return Answer(status, (("content-type", "application/json"), *_PRIVATE), f'{{"errors":["{error}"]}}')


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def set_cookie(ask: Ask, name: str, value: str, max_age_s: int) -> tuple[str, str]:
    """Host-only, out of reach of scripts, for every path; Secure over https."""
    secure = "; Secure" if ask.scheme == "https" else ""
    return ("set-cookie", f"{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
