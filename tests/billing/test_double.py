"""That the double is as strict as Stripe: what it would let pass would prove nothing."""

from typing import Any

import httpx
import pytest

from provider.billing.gateway import API_VERSION
from tests.stripe_double.server import KEY, VERSION, Double

HEADERS = {"Authorization": f"Bearer {KEY}", "Stripe-Version": VERSION}


def ask(double: Double, method: str, path: str, headers: dict[str, str] | None = None, **form: str) -> tuple[int, Any]:
    answer = httpx.request(method, f"{double.url}/v1/{path}", headers={**HEADERS, **(headers or {})}, data=form or None)
    return answer.status_code, answer.json()


def test_the_version_is_pinned_in_both(double: Double) -> None:
    assert API_VERSION == VERSION
    assert ask(double, "POST", "customers", {"Stripe-Version": "2020-08-27"}, email="a@b.org")[0] == 400


@pytest.mark.parametrize(
    ("path", "form", "code", "param"),
    [
        ("customers", {"emale": "a@b.org"}, "parameter_unknown", "emale"),
        ("customers", {"metadata[x][y]": "1"}, None, "metadata"),
        ("products", {}, "parameter_missing", "name"),
        (
            "prices",
            {"product": "p", "currency": "eur", "recurring[every]": "month"},
            "parameter_unknown",
            "recurring[every]",
        ),
        (
            "prices",
            {"product": "p", "currency": "eur", "unit_amount": "4.99"},
            "parameter_invalid_integer",
            "unit_amount",
        ),
        ("checkout/sessions", {"line_items[0][plan]": "x"}, "parameter_unknown", "line_items[0][plan]"),
        ("billing_portal/sessions", {"customer": "cus_none"}, "resource_missing", "id"),
    ],
)
def test_what_stripe_refuses_is_refused_in_its_words(
    double: Double, path: str, form: dict[str, str], code: str | None, param: str
) -> None:
    status, body = ask(double, "POST", path, **form)
    assert status in (400, 404)
    assert (body["error"]["type"], body["error"].get("code"), body["error"]["param"]) == (
        *("invalid_request_error", code),
        param,
    )
    assert double.stripe.objects == {}


def test_keys_of_idempotency_are_held_to_their_parameters(double: Double) -> None:
    key = {"Idempotency-Key": "k"}
    first = ask(double, "POST", "customers", key, email="a@b.org")
    assert ask(double, "POST", "customers", key, email="a@b.org") == first
    assert ask(double, "POST", "customers", key, email="c@d.org")[0] == 400
    assert len(double.stripe.objects) == 1


def test_a_wrong_key_and_an_unknown_address(double: Double) -> None:
    assert ask(double, "POST", "customers", {"Authorization": "Bearer sk_test_other"})[0] == 401
    assert ask(double, "GET", "charges")[0] == 404
