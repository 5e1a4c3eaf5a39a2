"""By what the gate's inner listener knows the worker that delivers scheduled actions. Imports no Django."""

import hashlib
import hmac


def action_token(gate_secret: str) -> str:
    """From FREEHOLD_GATE_SECRET, which it does not give away."""
    return hmac.new(gate_secret.encode(), b"freehold actions", hashlib.sha256).hexdigest()
