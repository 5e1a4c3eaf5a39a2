"""Becoming somebody: an account with a cloud."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from tenants.errors import Refused
from tenants.handles import InvalidHandle, normalise
from tenants.models import RetiredHandle, User
from tenants.services.clouds import create_cloud


class SignupClosed(Refused):
    status = 403


def require_open() -> None:
    """Raises SignupClosed unless strangers may sign up."""
    if settings.SIGNUP != "open":
        raise SignupClosed("signup_closed", "Sign-up is not open here. Ask the operator for an invitation.")


def register(email: str, handle: str, password: str) -> User:
    """Account, address and cloud in one transaction: nobody is ever half signed up.

    Raises Refused naming email, handle or password. Does not ask whether sign-up is open (`require_open` does).
    """
    email, handle = _email(email), _handle(handle)
    _check_password(password, User(email=email, handle=handle))
    verified = settings.ACCOUNT_EMAIL_VERIFICATION != "mandatory"
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, handle, password)
            EmailAddress.objects.create(user=user, email=email, primary=True, verified=verified)
            create_cloud(user)
    except IntegrityError as error:
        # Two sign-ups of the same name at once: the other one won between our look and our insert.
        raise _taken("handle" if "handle" in str(error) else "email") from error
    return user


def is_verified(user: User) -> bool:
    """Whether they may act: their address is confirmed, or nobody asks for that here."""
    if settings.ACCOUNT_EMAIL_VERIFICATION != "mandatory":
        return True
    return bool(EmailAddress.objects.filter(user=user, verified=True).exists())


def _email(raw: str) -> str:
    email = raw.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refused("invalid_email", "Enter a valid e-mail address.", field="email") from error
    if len(email) > 254 or User.objects.filter(email__iexact=email).exists():
        raise _taken("email")
    return email


def _handle(raw: str) -> str:
    try:
        handle = normalise(raw)
    except InvalidHandle as error:
        raise Refused("invalid_handle", str(error), field="handle") from error
    if not is_free(handle):
        raise _taken("handle")
    return handle


def is_free(handle: str) -> bool:
    """Nobody has it, and nobody had it before they closed their account."""
    taken = User.objects.filter(handle=handle).exists()
    return not taken and not RetiredHandle.objects.filter(sha256=RetiredHandle.digest(handle)).exists()


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refused("invalid_password", " ".join(error.messages), field="password") from error


def _taken(field: str) -> Refused:
    words = {
        "email": "There is an account with this address already.",
        "handle": "Somebody has this handle already. Please choose another.",
    }
    return Refused(f"{field}_taken", words[field], field=field)
