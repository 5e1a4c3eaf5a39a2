"""Whatever order events come in, however often, and whether they come at all: the plan is what is paid for in the end."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from provider.billing import hearing, settling, tasks
from provider.billing.port import Happened, gateway
from tenants.models import BillingAccount, Cloud, EventCursor, Operation, PaymentEvent
from tests.billing.conftest import SECRET, Payer, deliver
from tests.stripe_double.state import Object

pytestmark = pytest.mark.django_db
Ends = Counter[tuple[object, ...]]  # what is in the end, and how many ways lead there


def six(payer: Payer) -> list[Object]:
    """A subscription's life: made and paid, not paid, paid late, changed to another plan, and again not paid."""
    stripe = payer.double.stripe
    payer.session("large")  # so that the larger plan has a price
    first = stripe.pay(payer.session("small"))
    made = [event for event in stripe.events if event["type"] == "customer.subscription.created"]
    paid = [event for event in stripe.events if event["type"] == "invoice.paid"]
    number = len(stripe.events)
    stripe.fail_payment(first["id"])
    stripe.pay_late(first["id"])
    payer.double.stripe.update_subscription(
        first["id"],
        {"items": [{"id": first["items"]["data"][0]["id"], "price": _price(payer, 2000)}]},
    )
    later = [event for event in stripe.events[number:] if event["type"] != "invoice.paid"]
    found = [*made, *paid, *later]
    kinds = [event["type"] for event in found]
    assert kinds == [
        "customer.subscription.created",
        "invoice.paid",
        "invoice.payment_failed",
        *["customer.subscription.updated"] * 3,
    ]
    return found


def _price(payer: Payer, amount: int) -> str:
    rows = payer.double.stripe.objects.values()
    return next(row["id"] for row in rows if row["object"] == "price" and row["unit_amount"] == amount)


def what_is(payer: Payer) -> tuple[object, ...]:
    account = payer.account
    return (
        payer.cloud.plan_id,
        payer.cloud.quota,
        *(account.status, account.plan_id, account.problem, account.period_end, account.subscription),
        PaymentEvent.objects.count(),
        Operation.objects.filter(kind="change_plan").count(),
    )


def test_every_order_of_the_six_events_with_duplicates_ends_in_one_state(payer: Payer) -> None:
    """All 720, each with every choice of moments at which somebody settles in between, and with every event that was heard
    coming again at every moment. Ways that have led to the same rows go on together: what comes next reads nothing else."""
    signed = [payer.double.stripe.sign(event, SECRET) for event in six(payer)]
    events = [gateway().verified(*delivery) for delivery in signed]
    answers = gateway().subscriptions(payer.account.customer)
    known: dict[State, Ends] = {}

    def ends_after(act: Callable[[], None], heard: frozenset[int]) -> Ends:
        with transaction.atomic():
            act()
            state = State.read()
            if state not in known:
                known[state] = ways_on(state, heard)
            transaction.set_rollback(True)
        return known[state]

    def ways_on(state: State, heard: frozenset[int]) -> Ends:
        assert not any(hearing.hear(events[number]) for number in heard) and State.read() == state
        ends: Ends = Counter()
        for number in set(range(len(events))) - heard:
            ends += ends_after(partial(hear_new, events[number]), heard | {number})
        if state.noticed > state.settled:
            ends += ends_after(lambda: settling._settle(fresh_account(), answers), heard)
        elif len(heard) == len(events):
            assert settling.unsettled() == []
            ends[what_is(payer)] += 1
        return ends

    ends = ends_after(lambda: None, frozenset())
    ((end, ways),) = ends.items()
    assert ways == 720 * 2**5  # after each event but the last it is settled or not
    assert end[0] == "large" and end[2:5] == ("active", "large", "") and end[-2:] == (6, 1)


@dataclass(frozen=True)
class State:
    """All that hearing and settling read and write, but moments and the numbers of rows."""

    noticed: int
    settled: int
    account: tuple[object, ...]
    cloud: tuple[object, ...]
    events: frozenset[tuple[object, ...]]
    operations: tuple[str, ...]

    @classmethod
    def read(cls) -> "State":
        told = (
            "customer",
            "subscription",
            "status",
            "plan",
            "problem",
            "cancel_at_period_end",
            "trial_end",
            "period_end",
        )
        (account,) = BillingAccount.objects.values_list("noticed", "settled", "ends_with_account", *told)
        return cls(
            *(account[0], account[1], account[2:]),
            Cloud.objects.values_list("plan", "state", "state_reason", "generation").get(),
            frozenset(PaymentEvent.objects.values_list("pk", "kind", "customer", "created_at", "was_fetched")),
            tuple(Operation.objects.values_list("kind", "state").order_by("created_at")),
        )


def fresh_account() -> BillingAccount:
    return BillingAccount.objects.select_related("cloud").get()


def hear_new(event: Happened) -> None:
    assert hearing.hear(event)


@pytest.mark.parametrize("order", [0, 1, 100, 359, 500, 719])
def test_the_same_over_http_asking_stripe_each_time(payer: Payer, order: int) -> None:
    events = six(payer)
    for event in list(itertools.permutations(events))[order]:
        for _ in range(2):
            assert deliver(payer.double, event).status_code == 200
            tasks.settle()
    assert what_is(payer)[0] == "large" and what_is(payer)[-2:] == (6, 1)


def test_an_outage_longer_than_stripes_retries_is_caught_up(payer: Payer) -> None:
    """Stripe gives up after three days; nothing of what happened meanwhile was delivered."""
    tasks.read_events()
    subscription = payer.double.stripe.pay(payer.session("small"))
    tasks.read_events()
    tasks.settle()
    assert payer.cloud.plan_id == "small"
    ten_days_ago = timezone.now() - timedelta(days=10)
    EventCursor.objects.update(read_until=ten_days_ago)
    number = PaymentEvent.objects.count()
    payer.double.stripe.fail_payment(subscription["id"])
    payer.double.stripe.end(subscription["id"])
    for event in payer.double.stripe.events[-3:]:
        event["created"] = int(ten_days_ago.timestamp()) + 3600
    tasks.read_events()
    assert settling.unsettled() == [payer.account.pk]
    tasks.settle()
    assert (payer.cloud.plan_id, payer.account.status) == ("household", "canceled")
    assert PaymentEvent.objects.count() == number + 3
    assert PaymentEvent.objects.filter(was_fetched=True).count() >= 3
    noticed = payer.account.noticed
    tasks.read_events()
    assert payer.account.noticed == noticed


def test_a_gap_longer_than_stripes_list_asks_about_everybody(payer: Payer) -> None:
    subscription = payer.subscribed("small")
    EventCursor.objects.create(read_until=timezone.now() - timedelta(days=90))
    payer.double.stripe.end(subscription["id"])
    payer.double.stripe.events.clear()
    tasks.read_events()
    tasks.settle()
    assert payer.cloud.plan_id == "household"


def test_a_list_of_more_than_a_page_is_read_whole(payer: Payer) -> None:
    payer.session("small")
    for _ in range(130):
        payer.double.stripe.tell("invoice.paid", {"object": "invoice", "customer": payer.account.customer})
    assert hearing.read_list() == 130
    assert hearing.read_list() == 0


def test_killed_while_the_list_is_read_it_is_read_again(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    payer.double.stripe.pay(payer.session("small"))
    heard: list[str] = []
    hear = hearing.hear

    def dies_at_the_second(event: object, **more: bool) -> bool:
        heard.append("x")
        if len(heard) == 2:
            raise KeyboardInterrupt
        return hear(event, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(hearing, "hear", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        hearing.read_list()
    assert not EventCursor.objects.exists() and PaymentEvent.objects.count() == 1
    monkeypatch.setattr(hearing, "hear", hear)
    assert hearing.read_list() == 2
    tasks.settle()
    assert payer.cloud.plan_id == "small"


def test_killed_before_it_is_written_down_the_account_is_asked_about_again(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer.double.stripe.pay(payer.session("small"))
    deliver(payer.double, payer.double.stripe.events[-1])
    with monkeypatch.context() as patched:
        patched.setattr(settling, "_give_plan", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            settling.settle(payer.account.pk)
    assert settling.unsettled() == [payer.account.pk] and payer.cloud.plan_id == "household"
    tasks.settle()
    assert payer.cloud.plan_id == "small"


def test_many_at_once_are_heard_once_and_settled_in_order(races: None, payer: Payer) -> None:
    """Ten deliveries of each event by threads, workers settling meanwhile, and the subscription changing under them."""
    events = six(payer)
    start = threading.Barrier(12)

    def work(number: int) -> list[bool]:
        try:
            start.wait(60)
            if number >= 10:
                for _ in range(10):
                    tasks.settle()
                return []
            return [deliver(payer.double, event).json()["new"] for event in events[number % 6 :] + events[: number % 6]]
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        done = list(pool.map(work, range(12)))
    tasks.settle()
    assert sum(itertools.chain.from_iterable(done)) == 6
    assert BillingAccount.objects.get().noticed == 6
    assert what_is(payer)[0] == "large" and what_is(payer)[-2:] == (6, 1)
