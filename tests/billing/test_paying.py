"""From a plan with a price to a subscription, and what becomes of the cloud's plan as it changes, late payments and ends."""

import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from provider.billing import settling, tasks
from provider.billing.gateway import StripeGateway
from tenants.models import BillingAccount, Operation, PlanPrice
from tenants.services.closing import close_account, reopen_account
from tenants.services.instances import install_app
from tenants.services.plan_changes import change_plan
from tenants.services.plans import archive_plan, edit_plan
from tests.api.client import Program, error
from tests.billing.conftest import Payer
from tests.offers import offer
from tests.worlds import MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db


def stripe_has(payer: Payer, kind: str) -> list[dict[str, object]]:
    return [row for row in payer.double.stripe.objects.values() if row["object"] == kind and not row.get("deleted")]


def test_paying_for_a_plan_gives_it_to_the_cloud(payer: Payer) -> None:
    answer = payer.checkout("small")
    assert answer.status_code == 200 and answer.json()["url"].startswith("https://checkout.invalid/cs_")
    assert payer.cloud.plan_id == "household"  # nothing is paid yet
    payer.double.stripe.pay(answer.json()["url"].rpartition("/")[2])
    settling.settle(payer.account.pk)
    settle()
    assert (payer.cloud.plan_id, payer.account.status) == ("small", "active")
    assert Operation.objects.get(kind="change_plan").state == "succeeded"
    assert payer.account.period_end is not None and payer.account.period_end > timezone.now() + timedelta(days=27)
    (price,) = stripe_has(payer, "price")
    assert (price["unit_amount"], price["currency"], price["recurring"]) == (500, "eur", {"interval": "month"})
    changes = Operation.objects.filter(kind="change_plan").count()
    settling.settle(payer.account.pk)
    assert Operation.objects.filter(kind="change_plan").count() == changes


def test_without_a_key_nothing_is_paid_and_everything_else_works(payer: Payer, settings: Settings) -> None:
    settings.STRIPE_KEY = ""
    program = Program(payer.user)
    for method, path in (("POST", "checkout/"), ("POST", "portal/"), ("GET", "invoices/")):
        answer = program(method, f"billing/{path}", {"plan": "small"} if path == "checkout/" else None)
        assert error(answer)[:2] == (409, "billing_off")
    assert program("POST", "cloud/plan/", {"plan": "small"}).status_code == 202
    assert payer.cloud.plan_id == "small"
    tasks.settle()
    tasks.read_events()
    assert payer.double.calls == []


def test_a_plan_with_a_price_is_not_had_without_paying(payer: Payer) -> None:
    program = Program(payer.user)
    assert error(program("POST", "cloud/plan/", {"plan": "small"})) == (422, "payment_needed", "plan")
    assert error(payer.checkout("household")) == (422, "plan_is_free", "plan")
    assert error(payer.checkout("nothing")) == (422, "no_plan", "plan")
    payer.subscribed("small")
    assert error(program("POST", "cloud/plan/", {"plan": "household"})) == (422, "subscription_running", "plan")
    assert payer.cloud.plan_id == "small"


def test_one_that_is_too_small_is_refused_before_anything_is_paid(payer: Payer, cluster: MemoryCluster) -> None:
    release = released(cluster)
    for _ in range(3):
        install_app(payer.user, app_slug=release.app.slug)
    assert error(payer.checkout("small")) == (422, "plan_too_small", "plan")
    assert payer.double.calls == [] and not BillingAccount.objects.exists()


def test_who_is_leaving_pays_for_nothing_more(payer: Payer) -> None:
    close_account(payer.user)
    assert error(payer.checkout("small"))[:2] == (409, "cloud_unavailable")
    assert payer.double.calls == []


def test_a_trial_is_given_once(payer: Payer) -> None:
    edit_plan(None, "small", {"trial_days": 14})
    subscription = payer.subscribed("small")
    assert (payer.account.status, payer.cloud.plan_id) == ("trialing", "small")
    assert payer.account.trial_end is not None and payer.account.trial_end > timezone.now() + timedelta(days=13)
    payer.double.stripe.end(str(subscription["id"]))
    settling.settle(payer.account.pk)
    assert payer.cloud.plan_id == "household"
    payer.subscribed("small")
    assert payer.account.status == "active"


def test_another_plan_changes_the_subscription_with_proration(payer: Payer) -> None:
    subscription = payer.subscribed("small")
    assert payer.checkout("large").json() == {"url": None}
    assert payer.cloud.plan_id == "large"
    assert len(stripe_has(payer, "subscription")) == 1
    row = payer.double.stripe.get("subscription", str(subscription["id"]))
    assert row["items"]["data"][0]["price"]["unit_amount"] == 2000
    assert row["pending_prorations"] == pytest.approx(1500, abs=2)
    assert error(payer.checkout("large")) == (422, "same_plan", "plan")


def test_who_goes_to_pay_twice_can_pay_once(payer: Payer) -> None:
    first = payer.session("small")
    second = payer.session("large")
    assert payer.double.stripe.get("checkout.session", first)["status"] == "expired"
    payer.double.stripe.pay(second)
    settling.settle(payer.account.pk)
    assert payer.cloud.plan_id == "large"
    assert len(stripe_has(payer, "customer")) == 1


def test_of_two_subscriptions_the_newest_counts_and_the_other_is_ended(payer: Payer) -> None:
    first = payer.session("small")
    payer.double.stripe.pay(first)
    payer.double.stripe.offset_s = 60
    again = payer.double.stripe.create_session(
        {
            k: v
            for k, v in payer.double.stripe.get("checkout.session", first).items()
            if k not in ("id", "object", "status")
        }
    )
    payer.double.stripe.pay(again["id"])
    settling.settle(payer.account.pk)
    assert [row["status"] for row in stripe_has(payer, "subscription")] == ["canceled", "active"]
    assert payer.account.subscription == stripe_has(payer, "subscription")[1]["id"]


def test_a_late_payment_keeps_the_plan_and_an_ended_subscription_takes_it_back(payer: Payer) -> None:
    subscription = str(payer.subscribed("large")["id"])
    payer.double.stripe.fail_payment(subscription)
    settling.settle(payer.account.pk)
    assert (payer.account.status, payer.cloud.plan_id) == ("past_due", "large")
    payer.double.stripe.pay_late(subscription)
    settling.settle(payer.account.pk)
    assert payer.account.status == "active"
    payer.double.stripe.end(subscription)
    settling.settle(payer.account.pk)
    assert (payer.account.status, payer.account.plan_id, payer.cloud.plan_id) == ("canceled", None, "household")


def test_an_end_that_does_not_fit_waits_until_it_does(payer: Payer, cluster: MemoryCluster) -> None:
    subscription = str(payer.subscribed("large")["id"])
    release = released(cluster)
    edit_plan(None, "household", {"instances": 1})
    copies = [install_app(payer.user, app_slug=release.app.slug)[0] for _ in range(2)]
    payer.double.stripe.end(subscription)
    settling.settle(payer.account.pk)
    assert payer.cloud.plan_id == "large" and "1 app" in payer.account.problem
    assert settling.unsettled() == []
    type(copies[0]).objects.filter(pk=copies[0].pk).update(state="removed")
    BillingAccount.objects.update(checked_at=timezone.now() - timedelta(hours=1))
    assert settling.unsettled() == [payer.account.pk]
    tasks.settle()
    assert (payer.cloud.plan_id, payer.account.problem) == ("household", "")


def test_what_an_operator_gave_meanwhile_stays(payer: Payer) -> None:
    subscription = str(payer.subscribed("small")["id"])
    offer("gift", is_visible=False, instances=9)
    change_plan(None, payer.cloud, "gift", by_operator=True, reason="r")
    settling.settle(payer.account.pk)
    assert payer.cloud.plan_id == "gift"
    payer.double.stripe.end(subscription)
    settling.settle(payer.account.pk)
    assert (payer.cloud.plan_id, payer.account.plan_id) == ("gift", None)


def test_a_new_price_is_for_new_subscriptions_and_old_ones_keep_theirs(payer: Payer, cluster: MemoryCluster) -> None:
    payer.subscribed("small")
    edit_plan(None, "small", {"price_minor": 700})
    settling.settle(payer.account.pk)
    assert payer.cloud.plan_id == "small"
    other = Payer(active_person(cluster), payer.double)
    other.subscribed("small")
    assert other.cloud.plan_id == "small"
    assert sorted(PlanPrice.objects.values_list("amount_minor", flat=True)) == [500, 700]


def test_what_is_paid_for_is_given_though_it_was_taken_off_meanwhile(payer: Payer) -> None:
    session = payer.session("small")
    archive_plan(None, "small", archived=True)
    payer.double.stripe.pay(session)
    settling.settle(payer.account.pk)
    assert (payer.cloud.plan_id, payer.account.problem) == ("small", "")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_call_that_ends_it_with_the_account(
    payer: Payer, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whoever keeps the account after all goes on with the subscription."""
    subscription = str(payer.subscribed("small")["id"])
    close_account(payer.user)
    real = StripeGateway.set_ending

    def killed(self: StripeGateway, row_id: str, *, ends: bool) -> None:
        if moment == "after":
            real(self, row_id, ends=ends)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StripeGateway, "set_ending", killed)
        with pytest.raises(KeyboardInterrupt):
            tasks.settle()
    tasks.settle()
    row = payer.double.stripe.get("subscription", subscription)
    assert row["cancel_at_period_end"] is True
    reopen_account(payer.user)
    for _ in range(3):
        tasks.settle()
    assert (row["cancel_at_period_end"], settling.unsettled()) == (False, [])


def test_cards_and_invoices(payer: Payer) -> None:
    program = Program(payer.user)
    assert error(program("POST", "billing/portal/"))[:2] == (409, "nothing_paid")
    assert program("GET", "billing/invoices/").json() == {"results": [], "next": None}
    payer.subscribed("small")
    assert program("POST", "billing/portal/").json()["url"].startswith("https://portal.invalid/")
    (invoice,) = program("GET", "billing/invoices/").json()["results"]
    assert (invoice["status"], invoice["total_minor"], invoice["paid_minor"], invoice["currency"]) == (
        *("paid", 500, 500),
        "eur",
    )


@pytest.mark.parametrize("lost", [1, 2])
def test_answers_that_are_lost_make_nothing_twice(payer: Payer, lost: int) -> None:
    payer.double.lost_answers = lost
    assert payer.checkout("small").status_code == 200
    assert [len(stripe_has(payer, kind)) for kind in ("customer", "product", "price")] == [1, 1, 1]


def test_a_process_killed_after_the_customer_was_made_finds_the_same_one(payer: Payer) -> None:
    payer.checkout("small")
    BillingAccount.objects.update(customer="")  # never written down
    PlanPrice.objects.all().delete()
    payer.checkout("small")
    assert [len(stripe_has(payer, kind)) for kind in ("customer", "product", "price")] == [1, 1, 1]


def test_a_stripe_that_is_away_is_told_in_a_sentence_and_changes_nothing(payer: Payer) -> None:
    payer.subscribed("small")
    payer.double.broken = True
    answer = Program(payer.user)("POST", "billing/portal/")
    assert answer.status_code in (409, 422, 503) and error(answer)[1] == "billing_unreachable"
    tasks.settle_account(payer.account.pk)
    assert payer.cloud.plan_id == "small"


def test_closing_the_account_ends_the_subscription_and_keeping_it_renews_it(payer: Payer) -> None:
    subscription = str(payer.subscribed("small")["id"])
    close_account(payer.user)
    assert settling.unsettled() == [payer.account.pk]
    tasks.settle()
    row = payer.double.stripe.get("subscription", subscription)
    assert row["cancel_at_period_end"] is True
    tasks.settle()
    assert settling.unsettled() == [] and payer.account.cancel_at_period_end
    reopen_account(payer.user)
    tasks.settle()
    tasks.settle()
    assert (row["cancel_at_period_end"], payer.account.ends_with_account) == (False, False)
    assert settling.unsettled() == []


def test_when_the_cloud_is_erased_the_customer_is_deleted(payer: Payer) -> None:
    payer.subscribed("small")
    customer = payer.account.customer
    close_account(payer.user)
    type(payer.cloud).objects.filter(pk=payer.cloud.pk).update(state="closed")
    payer.double.lost_answers = 1
    for _ in range(3):
        tasks.settle()
    assert payer.double.stripe.objects[customer]["deleted"] is True
    assert [row["status"] for row in stripe_has(payer, "subscription")] == ["canceled"]
    account = payer.account
    assert (account.customer, account.status, settling.unsettled()) == ("", "", [])
    assert account.deleted_at is not None


def test_the_worker_knows_all_that_beat_sends() -> None:
    from provider.billing.hearing import SETTLE
    from provider.celery import app

    app.loader.import_default_modules()
    wanted = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {SETTLE, *wanted} <= set(app.tasks)


def test_where_nobody_pays_the_sdk_is_not_loaded() -> None:
    """It would cost every process of an installation without billing its memory."""
    code = (
        "import django; django.setup(); import provider.urls, provider.celery, sys; sys.exit('stripe' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_a_plan_that_a_closing_cloud_cannot_be_given_is_not_tried_again_and_again(payer: Payer) -> None:
    subscription = str(payer.subscribed("small")["id"])
    close_account(payer.user)
    payer.double.stripe.end(subscription)
    settling.settle(payer.account.pk)
    BillingAccount.objects.update(checked_at=timezone.now() - timedelta(hours=1))
    assert payer.account.problem and settling.unsettled() == []
    reopen_account(payer.user)
    assert settling.unsettled() == [payer.account.pk]
    tasks.settle()
    assert (payer.cloud.plan_id, payer.account.problem) == ("household", "")
