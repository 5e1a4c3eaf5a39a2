"""States, times and addresses of tenants' things in templates. No queries."""

from datetime import datetime, timedelta
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from apps_catalog import discovery
from tenants import addresses
from tenants.models import ActionRun, Instance, Operation
from tenants.representation import run_document

register = template.Library()

_GOOD = {"running", "active", "ready", "succeeded", "accepted"}
_BUSY = {
    "creating",
    "installing",
    "updating",
    "waking",
    "removing",
    "queued",
    "building",
    "closing",
    "pending",
    "starting",
}
_BAD = {"failed", "suspended", "lost"}
_TITLES = {
    "create_cloud": "Creating your cloud",
    "close_cloud": "Closing your account",
    "reopen_cloud": "Keeping your account",
    "change_plan": "Changing your plan",
    "install": "Installing",
    "restart": "Restarting",
    "update": "Updating",
    "rollback": "Going back",
    "sleep": "Putting to sleep",
    "wake": "Waking",
    "remove": "Removing",
    "build": "Building",
    "export": "Exporting",
    "look": "Looking through an archive for",
    "import": "Importing",
    "wipe": "Wiping",
}


@register.simple_tag
@lru_cache(maxsize=64)  # a page of thirty apps shows sixty pills of five kinds
def state(value: str, working: bool = False) -> SafeString:
    """A state as a pill: its name, and a dot whose colour only repeats it. working: `running` means work in progress."""
    tone = "idle"
    if value in _BUSY or (working and value == "running"):
        tone = "busy"
    elif value in _GOOD:
        tone = "good"
    elif value in _BAD:
        tone = "bad"
    return format_html('<span class="pill {}">{}</span>', tone, value)


@register.filter
def written(markdown: str) -> SafeString:
    """A stranger's Markdown as HTML that is safe on our pages."""
    return mark_safe(discovery.render(markdown))  # noqa: S308 - cleaned by nh3, no images, no raw HTML


@register.simple_tag
def elapsed(start: datetime | None, end: datetime | None) -> SafeString | str:
    """How long something took, or has been taking: console.js lets the latter tick."""
    if start is None:
        return ""
    if end is not None:
        return format_html('<time datetime="{}">{}</time>', start.isoformat(), spell(end - start))
    return format_html('<time data-since="{}">{}</time>', start.isoformat(), spell(timezone.now() - start))


@register.simple_tag
def at(moment: datetime | None) -> SafeString | str:
    """A moment in UTC, and said so; console.js adds what the person's own clock shows then."""
    if moment is None:
        return "–"
    shown = moment.strftime("%-d %b, %H:%M")
    return format_html('<time datetime="{}" data-local>{} UTC</time>', moment.isoformat(), shown)


@register.filter
def milliseconds(amount: int) -> str:
    return spell(timedelta(milliseconds=amount))


@register.filter
def run_state(run: ActionRun) -> str:
    return str(run_document(run)["state"])


def spell(duration: timedelta) -> str:
    """“0.4 s”, “12 s”, “2 min 5 s”, “1 h 3 min”."""
    seconds = max(duration.total_seconds(), 0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


@register.filter
def address(instance: Instance) -> str:
    """Where the instance answers: scheme, host, port and a slash."""
    return addresses.url_of(instance)


@register.filter
def title(operation: Operation) -> str:
    return _TITLES.get(operation.kind, operation.get_kind_display())


@register.filter
def share(used: int, limit: int) -> str:
    """How close to its limit a meter is, as a class: "", "tight" (above 80 %) or "full"."""
    if used >= limit:
        return "full"
    return "tight" if used * 5 > limit * 4 else ""
