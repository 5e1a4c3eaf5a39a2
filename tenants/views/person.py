"""Who asks, as the type that services want; and how refusals of services reach a form or a page."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest

from tenants.errors import Refused
from tenants.models import User


def person(request: HttpRequest) -> User:
    """The signed-in person. Only for views behind `login_required`."""
    if not isinstance(request.user, User):
        raise TypeError("this view must be behind login_required")
    return request.user


def show(refusal: Refused, form: forms.BaseForm) -> None:
    """The sentence beside the field it is about, or above the form where the field is not one of its own."""
    form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))


def tell(request: HttpRequest, refusal: Refused) -> None:
    """The sentence at the top of the next page, for buttons that have no form to show it in."""
    messages.error(request, str(refusal))
