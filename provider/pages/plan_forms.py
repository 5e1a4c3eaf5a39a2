"""Forms of the operator's pages about plans. Bounds are the services'; here is only what a browser sends."""

from typing import TYPE_CHECKING, Any

from django import forms

from tenants.models import Override, Plan, RateClass
from tenants.models.plans import FIGURES
from tenants.services.overrides import REASON_LIMIT
from tenants.services.plans import TERMS
from tenants.views.forms import OnceForm

if TYPE_CHECKING:  # Django's own class takes no type at run time
    AnyPlanForm = forms.ModelForm[Plan]
else:
    AnyPlanForm = forms.ModelForm

LABELS = {
    "price_minor": "Price in the smallest unit (cents)",
    "trial_days": "Days for trial",
    "cpu_millis": "Compute (thousandths of a core)",
    "memory_mib": "Memory (MiB)",
    "storage_mib": "Storage (MiB)",
    "instances": "Apps",
    "builds": "Builds at once",
    "sleep_after_s": "Idle apps sleep after (seconds)",
    "domains": "Own domains",
    "backups_kept": "Backups kept",
    "traffic_bytes": "Traffic (bytes a month)",
    "rate_class": "Rate class",
    "is_visible": "People may choose it",
}


class PlanForm(AnyPlanForm):
    """Of a new plan with its slug, of one that is there without."""

    class Meta:
        model = Plan
        fields = ("slug", *TERMS)
        labels = LABELS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            del self.fields["slug"]

    def terms(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in TERMS}


class GrantForm(OnceForm):
    """What a cloud gets beside its plan; empty figures are as the plan says."""

    reason = forms.CharField(max_length=REASON_LIMIT, help_text="Kept with it, and shown to the cloud’s owner.")
    ends_at = forms.DateTimeField(
        label="Until (UTC)",
        required=False,
        help_text="Empty: until somebody ends it.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in FIGURES:
            if name == "rate_class":
                choices = [("", "as the plan says"), *RateClass.choices]
                self.fields[name] = forms.ChoiceField(label=LABELS[name], required=False, choices=choices)
            else:
                help_text = "0: never." if name == "sleep_after_s" else ""
                self.fields[name] = forms.IntegerField(label=LABELS[name], required=False, help_text=help_text)

    def figures(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in FIGURES if self.cleaned_data[name] not in (None, "")}


class PlanChoiceForm(OnceForm):
    plan = forms.ModelChoiceField(Plan.objects.filter(archived_at__isnull=True))
    why = forms.CharField(label="Why", max_length=REASON_LIMIT)


class FileForm(forms.Form):
    file = forms.FileField(label="File of plans", max_length=200)


def shown(override: Override) -> list[tuple[str, object]]:
    """Its figures in words."""
    return [(LABELS[name], value) for name, value in override.figures.items()]
