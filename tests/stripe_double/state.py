"""What Stripe knows, what it does when it is called, and what people do at its pages."""

import calendar
import copy
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.stripe_double.params import Refusal

Object = dict[str, Any]
DAY_S = 24 * 3600
PERIOD_S = {"month": 30 * DAY_S, "year": 365 * DAY_S}  # of which a share is what proration counts
MONTHS = {"month": 1, "year": 12}
OVER = ("canceled", "incomplete_expired")


class Stripe:
    """live: the mode of everything in it. clock: epoch seconds. offset_s: how far it is ahead of that."""

    def __init__(self, *, live: bool = False) -> None:
        self.live = live
        self.clock: Callable[[], float] = time.time
        self.offset_s = 0
        self.objects: dict[str, Object] = {}
        self.events: list[Object] = []
        self._numbers = itertools.count(1)

    # --- what is called ---------------------------------------------------------------------------------------------
    def create_customer(self, sent: Object) -> Object:
        return self._new("cus", "customer", {"email": None, "metadata": {}, **sent}, told="customer.created")

    def delete_customer(self, customer: str) -> Object:
        row = self._get(customer, "customer")
        for subscription in self._of("subscription", customer):
            if subscription["status"] not in OVER:
                self.end(subscription["id"])
        row["deleted"] = True
        self.tell("customer.deleted", row)
        return {"id": customer, "object": "customer", "deleted": True}

    def create_product(self, sent: Object) -> Object:
        return self._new("prod", "product", {"active": True, "metadata": {}, **sent})

    def create_price(self, sent: Object) -> Object:
        self._get(sent["product"], "product")
        if not 0 <= sent.get("unit_amount", -1) <= 99_999_999:
            raise Refusal(400, "Invalid integer", param="unit_amount")
        if sent["recurring"]["interval"] not in PERIOD_S:
            raise Refusal(400, "Invalid recurring[interval]", param="recurring[interval]")
        return self._new("price", "price", {"active": True, "type": "recurring", **sent})

    def create_session(self, sent: Object) -> Object:
        self._get(sent["customer"], "customer")
        if sent.get("mode") != "subscription" or not sent.get("line_items") or "success_url" not in sent:
            raise Refusal(400, "A subscription needs mode, line_items and success_url.")
        for line in sent["line_items"]:
            self._get(line["price"], "price", param="line_items[0][price]")
        _require_kept(sent)
        row = self._new("cs", "checkout.session", {"status": "open", "payment_status": "unpaid", **sent})
        row["url"] = f"https://checkout.invalid/{row['id']}"
        return row

    def expire_session(self, session: str) -> Object:
        row = self._get(session, "checkout.session")
        if row["status"] != "open":
            raise Refusal(400, "Only open sessions can be expired.")
        row["status"], row["url"] = "expired", None
        return row

    def create_portal(self, sent: Object) -> Object:
        self._get(sent["customer"], "customer")
        row = self._new("bps", "billing_portal.session", sent)
        row["url"] = f"https://portal.invalid/{row['id']}"
        return row

    def update_subscription(self, subscription: str, sent: Object) -> Object:
        row = self._get(subscription, "subscription")
        if row["status"] in OVER:
            raise Refusal(404, f"No such subscription: '{subscription}'", code="resource_missing", param="id")
        for line in sent.get("items", []):
            item = next((item for item in row["items"]["data"] if item["id"] == line["id"]), None)
            if item is None:
                raise Refusal(404, "No such item", code="resource_missing", param="items[0][id]")
            before, item["price"] = item["price"], self._get(line["price"], "price", param="items[0][price]")
            if sent.get("proration_behavior", "create_prorations") != "none":
                self._prorate(row, before, item["price"])
        if "cancel_at_period_end" in sent:
            row["cancel_at_period_end"] = sent["cancel_at_period_end"]
        self.tell("customer.subscription.updated", row)
        return row

    def page(self, kind: str, sent: Object) -> Object:
        """Newest first, in pages."""
        if kind == "event":
            rows = [row for row in reversed(self.events) if _matches(row, sent)]
        else:
            if sent.get("customer"):
                self._get(sent["customer"], "customer", param="customer")
            rows = [row for row in reversed(self.objects.values()) if row["object"] == kind and _matches(row, sent)]
        ids = [row["id"] for row in rows]
        start = ids.index(sent["starting_after"]) + 1 if "starting_after" in sent else 0
        limit = sent.get("limit", 10)
        if not 1 <= limit <= 100:
            raise Refusal(400, "limit is 1 to 100", param="limit")
        page = rows[start : start + limit]
        return {"object": "list", "url": f"/v1/{kind}s", "has_more": start + limit < len(rows), "data": page}

    # --- what people and time do -------------------------------------------------------------------------------------
    def pay(self, session: str) -> Object:
        """Somebody pays at the page of an open session. Returns the subscription."""
        row = self._get(session, "checkout.session")
        assert row["status"] == "open", "only an open session can be paid"
        trial_days = row.get("subscription_data", {}).get("trial_period_days", 0)
        price = self._get(row["line_items"][0]["price"], "price")
        now = self.now()
        until = now + trial_days * DAY_S if trial_days else later(now, price["recurring"]["interval"])
        item = {"object": "subscription_item", "price": price, "quantity": 1, "current_period_end": until}
        subscription = self._new(
            "sub",
            "subscription",
            {
                "customer": row["customer"],
                "status": "trialing" if trial_days else "active",
                "cancel_at_period_end": False,
                "trial_end": until if trial_days else None,
                "items": {"object": "list", "data": [{"id": f"si_{next(self._numbers)}", **item}], "has_more": False},
                "metadata": row.get("subscription_data", {}).get("metadata", {}),
            },
            told="customer.subscription.created",
        )
        self.invoice(subscription, 0 if trial_days else price["unit_amount"], paid=True)
        row |= {"status": "complete", "payment_status": "paid", "subscription": subscription["id"]}
        self.tell("checkout.session.completed", row)
        return subscription

    def fail_payment(self, subscription: str) -> None:
        """The next invoice is not paid."""
        row = self._get(subscription, "subscription")
        self.invoice(row, row["items"]["data"][0]["price"]["unit_amount"], paid=False)
        row["status"] = "past_due"
        self.tell("customer.subscription.updated", row)

    def pay_late(self, subscription: str) -> None:
        row = self._get(subscription, "subscription")
        self.invoice(row, row["items"]["data"][0]["price"]["unit_amount"], paid=True)
        row["status"] = "active"
        self.tell("customer.subscription.updated", row)

    def end(self, subscription: str) -> Object:
        row = self._get(subscription, "subscription")
        if row["status"] in OVER:
            raise Refusal(404, f"No such subscription: '{subscription}'", code="resource_missing", param="id")
        row["status"], row["ended_at"] = "canceled", self.now()
        self.tell("customer.subscription.deleted", row)
        return row

    def now(self) -> int:
        return int(self.clock()) + self.offset_s

    def sign(self, event: Object, secret: str, *, age_s: int = 0) -> tuple[bytes, str]:
        """(body, Stripe-Signature) of a delivery."""
        body = json.dumps(event, indent=2).encode()
        return body, signature_of(body, secret, int(time.time()) - age_s)

    # --- how it keeps things ----------------------------------------------------------------------------------------
    def _new(self, prefix: str, kind: str, fields: Object, told: str = "") -> Object:
        row = {
            "id": f"{prefix}_{next(self._numbers):06d}",
            "object": kind,
            "livemode": self.live,
            "created": self.now(),
        }
        row |= copy.deepcopy(fields)
        self.objects[row["id"]] = row
        if told:
            self.tell(told, row)
        return row

    def _get(self, row_id: str, kind: str, param: str = "id") -> Object:
        row = self.objects.get(row_id)
        if row is None or row["object"] != kind or row.get("deleted"):
            raise Refusal(404, f"No such {kind}: '{row_id}'", code="resource_missing", param=param)
        return row

    def get(self, kind: str, row_id: str) -> Object:
        return self._get(row_id, kind)

    def _of(self, kind: str, customer: str) -> list[Object]:
        return [row for row in self.objects.values() if row["object"] == kind and row.get("customer") == customer]

    def invoice(self, subscription: Object, total: int, *, paid: bool) -> None:
        """What the customer was owed is set against it, and what it leaves over is owed."""
        customer = self.objects[subscription["customer"]]
        left = total + customer.get("balance", 0)
        due, customer["balance"] = max(0, left), min(0, left)
        price = subscription["items"]["data"][0]["price"]
        row = self._new(
            "in",
            "invoice",
            {
                "customer": subscription["customer"],
                "number": f"F-{len(self.objects):04d}",
                "status": "paid" if paid else "open",
                "currency": price["currency"],
                "total": total,
                "amount_due": due,
                "amount_paid": due if paid else 0,
                "hosted_invoice_url": "https://invoice.invalid/",
            },
        )
        subscription["latest_invoice"] = row["id"]
        self.tell("invoice.paid" if paid else "invoice.payment_failed", row)

    def _prorate(self, subscription: Object, before: Object, after: Object) -> None:
        if subscription["status"] == "trialing":
            return  # nothing is paid that could be set against anything
        left_s = subscription["items"]["data"][0]["current_period_end"] - self.now()
        share = left_s / PERIOD_S[after["recurring"]["interval"]]
        more = round((after["unit_amount"] - before["unit_amount"]) * share)
        subscription["pending_prorations"] = subscription.get("pending_prorations", 0) + more

    def tell(self, kind: str, about: Object) -> None:
        event = {
            "id": f"evt_{next(self._numbers):06d}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "type": kind,
            "created": self.now(),
            "livemode": self.live,
            "data": {"object": copy.deepcopy(about)},
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
        }
        self.events.append(event)


def signature_of(body: bytes, secret: str, at: int) -> str:
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest},v0=ignored"


def _require_kept(sent: Object) -> None:
    """Taxes go by what is known of the customer, so what is entered at Checkout must be kept with it."""
    kept = sent.get("customer_update", {})
    if sent.get("automatic_tax", {}).get("enabled") and kept.get("address") != "auto":
        raise Refusal(400, "Automatic tax calculation requires a valid address.", code="customer_tax_location_invalid")
    if sent.get("tax_id_collection", {}).get("enabled") and kept.get("name") != "auto":
        raise Refusal(400, "Tax ID collection requires updating business name.", param="customer_update[name]")


def later(moment: int, interval: str, number: int = 1) -> int:
    """The same day of a later month, or its last one."""
    at = datetime.fromtimestamp(moment, UTC)
    years, month = divmod(at.month - 1 + MONTHS[interval] * number, 12)
    last = calendar.monthrange(at.year + years, month + 1)[1]
    return int(at.replace(year=at.year + years, month=month + 1, day=min(at.day, last)).timestamp())


def _matches(row: Object, sent: Object) -> bool:
    since = sent.get("created", {}).get("gte", 0)
    kinds = sent.get("types")
    status = sent.get("status")
    return (
        row["created"] >= since
        and (kinds is None or row["type"] in kinds)
        and ("customer" not in sent or row.get("customer") == sent["customer"])
        and (status in (None, "all") or row.get("status") == status)
    )
