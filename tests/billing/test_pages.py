"""`/billing/` where billing is on: what one pays, and the ways to the payment provider."""

import pytest
from django.test import Client

from tenants.models import BillingAccount
from tests.billing.conftest import Payer

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(payer: Payer) -> Client:
    made = Client()
    made.force_login(payer.user)
    return made


def words(browser: Client, path: str) -> str:
    return str(browser.get(path).content.decode())


def test_one_comes_to_pay_over_a_page_of_ours(payer: Payer, browser: Client) -> None:
    page = words(browser, "/billing/")
    assert "You have no subscription." in page and "Billing is off" not in page
    page = words(browser, "/billing/plans/small/")
    assert 'action="/billing/checkout/"' in page and "Subscribe" in page and "Billing is off" not in page
    answer = browser.post("/billing/checkout/", {"plan": "small"})
    assert answer.status_code == 200 and 'href="https://checkout.invalid/cs_' in answer.content.decode()
    assert payer.cloud.plan_id == "household"
    assert browser.post("/billing/plans/small/", {"idempotency_key": "k"}).status_code == 422
    assert payer.cloud.plan_id == "household"


def test_one_sees_what_one_pays_and_comes_to_cards_and_invoices(payer: Payer, browser: Client) -> None:
    payer.subscribed("small")
    page = words(browser, "/billing/")
    assert "<dt>Subscription</dt><dd>active</dd>" in page and "<dt>Renewed</dt>" in page
    assert 'action="/billing/portal/"' in page
    assert 'href="https://portal.invalid/bps_' in browser.post("/billing/portal/").content.decode()
    assert "Change my subscription" in words(browser, "/billing/plans/large/")
    page = browser.post("/billing/checkout/", {"plan": "large"}, follow=True).content.decode()
    assert "Your subscription is changed" in page and "Your plan: Large" in page
    refused = browser.post("/billing/plans/household/", {"idempotency_key": "k"})
    assert refused.status_code == 422 and "end it first" in refused.content.decode()


def test_what_goes_wrong_is_told_on_the_plans_page(payer: Payer, browser: Client) -> None:
    for form in ({"plan": "nothing"}, {"plan": "household"}, {"plan": "x" * 500}, {}):
        page = browser.post("/billing/checkout/", form, follow=True).content.decode()
        assert "There is no such plan" in page or "This plan is free" in page
    assert "You have never paid for anything here." in browser.post("/billing/portal/", follow=True).content.decode()
    payer.double.broken = True
    page = browser.post("/billing/checkout/", {"plan": "small"}, follow=True).content.decode()
    assert "The payment provider does not answer." in page
    payer.double.broken = False
    payer.subscribed("small")
    BillingAccount.objects.update(problem="Household is <too> small.")
    assert "Household is &lt;too&gt; small." in words(browser, "/billing/")
