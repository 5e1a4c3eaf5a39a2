"""What is known of a cloud's payments. The payment provider is the truth; these rows are what it said when last asked.

It keeps two worlds, one for trying and one for real money, that know nothing of each other; the key decides which one we are
in. `livemode` is its word for that: a row that names something of the one is never used in the other.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models

from tenants.models.clouds import Cloud
from tenants.models.plans import Plan

# Of a subscription that gives its plan: also while a payment is late, which is for dunning to judge.
LIVE = ("trialing", "active", "past_due")


class BillingAccount(models.Model):
    """One per cloud that ever went to pay. subscription, status, price: of the one that counts, "" without one.

    noticed grows with everything heard of it; settled is the value that it had when the provider was last asked: where
    they differ it is asked again. plan: the one that its subscription gave last; problem: why that could not be given.
    ends_with_account: the subscription was ended because the account is being closed, and goes on if it is kept.
    trial_told: the end of a trial that its owner was told of.
    deleted_at: when the customer was deleted at the provider; customer is "" from then on.
    """

    cloud = models.OneToOneField(Cloud, on_delete=models.PROTECT, related_name="billing")
    customer = models.CharField(max_length=80, blank=True)
    livemode = models.BooleanField(default=False)
    subscription = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=30, blank=True)
    price = models.CharField(max_length=80, blank=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    problem = models.TextField(blank=True)
    cancel_at_period_end = models.BooleanField(default=False)
    trial_end = models.DateTimeField(null=True, blank=True)
    trial_told = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)
    ends_with_account = models.BooleanField(default=False)
    noticed = models.PositiveBigIntegerField(default=0)
    settled = models.PositiveBigIntegerField(default=0)
    checked_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            # Whose an event is.
            models.UniqueConstraint(
                fields=["customer"], name="billing_customer_once", condition=~models.Q(customer="")
            ),
        ]
        indexes: ClassVar = [
            # The sweep: accounts that the provider is to be asked about.
            models.Index(fields=["id"], name="billing_unsettled", condition=models.Q(settled__lt=models.F("noticed"))),
        ]

    def __str__(self) -> str:
        return self.customer

    @classmethod
    def customers(cls) -> models.QuerySet["BillingAccount"]:
        """Those who went to pay in the mode that we are in."""
        return cls.objects.exclude(customer="").filter(livemode=settings.STRIPE_LIVE)

    @property
    def is_of_the_other_mode(self) -> bool:
        return bool(self.customer) and self.livemode != settings.STRIPE_LIVE

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


class PaymentEvent(models.Model):
    """An event of the payment provider that was heard of, by its id: heard again it changes nothing."""

    id = models.CharField(primary_key=True, max_length=80)
    kind = models.CharField(max_length=80)
    customer = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField()
    received_at = models.DateTimeField(auto_now_add=True)
    was_fetched = models.BooleanField(default=False, help_text="It came by the list of events, not by itself.")

    class Meta:
        # Those that may be forgotten.
        indexes: ClassVar = [models.Index(fields=["created_at"], name="payment_event_age")]

    def __str__(self) -> str:
        return self.id


class PaymentOutcome(models.TextChoices):
    """What became of an event that came in. refused: nobody we know signed it, or too long ago; its kind is not believed."""

    HEARD = "heard"
    KNOWN = "known"
    FETCHED = "fetched"  # it never came by itself, and was found in the list
    WRONG_MODE = "wrong_mode"
    REFUSED = "refused"


class PaymentEventCount(models.Model):
    """How often each of these came about, for whoever watches; the rows of events are forgotten after a while."""

    kind = models.CharField(max_length=80, blank=True)
    outcome = models.CharField(max_length=10, choices=PaymentOutcome.choices)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "outcome"], name="payment_event_count_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.outcome}"


class PlanPrice(models.Model):
    """The price at the payment provider that stands for a plan's. They never change there: other terms are another price.

    tax_behavior: whether the amount is with taxes: its word, "unset" where its own settings say.
    """

    price = models.CharField(primary_key=True, max_length=80)
    product = models.CharField(max_length=80)
    livemode = models.BooleanField(default=False)
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="prices")
    amount_minor = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    interval = models.CharField(max_length=5)
    tax_behavior = models.CharField(max_length=10, default="unset")

    def __str__(self) -> str:
        return self.price


class EventCursor(models.Model):
    """One row for each mode: up to when the provider's list of events has been read."""

    livemode = models.BooleanField(default=False, unique=True)
    read_until = models.DateTimeField()
