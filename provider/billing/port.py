"""What we want of a payment provider: frozen answers, and two kinds of failure. Knows nothing of Stripe."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from django.conf import settings

from tenants.models import Plan


class BillingError(Exception):
    """str() is for the log."""


class Unreachable(BillingError):
    """It did not answer, or is busy: the same may be asked again, and is safe to ask twice."""


class Declined(BillingError):
    """It will not, as long as nothing changes. message: its own words. missing: there is no such object."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True)
class Subscription:
    """status: Stripe's word. price, item: of its one line. period_end: until when it is paid."""

    id: str
    status: str
    price: str
    item: str
    created: int
    cancel_at_period_end: bool
    trial_end: datetime | None
    period_end: datetime | None


@dataclass(frozen=True)
class Invoice:
    """Amounts in the currency's smallest unit. url: where it can be seen, "" while it is a draft."""

    id: str
    number: str
    status: str
    currency: str
    total_minor: int
    paid_minor: int
    created: datetime
    url: str


@dataclass(frozen=True)
class Happened:
    """An event: customer is "" where it is about none."""

    id: str
    kind: str
    customer: str
    created: datetime
    is_live: bool


@dataclass(frozen=True)
class CheckoutWish:
    """What to pay for, and where the browser comes back to."""

    customer: str
    cloud_id: str
    price: str
    trial_days: int
    success_url: str
    cancel_url: str


class Gateway(Protocol):
    """Every verb may be repeated. All raise Unreachable and Declined."""

    def create_customer(self, cloud_id: str, email: str) -> str:
        """One per cloud: asked again within a day it answers with the same."""
        ...

    def delete_customer(self, customer: str) -> None:
        """With all subscriptions, which end at once. One that is gone is success."""
        ...

    def create_price(self, plan: Plan) -> tuple[str, str]:
        """(product, price) for what the plan costs now."""
        ...

    def open_checkout(self, wish: CheckoutWish) -> str:
        """Where to pay. Sessions of the customer that were still open are closed: nobody pays twice."""
        ...

    def open_portal(self, customer: str, return_url: str) -> str: ...

    def subscriptions(self, customer: str) -> list[Subscription]:
        """All that the customer ever had, newest first; none for one who was deleted."""
        ...

    def change_price(self, subscription: Subscription, price: str) -> None:
        """What was paid for the rest of the period is set against the new price."""
        ...

    def set_ending(self, subscription: str, *, ends: bool) -> None:
        """At the end of the period that is paid, or not."""
        ...

    def cancel(self, subscription: str) -> None:
        """At once. One that is over is success."""
        ...

    def invoices(self, customer: str) -> list[Invoice]: ...

    def events_since(self, since: datetime) -> list[Happened]:
        """Of the kinds that concern subscriptions, oldest first. Stripe keeps them for 30 days."""
        ...

    def verified(self, payload: bytes, signature: str) -> Happened:
        """Raises Declined for what Stripe has not signed, not lately, or is no event."""
        ...


def is_on() -> bool:
    return bool(settings.STRIPE_KEY)


def gateway() -> Gateway:
    """Only where billing is on. The SDK is loaded here and not before: most processes never need its memory."""
    return _gateway(settings.STRIPE_KEY, settings.STRIPE_API)


@lru_cache(maxsize=4)
def _gateway(key: str, address: str) -> Gateway:
    from provider.billing.gateway import StripeGateway

    return StripeGateway(key, address)
