"""Telling the operator about an app."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps_catalog.models import App, AppReport, Concern
from tenants.errors import Conflict, Refused
from tenants.models import Event, User
from tenants.services.releases import unlist_app

TEXT_LIMIT = 2000


@transaction.atomic
def report_app(actor: User, app: App, *, concern: str, text: str = "") -> AppReport:
    """Raises Refused naming the field, Conflict while an earlier report of theirs waits for an answer."""
    if concern not in Concern.values:
        raise Refused("invalid_concern", f"Say what it is: {', '.join(Concern.values)}.", field="concern")
    text = text.strip()
    if len(text) > TEXT_LIMIT or "\x00" in text:
        raise Refused("invalid_text", f"A report has at most {TEXT_LIMIT} characters.", field="text")
    if concern == Concern.OTHER and not text:
        raise Refused("text_missing", "Say what it is.", field="text")
    try:
        with transaction.atomic():
            return AppReport.objects.create(app=app, reporter=actor, concern=concern, text=text)
    except IntegrityError as error:
        raise Conflict(
            "reported_already", "You have reported this app already; the operator will look at it."
        ) from error


@transaction.atomic
def close_report(operator: User, report: AppReport, note: str = "") -> None:
    """The operator has looked; note: kept with it. Again: nothing."""
    if AppReport.objects.filter(pk=report.pk, closed_at__isnull=True).update(closed_at=timezone.now()):
        Event.record(report, before="open", after="closed", actor=operator.pk, reason=note or "Nothing to do.")


@transaction.atomic
def answer_report(operator: User, report: AppReport, *, unlist: bool, note: str = "") -> None:
    """Close it; unlist: and take the app off the catalog, which wants a note. Again: nothing more.

    Raises Refused (field note); then nothing is changed.
    """
    if unlist:
        unlist_app(operator, report.app, note=note)
    close_report(operator, report, note)
