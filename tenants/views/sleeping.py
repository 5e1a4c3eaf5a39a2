"""Buttons of an instance's page about falling asleep and waking up."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from tenants import access
from tenants.errors import Refused
from tenants.models import Instance
from tenants.services import sleeping, waking
from tenants.views.person import person, tell

MINUTE, HOUR = 60, 3600
_OFFERED = (5 * MINUTE, 15 * MINUTE, HOUR, 8 * HOUR, 24 * HOUR)


def about_sleep(row: Instance) -> dict[str, Any]:
    """The choice on the page of an instance."""
    chosen = row.sleep_after_s
    offered = sorted({*_OFFERED, *([chosen] if chosen else [])})
    choices = [
        ("", f"As the plan says ({spoken(sleeping.by_plan_s(row.cloud))})"),
        *((str(s), spoken(s)) for s in offered),
    ]
    return {
        "sleep_choices": [*choices, ("0", "never")],
        "sleep_chosen": "" if chosen is None else str(chosen),
    }


def spoken(seconds: int) -> str:
    """As people say it: "15 minutes", "1 hour", "never" for 0."""
    if not seconds:
        return "never"
    for size, name in ((HOUR, "hour"), (MINUTE, "minute"), (1, "second")):
        if seconds % size == 0:
            number = seconds // size
            return f"{number} {name}{'s' if number != 1 else ''}"
    raise AssertionError("unreachable")


@login_required
@require_POST
def sleep(request: HttpRequest, instance_id: str) -> HttpResponse:
    user = person(request)
    row = access.instance_for(user, instance_id)
    try:
        sleeping.sleep_now(user, row)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:instance", instance_id)


@login_required
@require_POST
def wake(request: HttpRequest, instance_id: str) -> HttpResponse:
    user = person(request)
    row = access.instance_for(user, instance_id)
    try:
        waking.wake_now(user, row)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:instance", instance_id)


@login_required
@require_POST
def sleep_after(request: HttpRequest, instance_id: str) -> HttpResponse:
    """`after`: idle seconds, 0 for never, empty for what the plan says."""
    row = access.instance_for(person(request), instance_id)
    after = request.POST.get("after", "")
    if after and not (after.isascii() and after.isdigit() and len(after) < 9):
        messages.error(request, "Choose one of the times.")
        return redirect("console:instance", instance_id)
    try:
        sleeping.choose_sleep_after(row, int(after) if after else None)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:instance", instance_id)
