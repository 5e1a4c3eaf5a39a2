"""What localstripe covers of Stripe, asked of it by the product itself: see tests/local_stripe for what it does not."""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from pytest_django.fixtures import Settings

from provider.billing import hearing, paying, settling, tasks
from provider.billing.port import Declined, gateway
from tenants.models import BillingAccount, Cloud, PaymentEvent, Plan, User
from tenants.services.closing import close_account
from tests.billing.conftest import SECRET, post
from tests.free_ports import free_port
from tests.local_stripe.versions import translating
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person

pytestmark = pytest.mark.django_db
KEY = "sk_test_of_localstripe"
GOOD, FAILS = "4242424242424242", "4000000000000341"  # the second can be kept, and never charged
PATIENCE_S = 60


@dataclass
class Local:
    """url: of the old API. sent: webhooks as they came, (body, signature)."""

    url: str
    sent: "queue.Queue[tuple[bytes, str]]" = field(default_factory=queue.Queue)

    def ask(self, path: str, **form: str) -> Any:
        answer = httpx.post(f"{self.url}/v1/{path}", data=form, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def card(self, customer: str, number: str) -> None:
        """As a person would give one at Checkout or in the Portal."""
        terms = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2040", "card[cvc]": "123"}
        made = self.ask("payment_methods", type="card", **terms)["id"]
        self.ask(f"payment_methods/{made}/attach", customer=customer)
        self.ask(f"customers/{customer}", **{"invoice_settings[default_payment_method]": made})

    def subscribe(self, customer: str, price: str) -> str:
        """What Checkout does once the card is there."""
        return str(self.ask("subscriptions", customer=customer, **{"items[0][plan]": price})["id"])


@pytest.fixture(scope="module")
def process() -> Iterator[Local]:
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "tests.local_stripe.serve", str(port)])
    local = Local(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + PATIENCE_S
    try:
        while True:
            try:
                httpx.get(f"{local.url}/v1/balance", headers={"Authorization": f"Bearer {KEY}"})
                break
            except httpx.TransportError:
                assert server.poll() is None and time.monotonic() < deadline, "localstripe does not start"
                time.sleep(0.05)
        with hearing_webhooks(local):
            yield local
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def hearing_webhooks(local: Local) -> Any:
    """Somewhere for it to send its webhooks to, which keeps them."""

    class Keeps(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            local.sent.put((body, self.headers["Stripe-Signature"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeps)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    httpx.post(
        f"{local.url}/_config/webhooks/ours",
        json={"url": f"http://127.0.0.1:{server.server_port}/", "secret": SECRET},
    ).raise_for_status()
    return server


@pytest.fixture
def local(process: Local, settings: Settings) -> Iterator[Local]:
    httpx.delete(f"{process.url}/_config/data").raise_for_status()
    process.sent.queue.clear()
    with translating(process.url) as url:
        settings.STRIPE_KEY, settings.STRIPE_API, settings.STRIPE_LIVE = KEY, url, False
        settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
        settings.ALLOWED_HOSTS = ["testserver"]
        yield process


@pytest.fixture
def payer(local: Local, cluster: MemoryCluster) -> User:
    offer("small", price_minor=500)
    offer(
        "large", name="Large", price_minor=20_000, interval="year", instances=50, memory_mib=30_000, storage_mib=30_000
    )
    return active_person(cluster)


def customer_of(user: User) -> str:
    account = paying._account(Cloud.objects.get(owner=user))
    return paying._customer(account, user)


def price_of(slug: str) -> str:
    return paying._price(Plan.objects.get(pk=slug))


def account_of(user: User) -> BillingAccount:
    return BillingAccount.objects.get(cloud__owner=user)


def plan_of(user: User) -> str:
    return str(Cloud.objects.get(owner=user).plan_id)


def subscribed(local: Local, user: User, card: str = GOOD) -> str:
    local.card(customer_of(user), card)
    made = local.subscribe(customer_of(user), price_of("small"))
    settling.settle(account_of(user).pk)
    return made


def test_a_subscription_is_paid_changed_and_ended(local: Local, payer: User) -> None:
    subscription = subscribed(local, payer)
    account = account_of(payer)
    assert (account.status, account.subscription, plan_of(payer)) == ("active", subscription, "small")
    assert account.period_end is not None
    assert timedelta(days=27) < account.period_end - datetime.now(UTC) < timedelta(days=32)
    assert paying.start_checkout(payer, "large") is None
    assert (plan_of(payer), account_of(payer).status) == ("large", "active")
    gateway().set_ending(subscription, ends=True)
    settling.settle(account.pk)
    assert account_of(payer).cancel_at_period_end and plan_of(payer) == "large"
    gateway().cancel(subscription)
    settling.settle(account.pk)
    assert (account_of(payer).status, plan_of(payer)) == ("canceled", "household")


def test_invoices_are_listed_with_what_was_paid_and_what_was_not(local: Local, payer: User) -> None:
    subscribed(local, payer)
    (first,) = paying.invoices_of(payer)
    assert (first.status, first.currency, first.total_minor, first.paid_minor) == ("paid", "eur", 500, 500)
    local.card(customer_of(payer), FAILS)
    assert paying.start_checkout(payer, "large") is None
    (unpaid,) = [one for one in paying.invoices_of(payer) if one.id != first.id]
    assert unpaid.status == "open" and unpaid.paid_minor == 0 and unpaid.total_minor > 0


def test_a_card_that_cannot_be_charged_gives_no_plan_and_a_later_failure_is_late(local: Local, payer: User) -> None:
    subscribed(local, payer, FAILS)
    assert (account_of(payer).status, plan_of(payer)) == ("incomplete", "household")
    local.card(customer_of(payer), GOOD)
    local.subscribe(customer_of(payer), price_of("small"))
    settling.settle(account_of(payer).pk)
    assert plan_of(payer) == "small"
    local.card(customer_of(payer), FAILS)
    paying.start_checkout(payer, "large")
    assert (account_of(payer).status, plan_of(payer)) == ("past_due", "large")


def test_webhooks_that_it_sends_and_signs_are_heard_and_altered_ones_are_not(local: Local, payer: User) -> None:
    local.card(customer_of(payer), GOOD)
    subscription = local.subscribe(customer_of(payer), price_of("small"))
    about_it = None
    while about_it is None:
        body, signature = local.sent.get(timeout=PATIENCE_S)
        assert post(body.replace(b"evt_", b"evt-"), signature).status_code == 400
        assert post(body, signature).status_code == 200
        is_it = b"customer.subscription.created" in body and subscription.encode() in body
        about_it = (body, signature) if is_it else None
    assert post(*about_it).json() == {"received": True, "new": False}
    tasks.settle()
    assert (account_of(payer).subscription, plan_of(payer)) == (subscription, "small")


def test_what_was_never_delivered_is_read_from_its_list(local: Local, payer: User) -> None:
    subscription = subscribed(local, payer)
    assert hearing.read_list() > 0
    gateway().cancel(subscription)
    assert hearing.read_list() == 1
    tasks.settle()
    assert plan_of(payer) == "household" and PaymentEvent.objects.filter(was_fetched=True).exists()


def test_the_customer_is_deleted_with_the_account_and_again_is_no_error(local: Local, payer: User) -> None:
    subscribed(local, payer)
    customer = customer_of(payer)
    close_account(payer)
    for _ in range(2):
        tasks.settle()
    assert account_of(payer).cancel_at_period_end
    Cloud.objects.filter(owner=payer).update(state="closed")
    tasks.settle()
    assert account_of(payer).customer == ""
    assert gateway().subscriptions(customer) == []
    gateway().delete_customer(customer)


def test_its_refusals_are_ours(local: Local, payer: User, settings: Settings) -> None:
    with pytest.raises(Declined) as refused:
        gateway().set_ending("sub_none", ends=True)
    assert refused.value.missing
    gateway().cancel("sub_none")
    settings.STRIPE_KEY = "rk_test_of_nobody"
    with pytest.raises(Declined):
        gateway().invoices("cus_none")
