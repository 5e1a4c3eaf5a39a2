"""Prices and what plans allow, in words. No queries."""

from django import template

from tenants.amounts import in_words
from tenants.currencies import digits
from tenants.models import Plan

register = template.Library()
register.filter("bytes", in_words)


@register.filter
def price(plan: Plan) -> str:
    """“free”, “5.00 EUR a month”."""
    return f"{money(plan.price_minor, plan.currency)} a {plan.interval}" if plan.price_minor else "free"


@register.filter
def money(minor: int, currency: str) -> str:
    """An amount in the currency's smallest unit, exactly: “5.00 EUR”, “500 JPY”, “-0.05 EUR”."""
    places = digits(currency)
    whole, rest = divmod(abs(minor), 10**places)
    amount = f"{whole}.{rest:0{places}d}" if places else str(whole)
    return f"{'-' if minor < 0 else ''}{amount} {currency.upper()}"


@register.filter
def idle(seconds: int | None) -> str:
    """When apps sleep: “never by themselves”, “after 30 min”."""
    if not seconds:
        return "never by themselves"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"after {seconds // size} {unit}"
    return f"after {seconds} s"


@register.filter
def traffic(size_bytes: int | None) -> str:
    """“no limit”, “100 GB a month”."""
    if size_bytes is None:
        return "no limit"
    return f"{in_words(size_bytes)} a month"
