"""Forms of the console's pages. What services check is left to them; here is only what a browser sends."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import escape

from apps_catalog.models import Channel, Concern, Revision
from tenants.models import Collection
from tenants.services.configuration import Setting
from tenants.services.idempotency import KEY_LIMIT
from tenants.services.instances import VALUE_LIMIT
from tenants.services.reports import TEXT_LIMIT
from tenants.states import RevisionState


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
