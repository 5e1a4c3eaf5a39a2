"""`POST /billing/stripe/webhook/`: only what Stripe signed, lately, in our mode, counts; and once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from provider.billing import settling, tasks
from tenants.models import BillingAccount, PaymentEvent
from tests.billing.conftest import SECRET, WEBHOOK, Payer, deliver, post, signed
from tests.stripe_double.state import Object

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(payer: Payer) -> Object:
    """Of a payment that we have not heard of yet."""
    payer.double.stripe.pay(payer.session("small"))
    return next(row for row in payer.double.stripe.events if row["type"] == "customer.subscription.created")


def unheard(payer: Payer) -> bool:
    return not PaymentEvent.objects.exists() and payer.account.noticed == 0 and payer.cloud.plan_id == "household"


def test_an_event_has_the_customer_asked_about_and_the_plan_given(payer: Payer, event: Object) -> None:
    answer = deliver(payer.double, event)
    assert (answer.status_code, answer.json()) == (200, {"received": True, "new": True})
    assert settling.unsettled() == [payer.account.pk]
    assert payer.cloud.plan_id == "household"  # what it says is not believed
    tasks.settle()
    assert payer.cloud.plan_id == "small" and settling.unsettled() == []


def test_the_same_again_is_known(payer: Payer, event: Object) -> None:
    answers = [deliver(payer.double, event).json()["new"] for _ in range(3)]
    assert answers == [True, False, False]
    assert (PaymentEvent.objects.count(), payer.account.noticed) == (1, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body, signature: (body.replace(b"sub_", b"sub-"), signature),
        lambda body, signature: (body + b" ", signature),
        lambda body, signature: (body, signature.replace("v1=", "v1=0")),
        lambda body, signature: (body, signature.partition(",v1=")[0]),
        lambda body, signature: (body, ""),
        lambda body, signature: (body, "t=now,v1=x"),
        lambda body, signature: (body, "\x00"),
        lambda body, signature: (body, signature.replace("v1=", "v0=")),
        lambda body, signature: (b"\xff\xfe" + body, signature),
    ],
)
def test_forged_and_altered_events_change_nothing(
    payer: Payer, event: Object, spoil: Callable[[bytes, str], tuple[bytes, str]]
) -> None:
    answer = post(*spoil(*payer.double.stripe.sign(event, SECRET)))
    assert answer.status_code == 400 and unheard(payer)


def test_without_a_signature_or_with_another_secret_it_changes_nothing(payer: Payer, event: Object) -> None:
    assert post(json.dumps(event).encode(), None).status_code == 400
    assert deliver(payer.double, event, secret="whsec_somebody_elses").status_code == 400
    assert unheard(payer)


def test_an_old_one_that_is_sent_again_changes_nothing(payer: Payer, event: Object) -> None:
    assert deliver(payer.double, event, age_s=301).status_code == 400
    assert unheard(payer)
    assert deliver(payer.double, event, age_s=200).status_code == 200


def test_one_of_the_other_mode_changes_nothing(payer: Payer, event: Object, settings: Settings) -> None:
    assert deliver(payer.double, event, livemode=True).status_code == 400
    assert unheard(payer)
    settings.STRIPE_LIVE = True
    assert deliver(payer.double, event).status_code == 400
    assert unheard(payer)


def test_an_older_secret_counts_while_it_is_named(payer: Payer, event: Object, settings: Settings) -> None:
    assert deliver(payer.double, event, secret="whsec_an_older_one").status_code == 200
    settings.STRIPE_WEBHOOK_SECRETS = []
    other = next(row for row in payer.double.stripe.events if row["type"] == "invoice.paid")
    assert deliver(payer.double, other).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"object": "charge"},
        {"id": None},
        {"id": "e" * 81},
        {"id": "evt_\u0000"},
        {"type": 5},
        {"created": "now"},
        {"created": 10**30},
        {"created": None},
        {"livemode": "false"},
        {"livemode": None},
        {"data": {}},
        {"data": None},
        {"data": {"object": {"customer": 5}}},
    ],
)
def test_what_is_signed_but_no_event_is_refused(payer: Payer, event: Object, change: dict[str, Any]) -> None:
    assert deliver(payer.double, event, **change).status_code == 400
    assert unheard(payer)


def test_one_of_another_version_and_of_an_unknown_kind_counts_since_only_whose_it_is_is_read(
    payer: Payer, event: Object
) -> None:
    """Stripe sends in the endpoint's version, whichever that is; we ask in our own, and the double answers no other."""
    bare = {"data": {"object": {"object": "thing", "customer": {"id": payer.account.customer}}}}
    assert deliver(payer.double, event, api_version="2017-08-15", type="thing.happened", **bare).json()["new"]
    tasks.settle()
    assert payer.cloud.plan_id == "small"


def test_deep_and_strange_bodies_are_refused_though_they_are_signed(payer: Payer) -> None:
    for text in (
        "[" * 100_000,
        "[]",
        "null",
        '"event"',
        "{",
        "",
        '{"object": "event"}',
        '{"object": "event", "id": NaN}',
    ):
        assert post(*signed(text.encode())).status_code == 400
    assert not PaymentEvent.objects.exists()


def test_a_huge_body_is_refused_before_it_is_read_as_json(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda *_: pytest.fail("it was read"))
    body, signature = signed(b'{"object": "event", "x": "' + b"x" * 1024 * 1024 + b'"}')
    assert post(body, signature).status_code == 413


def test_events_about_nobody_we_know_are_written_down_and_no_more(payer: Payer, event: Object) -> None:
    stranger = {"data": {"object": {"object": "customer", "id": "cus_stranger"}}}
    assert deliver(payer.double, event, **stranger).status_code == 200
    assert deliver(payer.double, event, id="evt_other", data={"object": {"object": "product"}}).status_code == 200
    assert BillingAccount.objects.filter(noticed__gt=0).count() == 0
    assert PaymentEvent.objects.count() == 2


def test_other_methods_great_bodies_and_installations_without_billing(payer: Payer, settings: Settings) -> None:
    assert Client().get(WEBHOOK).status_code == 405
    assert post(b"x" * (1024 * 1024 + 1), "t=1,v1=x").status_code == 413
    settings.STRIPE_KEY = ""
    assert post(b"{}", "t=1,v1=x").status_code == 404
