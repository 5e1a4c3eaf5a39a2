"""Stripe. The only module that imports its SDK."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import stripe
from django.conf import settings

from provider.billing.port import CheckoutWish, Declined, Happened, Invoice, Subscription, Unreachable
from tenants.models import Plan

# What our code and the double of the tests were written against. Raised by hand, with both.
API_VERSION = "2026-10-28.endive"
AGE_TOLERANCE_S = 300
TIMEOUT_S = 20
# What may change a subscription, or how much of it is paid.
KINDS = [
    "checkout.session.completed",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
]


class StripeGateway:
    def __init__(self, key: str, address: str = "") -> None:
        self._client = stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": address} if address else None,
            max_network_retries=2,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
        )

    def create_customer(self, cloud_id: str, email: str) -> str:
        params: Any = {"email": email, "metadata": {"cloud": cloud_id}}
        with _told():
            made = self._client.v1.customers.create(params, _once("customer", params))
        if made.livemode != settings.STRIPE_LIVE:  # written down, it would be asked about with a key that knows it not
            raise Declined(f"the key is not of the mode that its name says: {made.id} is of the other one")
        return made.id

    def delete_customer(self, customer: str) -> None:
        try:
            with _told():
                self._client.v1.customers.delete(customer)
        except Declined as refusal:
            if not refusal.missing:
                raise

    def create_price(self, plan: Plan) -> tuple[str, str]:
        wanted: Any = {"name": plan.name, "metadata": {"plan": plan.pk}}
        if settings.STRIPE_TAX_CODE:
            wanted["tax_code"] = settings.STRIPE_TAX_CODE
        with _told():
            product = self._client.v1.products.create(wanted, _once("product", wanted))
            params: Any = {
                "product": product.id,
                "unit_amount": plan.price_minor,
                "currency": plan.currency,
                "recurring": {"interval": plan.interval},
                "metadata": {"plan": plan.pk},
            }
            if settings.STRIPE_TAX_BEHAVIOR != "unset":
                params["tax_behavior"] = settings.STRIPE_TAX_BEHAVIOR
            price = self._client.v1.prices.create(params, _once("price", params))
        return product.id, price.id

    def open_checkout(self, wish: CheckoutWish) -> str:
        with _told():
            earlier = self._client.v1.checkout.sessions.list(
                {"customer": wish.customer, "status": "open", "limit": 100}
            )
            for session in earlier.auto_paging_iter():
                self._client.v1.checkout.sessions.expire(session.id)
            params: Any = {
                "mode": "subscription",
                "customer": wish.customer,
                "client_reference_id": wish.cloud_id,
                "line_items": [{"price": wish.price, "quantity": 1}],
                "subscription_data": {"metadata": {"cloud": wish.cloud_id}},
                "success_url": wish.success_url,
                "cancel_url": wish.cancel_url,
            }
            if wish.trial_days:
                params["subscription_data"]["trial_period_days"] = wish.trial_days
            made = self._client.v1.checkout.sessions.create(params | _tax_and_address())
        return made.url or ""

    def open_portal(self, customer: str, return_url: str) -> str:
        with _told():
            made = self._client.v1.billing_portal.sessions.create({"customer": customer, "return_url": return_url})
        return made.url

    def subscriptions(self, customer: str) -> list[Subscription]:
        try:
            with _told():
                page = self._client.v1.subscriptions.list({"customer": customer, "status": "all", "limit": 100})
                found = [_subscription(row) for row in page.auto_paging_iter()]
        except Declined as refusal:
            if refusal.missing:
                return []
            raise
        return sorted(found, key=lambda one: (one.created, one.id), reverse=True)

    def change_price(self, subscription: Subscription, price: str) -> None:
        with _told():
            self._client.v1.subscriptions.update(
                subscription.id,
                {
                    "items": [{"id": subscription.item, "price": price}],
                    "proration_behavior": settings.STRIPE_PRORATION,
                    "cancel_at_period_end": False,
                },
            )

    def set_ending(self, subscription: str, *, ends: bool) -> None:
        with _told():
            self._client.v1.subscriptions.update(subscription, {"cancel_at_period_end": ends})

    def cancel(self, subscription: str) -> None:
        try:
            with _told():
                self._client.v1.subscriptions.cancel(subscription, {"prorate": True})
        except Declined as refusal:
            if not refusal.missing:
                raise

    def invoices(self, customer: str) -> list[Invoice]:
        with _told():
            rows = self._client.v1.invoices.list({"customer": customer, "limit": 50})
        return [
            Invoice(
                id=str(row.id),
                number=row.number or "",
                status=row.status or "",
                currency=row.currency,
                total_minor=row.total,
                paid_minor=row.amount_paid,
                created=_moment(row.created),
                url=row.hosted_invoice_url or "",
            )
            for row in rows.data
        ]

    def events_since(self, since: datetime) -> list[Happened]:
        with _told():
            page = self._client.v1.events.list(
                {"created": {"gte": int(since.timestamp())}, "types": KINDS, "limit": 100}
            )
            found = [_happened(dict(row.to_dict())) for row in page.auto_paging_iter()]
        return sorted(found, key=lambda one: one.created)

    def verified(self, payload: bytes, signature: str) -> Happened:
        for secret in settings.STRIPE_WEBHOOK_SECRETS:
            try:
                text = payload.decode()
                stripe.WebhookSignature.verify_header(text, signature, secret, AGE_TOLERANCE_S)
                return _happened(json.loads(text))
            except stripe.SignatureVerificationError:
                continue
            except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
                raise Declined("it is no event") from error
        raise Declined("the signature is not Stripe's, or too old")


def _tax_and_address() -> dict[str, Any]:
    """Of a Checkout. What is entered there has to be kept with the customer, or Stripe refuses to work out taxes by it."""
    found: dict[str, Any] = {}
    kept: dict[str, str] = {}
    if settings.STRIPE_TAX:
        found["automatic_tax"] = {"enabled": True}
        kept["address"] = "auto"
    if settings.STRIPE_TAX_IDS:
        found["tax_id_collection"] = {"enabled": True}
        kept |= {"address": "auto", "name": "auto"}
    if settings.STRIPE_ADDRESS == "required":
        found["billing_address_collection"] = "required"
        kept["address"] = "auto"
    return found | ({"customer_update": kept} if kept else {})


def _once(what: str, params: dict[str, Any]) -> Any:
    """Options of a call that makes the same thing once, however often it is asked within a day."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
    return {"idempotency_key": f"{what}-{digest[:40]}"}


@contextmanager
def _told() -> Iterator[None]:
    """Stripe's errors as ours. Its messages name objects, never secrets."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise Unreachable(str(error)) from error
    except stripe.StripeError as error:
        if error.http_status is not None and error.http_status >= 500:
            raise Unreachable(str(error)) from error
        raise Declined(str(error), missing=error.code == "resource_missing" or error.http_status == 404) from error


def _subscription(row: stripe.Subscription) -> Subscription:
    data: dict[str, Any] = dict(row.to_dict())
    item = data["items"]["data"][0]
    return Subscription(
        id=data["id"],
        status=data["status"],
        price=item["price"]["id"],
        item=item["id"],
        created=data["created"],
        cancel_at_period_end=bool(data["cancel_at_period_end"]),
        trial_end=_moment(data["trial_end"]) if data.get("trial_end") else None,
        period_end=_moment(item["current_period_end"]) if item.get("current_period_end") else None,
    )


def _happened(event: dict[str, Any]) -> Happened:
    if event["object"] != "event" or not isinstance(event["livemode"], bool):
        raise ValueError("no event")
    about = event["data"]["object"]
    customer = about["id"] if about.get("object") == "customer" else about.get("customer")
    if isinstance(customer, dict):
        customer = customer.get("id")
    return Happened(
        id=_word(event["id"]),
        kind=_word(event["type"]),
        customer=_word(customer) if customer else "",
        created=_moment(event["created"]),
        is_live=event["livemode"],
    )


def _word(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 80 or not value.isprintable():
        raise ValueError("no word")
    return value


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
