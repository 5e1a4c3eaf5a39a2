"""Forms of the console."""

from typing import Any

from django import forms

from tenants.handles import InvalidHandle, normalise
from tenants.models import User


class SignupForm(forms.Form):
    """What allauth's sign-up asks beyond address and password."""

    handle = forms.CharField(max_length=64, help_text="3 to 32 of a–z, 0–9 and hyphens. Others may see it.")

    def clean_handle(self) -> str:
        try:
            handle = normalise(self.cleaned_data["handle"])
        except InvalidHandle as error:
            raise forms.ValidationError(str(error)) from error
        from tenants.services.accounts import is_free  # allauth reads this module while apps are loading

        if not is_free(handle):
            raise forms.ValidationError("Somebody has this handle already. Please choose another.")
        return handle

    def signup(self, request: Any, user: User) -> None:
        """Required by allauth; the adapter has saved everything in one transaction already."""
