"""Use-cases of people who pay. The payment provider is asked outside of transactions, and every step may be repeated."""

import logging

from django.conf import settings
from django.db import transaction

from provider.billing import hearing
from provider.billing.port import CheckoutWish, Declined, Invoice, Unreachable, gateway, is_on
from provider.billing.settling import settle
from tenants import access
from tenants.errors import Conflict, Refused, Unavailable
from tenants.models import BillingAccount, Cloud, Plan, PlanPrice, User
from tenants.reconcile.advisory import held
from tenants.services.plan_changes import CHANGEABLE, chosen_plan, require_fit
from tenants.states import ArrearsState

log = logging.getLogger(__name__)


def start_checkout(user: User, slug: str) -> str | None:
    """Where to pay for the plan. None: the subscription that is there was changed to it, with proration.

    Raises Refused naming the field, Conflict, Unavailable.
    """
    _require_on()
    cloud, plan = access.cloud_of(user), chosen_plan(slug)
    if not plan.price_minor:
        raise Refused("plan_is_free", "This plan is free: change to it without paying.", field="plan")
    is_late = cloud.arrears.filter(state=ArrearsState.CLOSING).exists()  # paying is what keeps it
    if cloud.state not in CHANGEABLE and not is_late:  # nobody pays for a plan that cannot be given
        raise Conflict("cloud_unavailable", f"Your cloud is {cloud.get_state_display().lower()}.")
    require_fit(cloud, plan)
    account = _account(cloud)
    with _asked(), held(f"checkout:{account.pk}") as mine:
        if not mine:
            raise Conflict("checkout_busy", "You are on the way to pay already.")
        customer = _customer(account, user)
        settle(account.pk)
        account.refresh_from_db()
        price = _price(plan)
        if account.is_live:
            _change(account, plan, price)
            return None
        first = not gateway().subscriptions(customer)  # a trial is given once
        back = f"{settings.CONSOLE_URL}/billing/"
        return gateway().open_checkout(
            CheckoutWish(
                customer=customer,
                cloud_id=cloud.pk,
                price=price,
                trial_days=plan.trial_days if first else 0,
                success_url=f"{back}?paid=1",
                cancel_url=back,
            )
        )


def open_portal(user: User) -> str:
    """Where cards are changed, invoices read and the subscription is ended. Raises Conflict for who never paid."""
    _require_on()
    account = _paying(user)
    with _asked():
        return gateway().open_portal(account.customer, f"{settings.CONSOLE_URL}/billing/")


def invoices_of(user: User) -> list[Invoice]:
    """Newest first; none for who never went to pay."""
    _require_on()
    account = BillingAccount.customers().filter(cloud__owner=user).first()
    if account is None:
        return []
    with _asked():
        return gateway().invoices(account.customer)


def _change(account: BillingAccount, plan: Plan, price: str) -> None:
    current = next((one for one in gateway().subscriptions(account.customer) if one.id == account.subscription), None)
    if current is None:
        raise Conflict("subscription_gone", "Your subscription has just changed; look again.")
    if current.price == price and not current.cancel_at_period_end:
        raise Refused("same_plan", f"Your subscription is for {plan.name} already.", field="plan")
    gateway().change_price(current, price)
    with transaction.atomic():
        hearing.notice(account.pk)
    settle(account.pk)


def _account(cloud: Cloud) -> BillingAccount:
    """Raises Conflict for who has paid in the other mode: nothing of that is known in this one."""
    account, _ = BillingAccount.objects.get_or_create(cloud=cloud)
    if account.is_of_the_other_mode:
        raise Conflict(
            "billing_other_mode",
            f"You have paid here in {'live' if account.livemode else 'test'} mode, and payments are in "
            f"{'live' if settings.STRIPE_LIVE else 'test'} mode now. The operator must clear that up first.",
        )
    return account


def _customer(account: BillingAccount, user: User) -> str:
    """Made where there is none. Killed before it is written down, the next time gets the same one."""
    if not account.customer:
        made = gateway().create_customer(account.cloud_id, user.email)
        rows = BillingAccount.objects.filter(pk=account.pk, customer="")
        rows.update(customer=made, livemode=settings.STRIPE_LIVE)
        account.refresh_from_db(fields=["customer", "livemode"])
    return account.customer


def _price(plan: Plan) -> str:
    """What stands for the plan's price there. Made where there is none for this amount."""
    terms = {
        "amount_minor": plan.price_minor,
        "currency": plan.currency,
        "interval": plan.interval,
        "tax_behavior": settings.STRIPE_TAX_BEHAVIOR,
        "livemode": settings.STRIPE_LIVE,
    }
    known = PlanPrice.objects.filter(plan=plan, **terms).first()
    if known is None:
        product, price = gateway().create_price(plan)
        known, _ = PlanPrice.objects.get_or_create(pk=price, defaults={"product": product, "plan": plan, **terms})
    return known.pk


def _paying(user: User) -> BillingAccount:
    account = BillingAccount.customers().filter(cloud__owner=user).first()
    if account is None:
        raise Conflict("nothing_paid", "You have never paid for anything here.")
    return account


def _require_on() -> None:
    if not is_on():
        raise Conflict("billing_off", "Billing is off here: nothing is charged, and plans are changed without paying.")


class _asked:
    """Failures of the payment provider as a person may read them; the log has its own words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Unreachable):
            log.warning("billing_unreachable why=%s", error)
            raise Unavailable("billing_unreachable", "The payment provider does not answer. Try again soon.") from error
        if isinstance(error, Declined):
            log.error("billing_declined why=%s", error)
            raise Conflict("billing_declined", "The payment provider refused; nothing was changed.") from error
