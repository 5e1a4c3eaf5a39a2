"""Discovery.md: what the catalog says of an app. Front matter, then Markdown; a plain function of the text."""

import re
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from apps_catalog.spacefile.document import Document, YamlProblem, read
from apps_catalog.spacefile.problems import Problem

MAX_BYTES = 64 * 1024
MAX_BODY = 4250
MAX_NOTES = 4250
MAX_MEDIA = 5
_LENGTHS = {"app_name": 12, "title": 45, "tagline": 69, "theme_color": 9}
# What the catalog can be narrowed to; the names are those of apps_catalog.models.Category.
CATEGORIES = ("productivity", "notes", "media", "home", "people", "reading", "games", "developers", "other")
_URLS = ("git", "homepage", "ported_from")
_COLOUR = re.compile(r"#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")
_GIT_SSH = re.compile(r"(ssh://)?[A-Za-z0-9._-]+@[A-Za-z0-9.-]+[:/][A-Za-z0-9._~/-]+")
_VIDEO_HOSTS = frozenset(("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be", "loom.com", "www.loom.com"))
_TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "a", "ul", "ol", "li", "blockquote"),
    *("code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}}
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)(.*)\Z", re.DOTALL | re.MULTILINE)


class DiscoveryErrors(ValueError):
    """All problems of one Discovery.md; each names its field as `key`."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True)
class Discovery:
    """body: Markdown as written. Empty text where a field is absent. media: screenshots' paths and video links."""

    app_name: str = ""
    title: str = ""
    tagline: str = ""
    theme_color: str = ""
    git: str = ""
    homepage: str = ""
    ported_from: str = ""
    media: tuple[str, ...] = ()
    open_code: bool = False
    works_with: tuple[str, ...] = ()
    category: str = ""
    body: str = ""

    @property
    def html(self) -> str:
        return render(self.body)


def parse(text: str | bytes) -> Discovery:
    """Raises DiscoveryErrors with every problem. Unknown fields are ignored, as the former client did."""
    front, body, offset = _split(text)
    try:
        document = read(front)
    except YamlProblem as error:
        problem = error.problem
        raise DiscoveryErrors([Problem(problem.message, line=problem.line and problem.line + offset)]) from None
    data = document.data if document.data is not None else {}
    if not isinstance(data, dict):
        raise DiscoveryErrors([Problem("the front matter must be keys and values", line=1)])
    fields = _Fields(data, document, offset)
    found = Discovery(
        **{key: fields.text(key, limit) for key, limit in _LENGTHS.items()},
        **{key: fields.url(key) for key in _URLS},
        media=fields.media(),
        open_code=fields.flag("open_code"),
        works_with=fields.texts("works_with", 20),
        category=fields.choice("category", CATEGORIES),
        body=body.strip(),
    )
    if found.theme_color and not _COLOUR.fullmatch(found.theme_color):
        fields.fault("theme_color", "must be a hex colour such as #2563eb")
    if len(found.body) > MAX_BODY:
        fields.fault("body", f"must have at most {MAX_BODY} characters")
    if fields.problems:
        raise DiscoveryErrors(fields.problems)
    return found


def missing_for_listing(discovery: Discovery) -> tuple[str, ...]:
    """Names of the fields that a listed release needs and this text lacks."""
    return tuple(name for name in ("app_name", "tagline", "body") if not getattr(discovery, name))


def _split(text: str | bytes) -> tuple[str, str, int]:
    """(front matter, body, lines before the front matter)."""
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise DiscoveryErrors([Problem("not valid UTF-8 text")]) from None
    if len(decoded) > MAX_BYTES:
        raise DiscoveryErrors([Problem(f"larger than {MAX_BYTES // 1024} KiB", "body")])
    match = _FRONT_MATTER.match(decoded)
    return (match[1], match[2], 1) if match else ("", decoded, 0)


class _Fields:
    """Reads single fields and collects what is wrong with them."""

    def __init__(self, data: dict[str, Any], document: Document, offset: int) -> None:
        self.data, self._document, self._offset = data, document, offset
        self.problems: list[Problem] = []

    def fault(self, key: str, message: str) -> None:
        line = self._document.lines.get((key,))
        self.problems.append(Problem(message, key, line=line + self._offset if line else None))

    def text(self, key: str, limit: int) -> str:
        value = self.data.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.fault(key, "must be text; put it in quotes")
            return ""
        if not value.isprintable():
            self.fault(key, "must be one line without control characters")
        if len(value.strip()) > limit:
            self.fault(key, f"must have at most {limit} characters")
        return value.strip()

    def flag(self, key: str) -> bool:
        value = self.data.get(key) or False
        if not isinstance(value, bool):
            self.fault(key, "must be true or false")
        return value is True

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key, 60)
        if value and value not in allowed:
            self.fault(key, f"must be one of {', '.join(allowed)}")
            return ""
        return value

    def texts(self, key: str, limit: int) -> tuple[str, ...]:
        value = self.data.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) and item.isprintable() for item in value):
            self.fault(key, "must be a list of texts")
            return ()
        if len(value) > limit:
            self.fault(key, f"must have at most {limit} entries")
        return tuple(_bare(item) for item in value)

    def url(self, key: str) -> str:
        value = _bare(self.text(key, 2000))
        git_address = key != "homepage" and _GIT_SSH.fullmatch(value)
        if value and not (git_address or _is_web_address(value)):
            self.fault(key, "must be an address that begins with https:// or http://")
            return ""
        return value

    def media(self) -> tuple[str, ...]:
        items = self.texts("media", MAX_MEDIA)
        links = [item for item in items if "://" in item]
        if len(links) > 1:
            self.fault("media", "may have one video at most")
        if any(not _is_web_address(link) or urlsplit(link).hostname not in _VIDEO_HOSTS for link in links):
            self.fault("media", "a video must be a YouTube or Loom link")
        if any(_leaves(item) for item in items if "://" not in item):
            self.fault("media", "a screenshot must be a path inside the project")
        return items


def _bare(value: str) -> str:
    """Without the angle brackets that some examples put around addresses."""
    value = value.strip()
    return value[1:-1].strip() if value.startswith("<") and value.endswith(">") else value


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _leaves(path: str) -> bool:
    return not path or path.startswith("/") or "\\" in path or ".." in path.split("/")


def render(markdown: str) -> str:
    """Markdown from a stranger → HTML that is safe in our own pages: no images, no raw HTML, headings from h2."""
    html = _MARKDOWN.render(markdown[: MAX_BODY * 4])
    return nh3.clean(
        html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto"}, link_rel="nofollow noopener"
    )


class _Renderer(RendererHTML):
    """Images become their description."""

    def image(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        return escape(self.renderInlineAsText(tokens[idx].children or [], options, env))


def _lower_headings(tokens: list[Token]) -> None:
    for token in tokens:
        if token.tag == "h1":
            token.tag = "h2"


class _Markdown(MarkdownIt):
    def parse(self, src: str, env: Any = None) -> list[Token]:
        tokens = super().parse(src, env)
        _lower_headings(tokens)
        return tokens


_MARKDOWN = _Markdown("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)
