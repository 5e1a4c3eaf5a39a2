"""Time at the double: trials end, periods are renewed or end, cards fail and are tried again."""

from tests.stripe_double.state import DAY_S, Object, Stripe, later

RETRY_DAYS = (3, 8, 15)  # after the first failure; what Stripe makes of the last one is a setting of the account
TOLD_BEFORE_S = 3 * DAY_S


class Passing:
    """cards_refused: customers whose card cannot be charged.

    at_last: what becomes of a subscription whose last retry failed: "past_due" (it is left), "unpaid" or "canceled".
    """

    def __init__(self, stripe: Stripe, *, at_last: str = "past_due") -> None:
        self.stripe = stripe
        self.at_last = at_last
        self.cards_refused: set[str] = set()
        self._told: set[str] = set()
        self._tries: dict[
            str, tuple[int, int]
        ] = {}  # by subscription: when it failed first, and how often it was tried

    def by_now(self) -> None:
        """All that was due."""
        for row in [row for row in self.stripe.objects.values() if row["object"] == "subscription"]:
            self._pass(row)

    def new_card(self, customer: str) -> None:
        """At the Portal: what is open is tried with it at once."""
        self.cards_refused.discard(customer)
        for row in self.stripe.objects.values():
            if row["object"] == "subscription" and row["customer"] == customer and row["id"] in self._tries:
                self._paid_late(row)

    def _pass(self, row: Object) -> None:
        now, item = self.stripe.now(), row["items"]["data"][0]
        until = item["current_period_end"]
        if row["status"] == "trialing" and until - TOLD_BEFORE_S <= now and row["id"] not in self._told:
            self._told.add(row["id"])
            self.stripe.tell("customer.subscription.trial_will_end", row)
        if row["status"] in ("trialing", "active", "past_due") and until <= now:
            if row["cancel_at_period_end"]:
                self.stripe.end(row["id"])
                return
            self._renew(row, item)
        if row["id"] in self._tries and row["status"] == "past_due":
            self._try_again(row)

    def _renew(self, row: Object, item: Object) -> None:
        interval = item["price"]["recurring"]["interval"]
        anchor = row.setdefault("billing_cycle_anchor", item["current_period_end"])
        periods = 1
        while later(anchor, interval, periods) <= self.stripe.now():
            periods += 1
        item["current_period_end"] = later(anchor, interval, periods)
        total = item["price"]["unit_amount"] + row.pop("pending_prorations", 0)
        owed = -self.stripe.objects[row["customer"]].get("balance", 0)
        refused = row["customer"] in self.cards_refused and total > owed
        self.stripe.invoice(row, total, paid=not refused)
        if refused:
            self._tries.setdefault(row["id"], (self.stripe.now(), 0))
        row["status"] = "past_due" if row["id"] in self._tries else "active"
        self.stripe.tell("customer.subscription.updated", row)

    def _try_again(self, row: Object) -> None:
        since, tries = self._tries[row["id"]]
        if tries >= len(RETRY_DAYS) or self.stripe.now() < since + RETRY_DAYS[tries] * DAY_S:
            return
        if row["customer"] not in self.cards_refused:
            self._paid_late(row)
            return
        self._tries[row["id"]] = (since, tries + 1)
        self.stripe.tell("invoice.payment_failed", self.stripe.objects[row["latest_invoice"]])
        if tries + 1 == len(RETRY_DAYS) and self.at_last == "canceled":
            self.stripe.end(row["id"])
        elif tries + 1 == len(RETRY_DAYS):
            row["status"] = self.at_last
            self.stripe.tell("customer.subscription.updated", row)

    def _paid_late(self, row: Object) -> None:
        """Every invoice that is open."""
        del self._tries[row["id"]]
        for invoice in [one for one in self.stripe.objects.values() if one["object"] == "invoice"]:
            if invoice["customer"] == row["customer"] and invoice["status"] == "open":
                invoice |= {"status": "paid", "amount_paid": invoice["amount_due"]}
                self.stripe.tell("invoice.paid", invoice)
        if row["status"] in ("past_due", "unpaid"):
            row["status"] = "active"
            self.stripe.tell("customer.subscription.updated", row)
