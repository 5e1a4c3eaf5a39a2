"""The form on `/cloud/usage/` that says whether apps sleep once the month's traffic is used up."""

from decimal import Decimal

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from tenants import access
from tenants.errors import Refused
from tenants.services.caps import MOST, cap_traffic
from tenants.services.limits import Standing
from tenants.views.person import person, tell

GB = 10**9
OFF, PLAN, OWN = "off", "plan", "own"


class CapForm(forms.Form):
    when = forms.ChoiceField(
        label="When this month’s traffic is used up",
        choices=[
            (OFF, "My apps go on"),
            (PLAN, "My apps sleep until there is more"),
            (OWN, "My apps sleep before that, at this figure:"),
        ],
    )
    gigabytes = forms.DecimalField(
        label="GB a month", required=False, min_value=Decimal("0.001"), max_value=Decimal(MOST // GB), decimal_places=3
    )

    @property
    def most_bytes(self) -> int | None:
        """Of a valid form."""
        if self.cleaned_data["when"] != OWN:
            return None
        return int((self.cleaned_data["gigabytes"] or 0) * GB)


def cap_form(standing: Standing) -> CapForm:
    """Filled in as it is."""
    own, capped = standing.cap_bytes, standing.traffic.is_capped
    when = OWN if own is not None else PLAN if capped else OFF
    return CapForm(initial={"when": when, "gigabytes": Decimal(own) / GB if own is not None else None})


@login_required
@require_POST
def cap(request: HttpRequest) -> HttpResponse:
    user = person(request)
    cloud, form = access.cloud_of(user), CapForm(request.POST)
    try:
        if not form.is_valid():
            field, sentences = next(iter(form.errors.items()))
            raise Refused("invalid", f"{form.fields[field].label}: {sentences[0]}", field=field)
        cap_traffic(user, cloud, is_on=form.cleaned_data["when"] != OFF, most_bytes=form.most_bytes)
    except Refused as refusal:
        tell(request, refusal)
    return redirect("console:usage")
