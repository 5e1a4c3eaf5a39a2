"""Use-cases of operators: give a cloud more or less than its plan says, with a reason, and for a while where they wish."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from tenants.errors import Conflict, Refused
from tenants.live import announce
from tenants.models import Cloud, Event, Override, User
from tenants.models.plans import BOUNDS, FIGURES, NEVER
from tenants.reconcile import alerts, limits
from tenants.states import CloudState
from tenants.tasks import enqueue_cloud

REASON_LIMIT = 300
MOST = 50  # that count at the same time


@transaction.atomic
def grant_override(
    actor: User | None, cloud: Cloud, figures: Mapping[str, Any], *, reason: str, ends_at: datetime | None = None
) -> Override:
    """Overrule figures (of FIGURES) of the plan, until `ends_at` or an operator ends it. Holds for the very next install.

    A quota below what is used removes nothing; it only refuses more. Raises Refused naming the field, Conflict.
    """
    locked = _lock(cloud)
    override = Override(
        cloud=locked, granted_by=actor, reason=checked_reason(reason), ends_at=ends_at, **_checked(figures)
    )
    if ends_at is not None and ends_at <= timezone.now():
        raise Refused("invalid_end", "It would have ended already.", field="ends_at")
    if Override.objects.filter(cloud=locked, ended_at__isnull=True).count() >= MOST:
        raise Conflict("too_many_overrides", f"At most {MOST} count at the same time; end some of them.")
    try:
        override.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, sentences = next(iter(error.message_dict.items()))
        raise Refused("invalid_override", f"{field}: {sentences[0]}", field=field) from error
    override.save(force_insert=True)
    named = ", ".join(f"{name} {value}" for name, value in override.figures.items())
    until = f" until {ends_at:%Y-%m-%d %H:%M}" if ends_at else ""
    _changed(actor, override, "exception", f"override {override.pk}: {named}{until}; {override.reason}")
    return override


@transaction.atomic
def end_override(actor: User | None, override: Override, *, reason: str = "") -> Override:
    """It counts no more from now on. Again, or after its date: changes nothing."""
    locked = _lock(override.cloud)
    now = timezone.now()
    if Override.objects.filter(pk=override.pk, ended_at__isnull=True).update(ended_at=now):
        override.cloud = locked
        said = f"override {override.pk} ended; {reason[:REASON_LIMIT]}".rstrip("; ")
        _changed(actor, override, "exception ended", said)
    override.refresh_from_db(fields=["ended_at"])
    return override


def _lock(cloud: Cloud) -> Cloud:
    locked: Cloud = Cloud.objects.select_for_update(of=("self",), no_key=True).get(pk=cloud.pk)
    if locked.state in (CloudState.CLOSING, CloudState.CLOSED):
        raise Conflict("cloud_unavailable", f"The cloud is {locked.get_state_display().lower()}.")
    return locked


def _checked(figures: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in figures.items():
        if name not in FIGURES:
            raise Refused("invalid_override", f"A plan has no “{name[:40]}”.", field=name[:40])
        if value is None:
            continue
        if name == "rate_class":
            if not isinstance(value, str):
                raise Refused("invalid_override", "rate_class is text.", field=name)
        elif not isinstance(value, int) or isinstance(value, bool):
            raise Refused("invalid_override", f"{name} is a whole number.", field=name)
        elif name == "sleep_after_s" and value != NEVER and not BOUNDS[name][0] <= value <= BOUNDS[name][1]:
            raise Refused(
                "invalid_override", f"{name} is 0 (never) or {BOUNDS[name][0]} to {BOUNDS[name][1]}.", field=name
            )
        if value != "":
            found[name] = value
    if not found:
        raise Refused("invalid_override", "Say at least one figure.", field="figures")
    return found


def checked_reason(reason: str) -> str:
    """Raises Refused naming it."""
    text = reason.strip()
    if not 1 <= len(text) <= REASON_LIMIT or not text.isprintable():
        raise Refused("reason_missing", f"Say why, in one line of at most {REASON_LIMIT} characters.", field="reason")
    return text


def _changed(actor: User | None, override: Override, after: str, what: str) -> None:
    """after: never a state of the cloud, whose last change of state the record tells too."""
    cloud = override.cloud
    Event.record(cloud, before="", after=after, actor=actor.pk if actor else "", reason=what)
    announce(cloud.pk, cloud.pk)
    if override.traffic_bytes is not None:
        alerts.mark([cloud.pk])
    if override.names_quota:  # else there is nothing that the cluster knows of
        limits.touch([cloud.pk])
        enqueue_cloud(cloud.pk)
