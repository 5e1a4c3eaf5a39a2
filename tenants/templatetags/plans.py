"""Prices and what plans allow, in words. No queries."""

from django import template

from tenants.amounts import in_words
from tenants.models import Plan

register = template.Library()
register.filter("bytes", in_words)

# Currencies whose smallest unit is not a hundredth (ISO 4217, as Stripe lists them).
_WHOLE = set("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split())
_THOUSANDTHS = set("bhd jod kwd omr tnd".split())


@register.filter
def price(plan: Plan) -> str:
    """“free”, “5.00 EUR a month”."""
    return f"{money(plan.price_minor, plan.currency)} a {plan.interval}" if plan.price_minor else "free"


@register.filter
def money(minor: int, currency: str) -> str:
    """An amount in the currency's smallest unit, exactly: “5.00 EUR”, “500 JPY”, “-0.05 EUR”."""
    digits = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    whole, rest = divmod(abs(minor), 10**digits)
    amount = f"{whole}.{rest:0{digits}d}" if digits else str(whole)
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
