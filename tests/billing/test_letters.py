"""Mails about money that Stripe does not send."""

import pytest
from django.core.mail import EmailMessage

from provider.billing import settling, tasks
from provider.billing.port import gateway
from tenants.services.plans import edit_plan
from tests.billing.conftest import Payer

pytestmark = pytest.mark.django_db


def test_before_a_trial_ends_its_owner_reads_when_and_what_it_costs_then(
    payer: Payer, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_plan(None, "small", {"trial_days": 14})
    payer.subscribed("small")
    edit_plan(None, "small", {"price_minor": 700})  # for others
    tasks.settle()
    assert mailoutbox == []
    payer.double.stripe.get("subscription", payer.account.subscription)["trial_end"] -= 12 * 24 * 3600
    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", _no_mail)
        settling.settle(payer.account.pk)
        tasks.settle()
    assert mailoutbox == []
    for _ in range(3):
        tasks.settle()
    (mail,) = mailoutbox
    assert mail.to == [payer.user.email] and mail.subject == "Your trial of Small ends soon"
    assert "costs 5.00 EUR a month" in mail.body and f"{payer.account.trial_end:%-d %B %Y}" in mail.body


def test_who_has_ended_it_or_is_leaving_is_told_nothing_of_a_charge(
    payer: Payer, mailoutbox: list[EmailMessage]
) -> None:
    edit_plan(None, "small", {"trial_days": 2})
    subscription = payer.subscribed("small")
    gateway().set_ending(str(subscription["id"]), ends=True)
    settling.settle(payer.account.pk)
    tasks.settle()
    assert mailoutbox == []


def test_who_has_not_paid_until_stripe_ends_it_is_not_thanked(payer: Payer, mailoutbox: list[EmailMessage]) -> None:
    subscription = str(payer.subscribed("large")["id"])
    payer.double.stripe.fail_payment(subscription)
    settling.settle(payer.account.pk)
    tasks.dun()
    payer.double.stripe.end(subscription)
    settling.settle(payer.account.pk)
    tasks.dun()
    assert [mail.subject for mail in mailoutbox] == [
        "Your payment for the plan Large did not get through",
        "Your subscription has ended",
    ]
    assert payer.cloud.plan.name in mailoutbox[1].body and payer.cloud.plan_id == "household"


def _no_mail(*_: object) -> int:
    raise OSError("no mail server")
