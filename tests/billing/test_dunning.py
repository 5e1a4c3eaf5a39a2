"""A plan that is not paid for, under a clock that goes by days: what happens when, what its owner is told, and that paying
undoes it at every point."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from provider.billing import dunning, notices, settling, tasks
from provider.billing.port import Unreachable
from tenants.errors import Conflict
from tenants.models import Arrears, ArrearsMail, CloudHold, Event, Instance, Operation, User
from tenants.services.closing import close_account, reopen_account
from tenants.services.instances import install_app
from tenants.services.plans import edit_plan
from tenants.services.support import restore_cloud, suspend_cloud
from tenants.states import ArrearsState, CloudState, InstanceState
from tests.api.client import Program, error
from tests.billing.conftest import Payer
from tests.worlds import MemoryCluster, active_person, released, settle

pytestmark = pytest.mark.django_db

DUE = datetime(2027, 3, 1, 12, tzinfo=UTC)
# (days after the payment failed, state of the cloud, what the mail is called)
COURSE = (
    (0, "active", "Your payment for the plan Large did not get through"),
    (11, "active", "Your apps are put to sleep soon"),
    (14, "asleep", "Your apps are asleep until your plan is paid"),
    (25, "asleep", "Your cloud is suspended soon"),
    (28, "suspended", "Your cloud is suspended until your plan is paid"),
    (55, "suspended", "Your account begins to close soon"),
    (58, "closing", "Your account is closing: everything is erased on 28 May 2027, 12:00 UTC"),
    (85, "closing", "The last notice: everything is erased on 28 May 2027, 12:00 UTC"),
)
IN_ORDER = "Your plan is in order again"


@dataclass
class Late:
    """Somebody with a running app whose card failed on DUE; `now` is what the clock says."""

    payer: Payer
    subscription: str
    instance: str
    now: datetime = DUE

    def day(self, number: float) -> None:
        """Go there, with what is done every minute wherever something may be due on the way."""
        until = DUE + timedelta(days=number)
        while self.now < until:
            next_at = self.arrears.next_at or until
            stops = (next_at - dunning.REMINDED_BEFORE, next_at, until)
            self.now = min((stop for stop in stops if self.now < stop <= until), default=until)
            self.work()

    def work(self) -> None:
        tasks.settle()
        tasks.dun()
        settle()

    @property
    def mails(self) -> list[str]:
        return [str(message.subject) for message in mail.outbox if message.to == [self.payer.user.email]]

    @property
    def arrears(self) -> Arrears:
        return Arrears.objects.latest("began_at")

    def state(self) -> str:
        return str(Instance.objects.get(pk=self.instance).state)


@pytest.fixture
def late(payer: Payer, cluster: MemoryCluster) -> Iterator[Late]:
    made = Late(payer, "", "")
    with mock.patch.object(timezone, "now", lambda: made.now):
        made.subscription = str(payer.subscribed("large")["id"])
        install_app(payer.user, app_slug=released(cluster).app.slug)
        settle()
        made.instance = Instance.objects.get(cloud=payer.cloud, is_builder=False).pk
        assert made.state() == "running"
        mail.outbox.clear()
        payer.double.stripe.fail_payment(made.subscription)
        settling.settle(payer.account.pk)
        made.work()
        yield made


def test_the_whole_course_with_its_mails_and_the_date_that_each_names(late: Late) -> None:
    told: list[str] = []
    for day, state, subject in COURSE:
        if day:
            late.day(day - 0.1)
            assert late.mails == told
            late.day(day)
        told.append(subject)
        assert (late.mails, late.payer.cloud.state) == (told, state), day
    bodies = [str(message.body) for message in mail.outbox]
    for body, date in zip(
        bodies, ("15 March", "15 March", "29 March", "29 March", "28 April", "28 April"), strict=False
    ):
        assert f"{date} 2027, 12:00 UTC" in body
    assert all("/billing/" in body for body in bodies)
    late.day(88.1)
    assert late.payer.cloud.state == "closed"
    assert (late.arrears.state, late.arrears.ended_at is not None) == (ArrearsState.ERASED, True)
    assert "because its plan was not paid for" in str(mail.outbox[-1].body)


@pytest.mark.parametrize("day", [1, 12, 15, 26, 30, 56, 60, 86])
def test_paying_undoes_it_at_every_point_and_what_ran_runs_again(late: Late, day: int) -> None:
    late.day(day)
    late.payer.double.stripe.pay_late(late.subscription)
    with mock.patch.object(settling, "TRIED_EVERY", timedelta(0)):
        settling.settle(late.payer.account.pk)
    late.work()
    assert (late.payer.cloud.state, late.payer.cloud.state_reason, late.state()) == ("active", "", "running")
    assert late.payer.cloud.erase_at is None and not CloudHold.objects.exists()
    assert (late.mails[-1], late.arrears.state, late.arrears.next_at) == (IN_ORDER, "paid", None)
    told = len(late.mails)
    late.day(day + 90)
    assert len(late.mails) == told and late.payer.cloud.state == "active"


def test_a_second_time_is_a_course_of_its_own(late: Late) -> None:
    late.day(15)
    late.payer.double.stripe.pay_late(late.subscription)
    settling.settle(late.payer.account.pk)
    late.day(20)
    late.payer.double.stripe.fail_payment(late.subscription)
    settling.settle(late.payer.account.pk)
    late.day(21)
    assert late.mails[-1] == COURSE[0][2] and late.payer.cloud.state == "active"
    late.day(36)
    assert late.payer.cloud.state == "asleep" and Arrears.objects.count() == 2


def test_asleep_nothing_starts_and_the_reason_is_said_everywhere(late: Late, cluster: MemoryCluster) -> None:
    late.day(15)
    why = "The plan Large has not been paid for since 1 March 2027."
    assert (late.payer.cloud.state_reason, late.state()) == (why, "stopped")
    assert cluster.specs[late.instance].replicas == 0
    program, instance = Program(late.payer.user), Instance.objects.get(pk=late.instance)
    assert error(program("POST", f"instances/{late.instance}/wake/"))[:2] == (409, "cloud_unavailable")
    assert error(program("POST", "instances/", {"app": instance.app.slug}))[:2] == (409, "cloud_unavailable")
    with pytest.raises(Conflict, match="asleep"):
        install_app(late.payer.user, app_slug=instance.app.slug)
    document = program("GET", "cloud/").json()
    assert (document["state"], document["state_reason"]) == ("asleep", why)
    assert document["payment"] == {
        "state": "asleep",
        "began_at": "2027-03-01T12:00:00.000Z",
        "since": "2027-03-15T12:00:00.000Z",
        "next_state": "suspended",
        "next_at": "2027-03-29T12:00:00.000Z",
    }
    browser = Client()
    browser.force_login(late.payer.user)
    for path in ("/", "/cloud/", "/billing/"):
        page = browser.get(path).content.decode()
        assert "29 March 2027" in page and why in page, path


def test_a_clock_that_jumps_leaves_each_state_its_whole_time(late: Late) -> None:
    """Nobody was there for half a year: nothing is skipped, and nothing is due before its notice."""
    late.now = DUE + timedelta(days=180)
    late.work()
    late.work()
    assert late.payer.cloud.state == "asleep" and late.arrears.next_at == late.now + timedelta(days=14)
    late.now += timedelta(days=13)
    late.work()
    assert late.payer.cloud.state == "asleep"


def test_nobody_is_moved_on_while_stripe_cannot_be_asked_or_billing_is_off(late: Late, settings: Settings) -> None:
    with mock.patch.object(settling, "settle", side_effect=Unreachable("down")):
        late.day(40)
    assert (late.payer.cloud.state, late.arrears.state) == ("active", "past_due")
    late.work()
    assert late.payer.cloud.state == "asleep"
    settings.STRIPE_KEY = ""
    late.work()
    assert late.payer.cloud.state == "active"


def test_a_payment_that_was_not_heard_of_counts_at_the_last_moment(late: Late) -> None:
    """Asked before anybody is moved on: no event came, and nobody settles."""
    late.day(13)
    late.payer.double.stripe.pay_late(late.subscription)
    late.now = DUE + timedelta(days=14)
    tasks.dun()
    settle()
    assert (late.payer.cloud.state, late.mails[-1]) == ("active", IN_ORDER)


def test_many_at_once_do_it_once(races: None, late: Late) -> None:
    late.now = DUE + timedelta(days=14)
    cloud_id = late.payer.cloud.pk

    def once(_number: int) -> None:
        try:
            dunning.look(cloud_id)
            for mail_id in notices.due():
                notices.send(mail_id)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(once, range(12)))
    late.work()
    assert late.mails.count(COURSE[2][2]) == 1
    assert Event.objects.filter(subject=cloud_id, kind="cloud", after="asleep").count() == 1


@pytest.mark.parametrize("killed", ["hold", "move", "_tell"])
def test_killed_in_the_middle_nothing_or_all_of_it_has_happened(late: Late, killed: str) -> None:
    class Killed(BaseException):
        pass

    late.now = DUE + timedelta(days=14)
    where = dunning.holds if killed == "hold" else dunning
    with mock.patch.object(where, killed, side_effect=Killed), pytest.raises(Killed):
        dunning.look(late.payer.cloud.pk)
    assert (late.payer.cloud.state, late.arrears.state, CloudHold.objects.count()) == ("active", "past_due", 0)
    late.work()
    assert late.payer.cloud.state == "asleep" and late.mails.count(COURSE[2][2]) == 1


def test_a_mail_server_that_is_down_delays_the_mail_and_a_killed_sender_repeats_it(late: Late) -> None:
    with mock.patch.object(notices, "send_mail", side_effect=OSError):
        late.day(11)
    assert late.mails == [COURSE[0][2]]
    late.now += timedelta(minutes=6)
    late.work()
    assert late.mails == [COURSE[0][2], COURSE[1][2]]
    late.day(14)
    assert not ArrearsMail.objects.filter(mail_at__isnull=False).exists()


def test_an_operators_suspension_is_not_undone_by_paying_nor_payment_by_an_operator(
    late: Late, cluster: MemoryCluster
) -> None:
    operator = active_person(cluster, "operator")
    suspend_cloud(operator, late.payer.cloud, "Spam was sent")
    late.day(15)
    assert (late.payer.cloud.state, late.payer.cloud.state_reason) == ("suspended", "Spam was sent")
    restore_cloud(operator, late.payer.cloud, "It was a mistake")
    assert late.payer.cloud.state == "asleep"
    with pytest.raises(Conflict):
        restore_cloud(operator, late.payer.cloud, "Be kind")
    suspend_cloud(operator, late.payer.cloud, "Spam again")
    late.payer.double.stripe.pay_late(late.subscription)
    settling.settle(late.payer.account.pk)
    late.work()
    assert (late.payer.cloud.state, late.payer.cloud.state_reason) == ("suspended", "Spam again")


def test_who_leaves_while_late_is_not_hurried_and_who_is_closed_for_it_stays_only_by_paying(late: Late) -> None:
    late.day(5)
    close_account(late.payer.user)
    late.day(20)
    assert (late.arrears.state, late.payer.cloud.state) == ("past_due", "closing")
    reopen_account(late.payer.user)
    late.day(21)
    assert late.payer.cloud.state == "asleep"
    late.day(21 + 14 + 30 + 1)
    assert late.payer.cloud.state == "closing"
    with pytest.raises(Conflict, match="not paid"):
        reopen_account(late.payer.user)


def test_an_operators_own_cloud_is_suspended_and_never_closed(late: Late) -> None:
    User.objects.filter(pk=late.payer.user.pk).update(is_staff=True)
    late.day(120)
    assert late.payer.cloud.state == "suspended"


def test_a_subscription_that_ends_unpaid_is_late_only_while_the_cloud_fits_no_free_plan(
    late: Late, cluster: MemoryCluster
) -> None:
    edit_plan(None, "household", {"instances": 0})
    late.payer.double.stripe.end(late.subscription)
    settling.settle(late.payer.account.pk)
    late.day(15)
    assert (late.payer.account.status, late.payer.cloud.plan_id, late.payer.cloud.state) == (
        "canceled",
        "large",
        "asleep",
    )
    edit_plan(None, "household", {"instances": 10})
    late.day(16)
    late.day(17)
    assert (late.payer.cloud.plan_id, late.payer.cloud.state, late.state()) == ("household", "active", "running")


def test_closed_for_not_paying_one_can_subscribe_again_and_everything_comes_back(late: Late) -> None:
    edit_plan(None, "household", {"instances": 0})
    late.payer.double.stripe.end(late.subscription)
    settling.settle(late.payer.account.pk)
    late.day(60)
    assert late.payer.cloud.state == "closing"
    late.payer.double.stripe.pay(late.payer.session("large"))
    settling.settle(late.payer.account.pk)
    late.work()
    late.day(61)
    late.day(62)
    assert (late.payer.cloud.state, late.state(), late.payer.account.cancel_at_period_end) == (
        "active",
        "running",
        False,
    )


def test_no_operation_is_left_open_when_a_cloud_falls_asleep(late: Late) -> None:
    late.day(15)
    assert not Operation.objects.filter(cloud=late.payer.cloud, state__in=("queued", "running")).exists()
    assert late.state() == InstanceState.STOPPED and late.payer.cloud.state == CloudState.ASLEEP
