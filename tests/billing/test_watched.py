"""What whoever watches an installation is told of its payments."""

import pytest
from pytest_django.fixtures import Settings

from provider import metrics
from provider.billing import hearing
from tenants.models import BillingAccount, EventCursor
from tests.billing.conftest import Payer, deliver

pytestmark = pytest.mark.django_db


def told() -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels.values()): s.value for family in metrics._of_the_database() for s in family.samples}


def test_events_are_counted_by_kind_and_by_what_became_of_them(payer: Payer, settings: Settings) -> None:
    payer.double.stripe.pay(payer.session("small"))
    *_, created, paid, completed = payer.double.stripe.events
    for _ in range(3):
        deliver(payer.double, created)
    deliver(payer.double, paid, secret="whsec_guessed")
    deliver(payer.double, paid, type="x" * 80, age_s=900)
    settings.STRIPE_LIVE = True
    deliver(payer.double, paid)
    settings.STRIPE_LIVE = False
    hearing.read_list()
    hearing.read_list()
    events = {key[1:]: value for key, value in told().items() if key[0] == "freehold_billing_events_total"}
    assert events == {
        ("customer.subscription.created", "heard"): 1,
        ("customer.subscription.created", "known"): 2,
        ("", "refused"): 2,
        ("invoice.paid", "wrong_mode"): 1,
        ("invoice.paid", "fetched"): 1,
        ("checkout.session.completed", "fetched"): 1,
    }
    assert completed["type"] == "checkout.session.completed"


def test_how_late_payments_are_is_told_where_somebody_pays(payer: Payer) -> None:
    assert not any(name.startswith("freehold_billing_list_age") for name, *_ in told())
    payer.subscribed("small")
    hearing.read_list()
    now = told()
    assert now["freehold_billing_accounts", "test", "active"] == 1
    assert -60 < now["freehold_billing_list_age_seconds",] < 600  # the database's now is where its transaction began
    assert now["freehold_billing_unsettled",] == 1
    payer.double.stripe.offset_s = -1000
    payer.double.stripe.fail_payment(payer.account.subscription)
    deliver(payer.double, payer.double.stripe.events[-1])
    assert 1000 <= told()["freehold_billing_event_lag_seconds",] < 1600
    BillingAccount.objects.update(livemode=True)
    EventCursor.objects.update(livemode=False)
    assert ("freehold_billing_list_age_seconds",) not in told()
