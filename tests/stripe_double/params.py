"""Form bodies as Stripe reads them, and which parameters each call takes: any other is refused with its name."""

import re
from typing import Any
from urllib.parse import parse_qsl

Spec = Any  # a kind ("str", "int", "bool", "map"), a dict of specs, or a list of one spec; names with ! must be there

_PAGE = {"limit": "int", "starting_after": "str", "ending_before": "str"}
CALLS: dict[str, Spec] = {
    "POST customers": {"email": "str", "name": "str", "metadata": "map"},
    "DELETE customers/*": {},
    "POST products": {"name!": "str", "tax_code": "str", "metadata": "map"},
    "POST prices": {
        "product!": "str",
        "unit_amount": "int",
        "currency!": "str",
        "tax_behavior": "str",
        "recurring": {"interval!": "str", "interval_count": "int"},
        "metadata": "map",
    },
    "POST checkout/sessions": {
        "mode": "str",
        "customer": "str",
        "client_reference_id": "str",
        "line_items": [{"price": "str", "quantity": "int"}],
        "subscription_data": {"metadata": "map", "trial_period_days": "int"},
        "automatic_tax": {"enabled!": "bool"},
        "tax_id_collection": {"enabled!": "bool"},
        "billing_address_collection": "str",
        "customer_update": {"address": "str", "name": "str"},
        "success_url": "str",
        "cancel_url": "str",
    },
    "GET checkout/sessions": {"customer": "str", "status": "str", **_PAGE},
    "POST checkout/sessions/*/expire": {},
    "POST billing_portal/sessions": {"customer": "str", "return_url": "str"},
    "GET subscriptions": {"customer": "str", "status": "str", "price": "str", **_PAGE},
    "GET subscriptions/*": {},
    "POST subscriptions/*": {
        "items": [{"id": "str", "price": "str", "quantity": "int"}],
        "proration_behavior": "str",
        "cancel_at_period_end": "bool",
        "metadata": "map",
    },
    "DELETE subscriptions/*": {"prorate": "bool", "invoice_now": "bool"},
    "GET invoices": {"customer": "str", "status": "str", "subscription": "str", **_PAGE},
    "GET events": {
        "created": {"gt": "int", "gte": "int", "lt": "int", "lte": "int"},
        "type": "str",
        "types": ["str"],
        **_PAGE,
    },
}
_PARTS = re.compile(r"[^\[\]]+")


class Refusal(Exception):
    """An error as Stripe answers it."""

    def __init__(self, status: int, message: str, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": "invalid_request_error", "message": message, **more}}


def read(call: str, form: str) -> dict[str, Any]:
    """The parameters of a call, checked; numbers and truth values as such."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(form, keep_blank_values=True):
        at = tree
        parts = _PARTS.findall(key)
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        at[parts[-1]] = value
    found: dict[str, Any] = _checked(CALLS[call], tree, "")
    return found


def _checked(spec: Spec, value: Any, name: str) -> Any:
    match spec:
        case dict():
            return _object(spec, value, name)
        case [inner]:
            if not isinstance(value, dict) or set(value) != {str(n) for n in range(len(value))}:
                raise Refusal(400, f"Invalid array: {name}", param=name)
            return [_checked(inner, value[str(n)], f"{name}[{n}]") for n in range(len(value))]
        case "map":
            if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
                raise Refusal(400, f"Invalid object: {name}", param=name)
            return value
    if not isinstance(value, str):
        raise Refusal(400, f"Invalid string: {name}", param=name)
    return _plain(spec, value, name)


def _plain(kind: str, value: str, name: str) -> Any:
    if kind == "int":
        if not re.fullmatch(r"-?\d+", value):
            raise Refusal(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        return int(value)
    if kind == "bool":
        if value not in ("true", "false"):
            raise Refusal(400, f"Invalid boolean: {value}", param=name)
        return value == "true"
    return value


def _object(spec: dict[str, Spec], value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal(400, f"Invalid object: {name}", param=name)
    known = {key.rstrip("!"): inner for key, inner in spec.items()}
    for key in value:
        path = f"{name}[{key}]" if name else key
        if key not in known:
            raise Refusal(400, f"Received unknown parameter: {path}", code="parameter_unknown", param=path)
    for key in spec:
        if key.endswith("!") and key[:-1] not in value:
            raise Refusal(400, f"Missing required param: {key[:-1]}.", code="parameter_missing", param=key[:-1])
    return {key: _checked(known[key], inner, f"{name}[{key}]" if name else key) for key, inner in value.items()}
