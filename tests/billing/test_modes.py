"""Test mode and live mode know nothing of each other: what was made in one is never used with a key of the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from provider import env
from provider.billing import hearing, settling, tasks
from tenants.models import EventCursor, PlanPrice
from tenants.services.closing import close_account
from tests.api.client import Program, error
from tests.billing.conftest import Payer, deliver
from tests.stripe_double.server import Double, running
from tests.worlds import MemoryCluster, active_person

pytestmark = pytest.mark.django_db


@contextmanager
def live(settings: Settings) -> Iterator[Double]:
    """The same installation with the other key: another world, which begins with the same numbers for its objects."""
    with running(live=True) as made:
        settings.STRIPE_API, settings.STRIPE_LIVE = made.url, True
        yield made


def test_who_paid_in_test_mode_is_never_asked_about_with_a_live_key(payer: Payer, settings: Settings) -> None:
    subscription = payer.subscribed("small")
    deliver(payer.double, payer.double.stripe.events[-1])
    with live(settings) as real:
        assert settling.unsettled() == []
        settling.settle(payer.account.pk)
        tasks.settle()
        assert error(payer.checkout("large"))[:2] == (409, "billing_other_mode")
        assert "test mode" in payer.checkout("large").json()["error"]["message"]
        assert error(Program(payer.user)("POST", "billing/portal/"))[:2] == (409, "nothing_paid")
        assert Program(payer.user)("GET", "billing/invoices/").json()["results"] == []
        close_account(payer.user)
        type(payer.cloud).objects.filter(pk=payer.cloud.pk).update(state="closed")
        tasks.settle()
        assert real.calls == []
    assert payer.account.subscription == subscription["id"] and payer.cloud.plan_id == "small"


def test_an_event_of_live_mode_about_a_customer_of_the_same_name_concerns_nobody(
    payer: Payer, settings: Settings
) -> None:
    payer.subscribed("small")
    with live(settings) as real:
        real.stripe.create_customer({})
        real.stripe.objects[payer.account.customer] = {"id": payer.account.customer, "object": "customer"}
        real.stripe.tell(
            "customer.subscription.deleted", {"object": "subscription", "customer": payer.account.customer}
        )
        assert deliver(real, real.stripe.events[-1]).status_code == 200
        assert payer.account.noticed == payer.account.settled


def test_prices_and_the_place_in_the_list_of_events_are_kept_apart(
    payer: Payer, cluster: MemoryCluster, settings: Settings
) -> None:
    payer.subscribed("small")
    hearing.read_list()
    EventCursor.objects.update(read_until=timezone.now() + timedelta(days=9))
    with live(settings) as real:
        other = Payer(active_person(cluster), real)
        # Numbers of its own, as Stripe's are; else the rows of the two would be one.
        for _ in range(50):
            real.stripe.create_customer({})
        real.stripe.pay(other.session("small"))
        assert hearing.read_list() == 3
        tasks.settle()
        assert other.cloud.plan_id == "small" and other.account.livemode
    assert sorted(PlanPrice.objects.values_list("livemode", flat=True)) == [False, True]
    assert EventCursor.objects.count() == 2


def test_a_key_that_is_not_of_the_mode_that_it_claims_makes_no_customer(payer: Payer) -> None:
    payer.double.stripe.live = True
    assert error(payer.checkout("small"))[:2] == (409, "billing_declined")
    assert payer.account.customer == ""


def test_what_was_paid_for_trying_is_let_go_by_a_command(payer: Payer, settings: Settings) -> None:
    payer.subscribed("small")
    customer = payer.account.customer
    call_command("forget_test_payments")
    assert payer.double.stripe.objects[customer]["deleted"] is True
    assert (payer.account.customer, payer.account.status, payer.account.plan_id) == ("", "", None)
    assert payer.cloud.plan_id == "household"
    assert not PlanPrice.objects.exists()
    with live(settings) as real:
        real.stripe.pay(payer.session("small"))
        settling.settle(payer.account.pk)
        assert payer.cloud.plan_id == "small"
        call_command("forget_test_payments")
        assert payer.account.livemode and payer.cloud.plan_id == "small" and PlanPrice.objects.count() == 1


def test_the_command_leaves_a_plan_that_an_operator_gave_and_stripe_alone_where_its_key_is_gone(
    payer: Payer, settings: Settings
) -> None:
    payer.subscribed("small")
    asked = len(payer.double.calls)
    type(payer.cloud).objects.filter(pk=payer.cloud.pk).update(plan="large")
    settings.STRIPE_KEY = ""
    call_command("forget_test_payments")
    assert (payer.cloud.plan_id, payer.account.customer, len(payer.double.calls)) == ("large", "", asked)


@pytest.mark.parametrize("key", ["pk_live_4eC39Hq", "whsec_4eC39Hq", "4eC39Hq"])
def test_a_key_whose_mode_nobody_can_tell_stops_the_start(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", key)
    with pytest.raises(ImproperlyConfigured, match="KEY must begin with one of sk_test_, sk_live_") as refused:
        env.beginning("KEY", ("sk_test_", "sk_live_"))
    assert "4eC39Hq" not in str(refused.value)
    monkeypatch.setenv("KEY", "sk_test_x")
    assert env.beginning("KEY", ("sk_test_",)) == "sk_test_x"
    monkeypatch.delenv("KEY")
    assert env.beginning("KEY", ("sk_test_",)) == ""
