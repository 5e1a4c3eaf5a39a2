"""`/docs/`: the Markdown files of docs/, and pictures beside them. Addresses are the files' paths, so links just work."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nh3
from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.utils.text import slugify
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDER: Path = settings.BASE_DIR / "docs"
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
_ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, **{f"h{level}": {"id"} for level in range(1, 7)}, "code": {"class"}}


@dataclass(frozen=True)
class Entry:
    """path: below docs/, with `.md`. title: its first heading."""

    path: str
    title: str


@require_safe
def page(request: HttpRequest, path: str = "") -> HttpResponseBase:
    file = _file(path)
    if file.suffix in _PICTURES:
        return FileResponse(file.open("rb"), content_type=_PICTURES[file.suffix])
    context = {
        "entries": _entries(),
        "current": file.relative_to(FOLDER).as_posix(),
        "title": _title(file, file.stat().st_mtime_ns),
        "body": mark_safe(_html(file, file.stat().st_mtime_ns)),  # noqa: S308 - cleaned by nh3
    }
    return render(request, "provider/docs.html", context)


def _file(path: str) -> Path:
    """The file that is meant; only Markdown and pictures, and only inside docs/, wherever links may point."""
    if "\x00" in path or any(part.startswith(".") for part in path.split("/")):
        raise Http404
    file = (FOLDER / path).resolve()
    if file.is_dir():
        file = next((file / name for name in ("README.md", "index.md") if (file / name).is_file()), _first(file))
    if not file.is_relative_to(FOLDER.resolve()) or file.suffix not in {".md", *_PICTURES} or not file.is_file():
        raise Http404
    return file


def _first(folder: Path) -> Path:
    return next(iter(sorted(folder.glob("*.md"))), folder / "README.md")


def _entries() -> list[Entry]:
    files = sorted(FOLDER.rglob("*.md"), key=lambda file: (len(file.parts), file.as_posix()))
    return [Entry(file.relative_to(FOLDER).as_posix(), _title(file, file.stat().st_mtime_ns)) for file in files]


@lru_cache(maxsize=500)
def _title(file: Path, _changed: int) -> str:
    found = _HEADING.search(file.read_text(encoding="utf-8"))
    return found.group(1).strip() if found else file.stem.replace("-", " ").capitalize()


@lru_cache(maxsize=100)
def _html(file: Path, _changed: int) -> str:
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = markdown.parse(file.read_text(encoding="utf-8"))
    _name_headings(tokens)
    html = markdown.renderer.render(tokens, markdown.options, {})
    return nh3.clean(html, attributes=_ATTRIBUTES, link_rel="noopener")


def _name_headings(tokens: list[Token]) -> None:
    """Ids, so that links to `#a-heading` work as they do on code hosts."""
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open":
            token.attrSet("id", slugify(inline.content))
