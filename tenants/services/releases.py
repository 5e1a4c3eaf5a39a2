"""Use-cases about releases that are there: listing, withdrawing, an operator's look before strangers see them."""

from django.db import transaction
from django.utils import timezone

from apps_catalog import discovery
from apps_catalog.models import App, Release, Review
from tenants.errors import Conflict, Refused
from tenants.models import Event, User
from tenants.services import listing
from tenants.tasks import enqueue_spread

REASON_LIMIT = 300


@transaction.atomic
def change_release(
    actor: User,
    release: Release,
    *,
    listed: bool | None = None,
    notes: str | None = None,
    yanked: bool | None = None,
    yank_reason: str = "",
) -> Release:
    """List or unlist it, mend its notes, withdraw it or offer it again. Repeating changes nothing.

    Withdrawn: nobody installs or updates to it any more; who has it keeps it.
    Raises Refused naming the field.
    """
    row = Release.objects.select_for_update(of=("self",), no_key=True).select_related("app").get(pk=release.pk)
    if notes is not None:
        row.notes = check_notes(notes)
    if listed is not None and listed != (row.listed or row.review == Review.PENDING):
        _list(actor, row, listed)
    if yanked is not None and yanked != (row.yanked_at is not None):
        _yank(actor, row, yanked, yank_reason)
    row.save()
    listing.show(row.app)
    enqueue_spread(row.app_id)
    return row


@transaction.atomic
def review_release(operator: User, release: Release, *, approve: bool, note: str = "") -> Release:
    """An operator's answer to a release that is to be listed. Raises Conflict for one that waits for none."""
    row = Release.objects.select_for_update(of=("self",), no_key=True).select_related("app").get(pk=release.pk)
    if row.review != Review.PENDING:
        raise Conflict("not_pending", "This release does not wait for an answer.")
    if not approve and not note.strip():
        raise Refused("reason_missing", "Say why, so that its developer can mend it.", field="note")
    row.review, row.review_note = (Review.APPROVED if approve else Review.REFUSED), _reason(note, "note")
    row.listed = approve
    row.save()
    Event.record(
        row, before="pending", after=row.review, actor=operator.pk, reason=row.review_note or "It may be listed."
    )
    listing.show(row.app)
    enqueue_spread(row.app_id)
    return row


@transaction.atomic
def unlist_app(operator: User, app: App, *, note: str) -> None:
    """Take it off the catalog; its developer reads why. Those who have it, or know its slug, are not affected.

    Again: nothing."""
    if not note.strip():
        raise Refused("reason_missing", "Say why, for its developer.", field="note")
    reason = _reason(note, "note")
    if not app.releases.filter(listed=True).update(listed=False, review=Review.REFUSED, review_note=reason):
        return
    Event.record(app, before="listed", after="unlisted", actor=operator.pk, reason=reason)
    listing.show(app)


def check_notes(notes: str) -> str:
    """Raises Refused (field notes)."""
    if len(notes) > discovery.MAX_NOTES or "\x00" in notes:
        raise Refused("invalid_notes", f"Notes have at most {discovery.MAX_NOTES} characters.", field="notes")
    return notes


def _list(actor: User, row: Release, listed: bool) -> None:
    if listed:
        listing.require_listable(row.page)
        if row.review == Review.REFUSED:
            raise Refused("refused_by_operator", "The operator has refused this release; make another.", field="listed")
        row.review = listing.review_for(actor) if row.review != Review.APPROVED else row.review
    elif row.review == Review.PENDING:
        row.review = Review.NOT_NEEDED
    row.listed = listed and row.review != Review.PENDING
    Event.record(row, before="", after="listed" if listed else "unlisted", actor=actor.pk)


def _yank(actor: User, row: Release, yanked: bool, reason: str) -> None:
    row.yanked_at = timezone.now() if yanked else None
    row.yank_reason = _reason(reason, "yank_reason") if yanked else ""
    Event.record(row, before="", after="withdrawn" if yanked else "offered", actor=actor.pk, reason=row.yank_reason)


def _reason(text: str, field: str) -> str:
    text = text.strip()
    if len(text) > REASON_LIMIT or not text.isprintable():
        raise Refused(f"invalid_{field}", f"A reason has at most {REASON_LIMIT} printable characters.", field=field)
    return text
