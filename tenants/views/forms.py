"""Forms of the console's pages. What services check is left to them; here is only what a browser sends."""

import uuid
from calendar import day_name
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import escape

from apps_catalog.models import Channel, Concern, Revision
from tenants.models import Collection
from tenants.services.actions import INTERVAL_LIMIT
from tenants.services.configuration import Setting
from tenants.services.idempotency import KEY_LIMIT
from tenants.services.instances import VALUE_LIMIT
from tenants.services.reports import TEXT_LIMIT
from tenants.states import RevisionState

WEEKDAYS = tuple((str(n % 7), name) for n, name in enumerate(day_name, 1))


def new_key() -> str:
    return str(uuid.uuid4())


class OnceForm(forms.Form):
    """Carries the key by which a repeated submission is known to be one."""

    idempotency_key = forms.CharField(max_length=KEY_LIMIT, required=False, widget=forms.HiddenInput, initial=new_key)

    @property
    def key(self) -> str | None:
        return self.cleaned_data.get("idempotency_key") or None


class InstallForm(OnceForm):
    alias = forms.CharField(
        label="Name of this copy",
        max_length=60,
        required=False,
        help_text="Part of its address: a–z, digits and hyphens. Empty: the app’s own name.",
    )
    collection = forms.ChoiceField(
        label="Its data",
        required=False,
        help_text="Data that was kept when an app was removed, or that you made by hand, can be given to this copy.",
    )

    def __init__(self, kept: Sequence[Collection], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["collection"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", "A new collection"), *((row.pk, _kept(row)) for row in kept)]
        self.has_kept = bool(kept)


def _kept(row: Collection) -> str:
    return f"{row.name}, {filesizeformat(row.size_bytes)}, since {row.created_at:%-d %b %Y}"


class SettingsForm(forms.Form):
    """An app's own settings. A field's name is its number: an app may call a setting anything."""

    def __init__(self, settings: tuple[Setting, ...], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings = settings
        for number, setting in enumerate(settings):
            self.fields[f"value{number}"] = forms.CharField(
                label=setting.name,
                required=False,
                strip=False,
                max_length=VALUE_LIMIT,
                help_text=escape(setting.description),
                widget=forms.PasswordInput(
                    attrs={"autocomplete": "off", "placeholder": _placeholder(setting)}, render_value=False
                ),
            )
            if setting.is_set:
                back = "Take it back to the app’s own value" if setting.has_default else "Empty it"
                self.fields[f"clear{number}"] = forms.BooleanField(label=back, required=False)

    def changes(self) -> dict[str, str | None]:
        """Of a valid form: only what was filled in or is to be emptied."""
        found: dict[str, str | None] = {}
        for number, setting in enumerate(self.settings):
            if self.cleaned_data.get(f"clear{number}"):
                found[setting.name] = None
            elif value := self.cleaned_data[f"value{number}"]:
                found[setting.name] = value
        return found


def _placeholder(setting: Setting) -> str:
    if setting.is_set:
        return "Set; leave empty to keep it"
    return "The app’s own value" if setting.has_default else "Not set"


class IntervalForm(forms.Form):
    """When an action is done, for people who know no cron: one of six ways, each with its own fields."""

    way = forms.ChoiceField(
        label="When",
        choices=[
            ("own", "as the app suggests"),
            ("rate", "again and again: every so many minutes, hours or days"),
            ("daily", "every day at a time"),
            ("weekly", "every week, on a day and at a time"),
            ("monthly", "every month, on a day and at a time"),
            ("cron", "by five cron fields"),
        ],
    )
    every = forms.IntegerField(label="Every", min_value=1, max_value=999_999, initial=1, required=False)
    unit = forms.ChoiceField(
        label="Unit",
        choices=[("minute", "minutes"), ("hour", "hours"), ("day", "days")],
        initial="hour",
        required=False,
    )
    time = forms.TimeField(
        label="Time of day",
        required=False,
        help_text="In UTC, which knows no summer time.",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    weekday = forms.ChoiceField(label="Day of the week", choices=WEEKDAYS, initial="1", required=False)
    day = forms.IntegerField(label="Day of the month", min_value=1, max_value=31, initial=1, required=False)
    interval = forms.CharField(
        label="Cron fields",
        required=False,
        max_length=INTERVAL_LIMIT,
        help_text="Minute, hour, day of month, month, day of week; such as 0/15 9-17 * * mon-fri.",
    )

    @classmethod
    def of(cls, interval: str) -> "IntervalForm":
        """Filled in as the interval is now."""
        number, _, unit = interval.partition(" ")
        unit = unit.strip().removesuffix("s")
        if number.isdecimal() and unit in ("minute", "hour", "day"):
            return cls(initial={"way": "rate", "every": int(number), "unit": unit})
        return cls(initial={"way": "cron", "interval": interval})

    def clean(self) -> dict[str, Any]:
        """What the chosen way needs is there."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        for name in _NEEDED.get(found.get("way", ""), ()):
            if found.get(name) in (None, "") and name not in self.errors:
                self.add_error(name, "Fill this in.")
        return found

    def interval_chosen(self) -> str | None:
        """Of a valid form; None: the app's own."""
        data, way = self.cleaned_data, self.cleaned_data["way"]
        if way == "rate":
            return f"{data['every']} {data['unit']}{'' if data['every'] == 1 else 's'}"
        if way == "cron":
            return str(data["interval"])
        if way == "own":
            return None
        day, weekday = {"daily": ("*", "*"), "weekly": ("*", data["weekday"]), "monthly": (data["day"], "*")}[way]
        return f"{data['time'].minute} {data['time'].hour} {day} * {weekday}"


_NEEDED = {
    "rate": ("every", "unit"),
    "daily": ("time",),
    "weekly": ("time", "weekday"),
    "monthly": ("time", "day"),
    "cron": ("interval",),
}


class ReportForm(forms.Form):
    concern = forms.ChoiceField(label="What is wrong", choices=Concern.choices)
    text = forms.CharField(
        label="What you saw", required=False, max_length=TEXT_LIMIT, widget=forms.Textarea(attrs={"rows": 4})
    )


class TokenForm(OnceForm):
    name = forms.CharField(max_length=60, help_text="What it is for, so that you know it again.")
    scopes = forms.ChoiceField(
        label="It may",
        choices=[
            ("*", "do everything that you may"),
            ("read", "read everything, change nothing"),
            ("instances", "install, restart and remove apps"),
            ("projects", "push and release projects"),
            ("collections", "make collections and keys to them"),
        ],
    )
    ends = forms.ChoiceField(
        label="It ends",
        required=False,
        initial="90",
        choices=[("90", "in 90 days"), ("30", "in 30 days"), ("365", "in a year"), ("", "when I revoke it")],
    )

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["ends"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class CollectionForm(OnceForm):
    name = forms.CharField(max_length=60, help_text="What you will call it.")


class DataKeyForm(OnceForm):
    name = forms.CharField(max_length=60, help_text="Who or what gets it, so that you know which to revoke.")


class InviteForm(forms.Form):
    email = forms.EmailField(
        label="Their e-mail address",
        max_length=254,
        help_text="They get a mail. Whether they have an account here already is not told to you.",
    )


class AppKeyForm(OnceForm):
    """micros: names of those that take keys."""

    name = forms.CharField(max_length=60, help_text="Who or what gets it, so that you know which to revoke.")
    micro = forms.ChoiceField(label="It opens", required=False)
    ends = forms.ChoiceField(
        label="It ends",
        required=False,
        choices=[("", "when I revoke it"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year")],
    )

    def __init__(self, micros: list[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["micro"]
        if isinstance(field, forms.ChoiceField):
            every = [("", "every part that takes keys")] if len(micros) != 1 else []
            field.choices = [*every, *((name, name) for name in micros)]

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["ends"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class ProjectForm(OnceForm):
    name = forms.CharField(max_length=60, help_text="What people will call it. Its address is made from it.")


class ReleaseForm(OnceForm):
    revision = forms.ChoiceField()
    version = forms.CharField(max_length=40, required=False, help_text="Such as 1.2.0. Empty: one is made up.")
    channel = forms.ChoiceField(choices=Channel.choices)
    notes = forms.CharField(required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
    listed = forms.BooleanField(required=False, help_text="Everybody finds it in the catalog.", label="List it")

    def __init__(self, revisions: list[Revision], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["revision"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(r.pk, f"{r.tag}, {r.created_at:%-d %b %Y, %H:%M}") for r in _built(revisions)]

    @classmethod
    def over(cls, revisions: list[Revision]) -> "ReleaseForm | None":
        """An empty form, or None while there is nothing to release."""
        return cls(revisions) if _built(revisions) else None


def _built(revisions: list[Revision]) -> list[Revision]:
    return [revision for revision in revisions if revision.state == RevisionState.READY]
