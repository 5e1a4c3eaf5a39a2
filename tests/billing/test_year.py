"""A year in the life of ten people: what each did when, what each was charged, and every mail that each received."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from django.test import Client

from tests.billing.a_year import Dated, Person, World
from tests.offers import offer
from tests.stripe_double.server import Double
from tests.worlds import MemoryCluster, released

Act = Callable[[Person], None]
YEAR = 2027


# --- what people do ----------------------------------------------------------------------------------------------------
def arrives(_person: Person) -> None:
    """Signs up: the first thing that anybody does."""


def subscribes_to(plan: str) -> Act:
    def act(person: Person) -> None:
        said = person.asks("POST", "billing/checkout/", {"plan": plan})
        stripe = person.world.double.stripe
        session = stripe.get("checkout.session", said["url"].rpartition("/")[2])
        person.world.customers[person.name] = session["customer"]
        stripe.pay(session["id"])

    return act


def changes_to(plan: str) -> Act:
    def act(person: Person) -> None:
        assert person.asks("POST", "billing/checkout/", {"plan": plan}) == {"url": None}

    return act


def is_refused(plan: str, *, because: str) -> Act:
    def act(person: Person) -> None:
        error = person.asks("POST", "billing/checkout/", {"plan": plan})["error"]
        assert (error["code"], error["field"]) == ("plan_too_small", "plan") and because in error["message"], error

    return act


def installs(number: int) -> Act:
    def act(person: Person) -> None:
        for _ in range(number):
            assert "id" in person.asks("POST", "instances/", {"app": person.world.app})

    return act


def removes(number: int) -> Act:
    def act(person: Person) -> None:
        for instance in person.asks("GET", "instances/")["results"][:number]:
            person.asks("DELETE", f"instances/{instance['id']}/?data=delete")

    return act


def ends_the_subscription(person: Person) -> None:
    """At the Portal."""
    person.world.double.stripe.update_subscription(person.account.subscription, {"cancel_at_period_end": True})


def loses_the_card(person: Person) -> None:
    person.world.passing.cards_refused.add(person.customer)


def gives_a_new_card(person: Person) -> None:
    """At the Portal."""
    person.world.passing.new_card(person.customer)


def closes_the_account(person: Person) -> None:
    person.asks("DELETE", "cloud/")


def keeps_the_account(person: Person) -> None:
    person.asks("POST", "cloud/reopen/")


def is_charged_no_more(person: Person) -> None:
    assert person.world.double.stripe.get("subscription", person.account.subscription)["cancel_at_period_end"]


def is_renewed(person: Person) -> None:
    assert not person.world.double.stripe.get("subscription", person.account.subscription)["cancel_at_period_end"]


def is_unknown_at_stripe(person: Person) -> None:
    assert person.world.double.stripe.objects[person.customer]["deleted"]


def stripe_is_cut_off(person: Person) -> None:
    person.world.is_cut_off = True


def stripe_is_back(person: Person) -> None:
    person.world.is_cut_off = False


def apps_are(state: str) -> Act:
    def act(person: Person) -> None:
        assert {row["state"] for row in person.asks("GET", "instances/")["results"]} == {state}

    return act


def reads(*sentences: str) -> Act:
    """In the console."""

    def act(person: Person) -> None:
        browser = Client()
        browser.force_login(person.user)
        page = browser.get("/").content.decode()
        assert [sentence for sentence in sentences if sentence not in page] == []

    return act


def has(plan: str, state: str = "active") -> Act:
    def act(person: Person) -> None:
        assert (person.cloud.plan_id, person.cloud.state) == (plan, state)

    return act


# --- ten lives ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Life:
    tale: str
    days: dict[str, tuple[Act, ...]]
    bills: list[Dated]
    mails: list[Dated]
    ends: tuple[str, str] = ("household", "active")  # plan and state of the cloud


class Lived(NamedTuple):
    bills: list[Dated]
    mails: list[Dated]
    ends: tuple[str, str]


def monthly(amount: str, *days: str) -> list[Dated]:
    return [(day, f"{amount} paid") for day in days]


def on_the(number: int, first: int, last: int) -> tuple[str, ...]:
    """The same day of the months from first to last."""
    return tuple(f"{datetime(YEAR, month, number, tzinfo=UTC):%-d %b}" for month in range(first, last + 1))


LIVES = {
    "Ada": Life(
        "tries Small for two weeks, reads what it will cost, and stays.",
        {"4 Jan": (arrives, subscribes_to("small")), "5 Jan": (has("small"),)},
        monthly("5.00", *on_the(18, 1, 12)),
        [("15 Jan", "Your trial of Small ends soon")],
        ends=("small", "active"),
    ),
    "Ben": Life(
        "tries it too, and ends it in time: nothing is charged, and he is on the free plan again.",
        {
            "1 Feb": (arrives, subscribes_to("small")),
            "10 Feb": (ends_the_subscription, has("small")),
            "17 Feb": (has("household"),),
        },
        [],
        [],
    ),
    "Cleo": Life(
        "grows into Large, is told what must go before Small fits again, removes it, and lives on what she is owed.",
        {
            "1 Jan": (arrives, subscribes_to("small")),
            "20 Mar": (changes_to("large"), installs(3)),
            "20 Jun": (is_refused("small", because="1 app"), has("large")),
            "21 Jun": (removes(1),),
            "22 Jun": (changes_to("small"), has("small")),
        },
        [
            *monthly("5.00", *on_the(15, 1, 3)),
            ("15 Apr", "33.00 paid"),  # 20.00, and 26 days of April's at 15.00 more for 30
            *monthly("20.00", *on_the(15, 5, 6)),
            # 23 days at 15.00 less are 11.50: July and August cost nothing, September what is left
            ("15 Sep", "3.50 paid"),
            *monthly("5.00", *on_the(15, 10, 12)),
        ],
        [("12 Jan", "Your trial of Small ends soon")],
        ends=("small", "active"),
    ),
    "Dan": Life(
        "has a card that is refused for five days in April, and notices nothing of it but two mails.",
        {
            "2 Jan": (arrives, subscribes_to("large")),
            "1 Apr": (loses_the_card,),
            "3 Apr": (has("large"),),
            "7 Apr": (gives_a_new_card, has("large")),
        },
        monthly("20.00", *on_the(2, 1, 12)),
        [("2 Apr", "Your payment for the plan Large did not get through"), ("7 Apr", "Your plan is in order again")],
        ends=("large", "active"),
    ),
    "Eva": Life(
        "does not read her mails until her apps are asleep; then she pays, and they run again.",
        {
            "2 Jan": (arrives, subscribes_to("large"), installs(1)),
            "1 May": (loses_the_card,),
            "16 May": (has("large"), apps_are("running")),
            "17 May": (
                has("large", "asleep"),
                apps_are("stopped"),
                reads("Your cloud is asleep.", "30 May 2027, 12:00 UTC, your cloud is suspended"),
            ),
            "20 May": (gives_a_new_card,),
            "21 May": (has("large"), apps_are("running")),
        },
        monthly("20.00", *on_the(2, 1, 12)),
        [
            ("2 May", "Your payment for the plan Large did not get through"),
            ("13 May", "Your apps are put to sleep soon"),
            ("16 May", "Your apps are asleep until your plan is paid"),
            ("20 May", "Your plan is in order again"),
        ],
        ends=("large", "active"),
    ),
    "Finn": Life(
        "is away for two months, finds his cloud suspended, and pays for both.",
        {
            "6 Jan": (arrives, subscribes_to("small"), installs(1)),
            "1 Mar": (loses_the_card,),
            "18 Apr": (has("small", "suspended"), apps_are("stopped")),
            "10 May": (gives_a_new_card,),
            "11 May": (has("small"), apps_are("running")),
        },
        monthly("5.00", *on_the(20, 1, 12)),
        [
            ("17 Jan", "Your trial of Small ends soon"),
            ("20 Mar", "Your payment for the plan Small did not get through"),
            ("31 Mar", "Your apps are put to sleep soon"),
            ("3 Apr", "Your apps are asleep until your plan is paid"),
            ("14 Apr", "Your cloud is suspended soon"),
            ("17 Apr", "Your cloud is suspended until your plan is paid"),
            ("10 May", "Your plan is in order again"),
        ],
        ends=("small", "active"),
    ),
    "Gus": Life(
        "never pays again and never says a word: three months later, after nine mails, nothing of him is left.",
        {
            "10 Jan": (arrives, subscribes_to("large"), installs(1)),
            "1 Feb": (loses_the_card,),
            "25 Feb": (has("large", "asleep"),),
            "11 Mar": (has("large", "suspended"),),
            "10 Apr": (has("large", "closing"), is_charged_no_more),
            "8 May": (has("large", "closing"),),
            "11 May": (is_unknown_at_stripe,),
        },
        [("10 Jan", "20.00 paid"), ("10 Feb", "20.00 open"), ("10 Mar", "20.00 open")],
        [
            ("10 Feb", "Your payment for the plan Large did not get through"),
            ("21 Feb", "Your apps are put to sleep soon"),
            ("24 Feb", "Your apps are asleep until your plan is paid"),
            ("7 Mar", "Your cloud is suspended soon"),
            ("10 Mar", "Your cloud is suspended until your plan is paid"),
            ("6 Apr", "Your account begins to close soon"),
            ("9 Apr", "Your account is closing: everything is erased on 9 May 2027, 12:00 UTC"),
            ("6 May", "The last notice: everything is erased on 9 May 2027, 12:00 UTC"),
            ("9 May", "Receipt: your account at freehold.localhost is erased"),
        ],
        ends=("large", "closed"),
    ),
    "Hana": Life(
        "closes her account in May; thirty days later nothing of it is left, at Stripe neither.",
        {
            "3 Jan": (arrives, subscribes_to("large"), installs(1)),
            "10 May": (closes_the_account,),
            "11 May": (has("large", "closing"), is_charged_no_more),
            "11 Jun": (is_unknown_at_stripe,),
        },
        monthly("20.00", *on_the(3, 1, 5)),
        [
            ("10 May", "Your account at freehold.localhost is being closed"),
            ("9 Jun", "Receipt: your account at freehold.localhost is erased"),
        ],
        ends=("large", "closed"),
    ),
    "Ivo": Life(
        "closes his account too, thinks better of it after a week, and is renewed as if nothing had been.",
        {
            "5 Jan": (arrives, subscribes_to("yearly")),
            "1 Sep": (closes_the_account,),
            "2 Sep": (has("yearly", "closing"), is_charged_no_more),
            "8 Sep": (keeps_the_account,),
            "9 Sep": (has("yearly"), is_renewed),
        },
        [("5 Jan", "50.00 paid")],
        [("1 Sep", "Your account at freehold.localhost is being closed")],
        ends=("yearly", "active"),
    ),
    "Jun": Life(
        "subscribes and changes while nothing that Stripe sends arrives for twelve days: its list of events is read.",
        {
            "1 Jul": (arrives, stripe_is_cut_off),
            "3 Jul": (subscribes_to("small"),),
            "4 Jul": (has("small"), changes_to("large")),
            "5 Jul": (has("large"), ends_the_subscription),
            "13 Jul": (stripe_is_back,),
            "17 Jul": (has("large"),),
            "18 Jul": (has("household"),),
        },
        [],
        [],
    ),
}


@pytest.fixture
def world(races: None, double: Double, cluster: MemoryCluster) -> World:
    made = World(double, datetime(YEAR, 1, 1, 12, tzinfo=UTC))
    offer("small", price_minor=500, trial_days=14)
    offer("large", name="Large", price_minor=2000, instances=50, memory_mib=30_000, storage_mib=30_000)
    offer("yearly", name="A whole year", price_minor=5000, interval="year")
    made.app = released(cluster, listed=True).app.slug
    return made


def test_a_year_in_the_life_of_ten_people(world: World) -> None:
    with world.going():
        for now in world.until(datetime(YEAR + 1, 1, 1, tzinfo=UTC)):
            today = f"{now:%-d %b}"
            for name, life in LIVES.items():
                for act in life.days.get(today, ()):
                    person = world.arrives(name) if act is arrives else world.people[name]
                    act(person)
                    world.worker.work()
    for name, life in LIVES.items():
        person = world.people[name]
        found = Lived(person.bills(), world.mails[name], (person.cloud.plan_id, person.cloud.state))
        assert found == Lived(life.bills, life.mails, life.ends), f"{name}, who {life.tale}"
