"""A local Stripe, people with clouds, and a plan that costs something."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from provider.billing import settling
from tenants.models import BillingAccount, Cloud, User
from tests.api.client import Program
from tests.offers import offer
from tests.stripe_double.server import KEY, Double, running
from tests.stripe_double.state import Object, signature_of
from tests.tenants.conftest import cluster, place, races  # noqa: F401 - fixtures
from tests.worlds import MemoryCluster, active_person

SECRET = "whsec_of_the_double"
WEBHOOK = "/billing/stripe/webhook/"


@dataclass
class Payer:
    """Somebody with a cloud, and a Stripe to pay at."""

    user: User
    double: Double

    @property
    def cloud(self) -> Cloud:
        return Cloud.objects.select_related("plan").get(owner=self.user)

    @property
    def account(self) -> BillingAccount:
        return BillingAccount.objects.get(cloud__owner=self.user)

    def checkout(self, plan: str) -> Any:
        return Program(self.user)("POST", "billing/checkout/", {"plan": plan})

    def session(self, plan: str) -> str:
        """On the way to pay: the session's id."""
        return str(self.checkout(plan).json()["url"].rpartition("/")[2])

    def subscribed(self, plan: str) -> Object:
        """Paid, and settled without any event."""
        subscription = self.double.stripe.pay(self.session(plan))
        settling.settle(self.account.pk)
        return subscription


@pytest.fixture
def double(settings: Settings) -> Iterator[Double]:
    with running() as made:
        settings.STRIPE_KEY, settings.STRIPE_API, settings.STRIPE_LIVE = KEY, made.url, False
        settings.STRIPE_WEBHOOK_SECRETS = ["whsec_an_older_one", SECRET]
        settings.ALLOWED_HOSTS = ["testserver"]
        yield made


@pytest.fixture
def payer(double: Double, cluster: MemoryCluster) -> Payer:  # noqa: F811
    offer("small", price_minor=500)
    offer("large", name="Large", price_minor=2000, instances=50, memory_mib=30_000, storage_mib=30_000)
    return Payer(active_person(cluster), double)


def deliver(double: Double, event: Object, *, secret: str = SECRET, age_s: int = 0, **change: Any) -> Any:
    """As Stripe would: POST it, signed."""
    body, signature = double.stripe.sign({**event, **change}, secret, age_s=age_s)
    return post(body, signature)


def signed(body: bytes) -> tuple[bytes, str]:
    """Any body with the signature that it would have, were it Stripe's."""
    return body, signature_of(body, SECRET, int(time.time()))


def post(body: bytes, signature: str | None) -> Any:
    headers = {"Stripe-Signature": signature} if signature is not None else {}
    return Client(enforce_csrf_checks=True).post(WEBHOOK, body, "application/json", headers=headers)
