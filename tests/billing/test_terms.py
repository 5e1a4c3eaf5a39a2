"""Settings of taxes, addresses and proration are passed through to Stripe, and nothing is where none is set."""

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.billing.conftest import Payer

pytestmark = pytest.mark.django_db
ASKED_FOR = ("automatic_tax", "tax_id_collection", "billing_address_collection", "customer_update")


def session_of(payer: Payer) -> dict[str, Any]:
    row = payer.double.stripe.get("checkout.session", payer.session("small"))
    return {name: row[name] for name in ASKED_FOR if name in row}


def made(payer: Payer, kind: str) -> list[dict[str, Any]]:
    return [row for row in payer.double.stripe.objects.values() if row["object"] == kind]


def test_without_settings_nothing_is_asked_for(payer: Payer) -> None:
    assert session_of(payer) == {}
    assert "tax_behavior" not in made(payer, "price")[0] and "tax_code" not in made(payer, "product")[0]


def test_taxes_are_worked_out_by_the_address_that_is_entered(payer: Payer, settings: Settings) -> None:
    settings.STRIPE_TAX = True
    assert session_of(payer) == {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}


def test_numbers_of_businesses_and_addresses_are_asked_for_and_kept(payer: Payer, settings: Settings) -> None:
    settings.STRIPE_TAX_IDS, settings.STRIPE_ADDRESS = True, "required"
    assert session_of(payer) == {
        "tax_id_collection": {"enabled": True},
        "billing_address_collection": "required",
        "customer_update": {"address": "auto", "name": "auto"},
    }


def test_whether_prices_are_with_taxes_goes_with_each_price_and_changing_it_makes_another(
    payer: Payer, settings: Settings
) -> None:
    settings.STRIPE_TAX_CODE = "txcd_10103000"
    payer.session("small")
    settings.STRIPE_TAX_BEHAVIOR = "inclusive"
    for _ in range(2):
        payer.session("small")
    assert [price.get("tax_behavior") for price in made(payer, "price")] == [None, "inclusive"]
    assert {product["tax_code"] for product in made(payer, "product")} == {"txcd_10103000"}


@pytest.mark.parametrize(("behavior", "is_set_against"), [("create_prorations", True), ("none", False)])
def test_another_plan_is_prorated_as_set(payer: Payer, settings: Settings, behavior: str, is_set_against: bool) -> None:
    settings.STRIPE_PRORATION = behavior
    subscription = payer.subscribed("small")
    payer.checkout("large")
    row = payer.double.stripe.get("subscription", str(subscription["id"]))
    assert ("pending_prorations" in row) is is_set_against
