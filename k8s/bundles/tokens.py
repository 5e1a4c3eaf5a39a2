"""Who asks the bundle server: tokens that are computed and checked with one key, and stored nowhere."""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    INSTANCE = "instance"  # may get what the instance wants now
    BUILD = "build"  # may get its source and hand in one result
    DRIVER = "driver"  # may read results


@dataclass(frozen=True)
class Bearer:
    """owner_id: of the instance or job; empty for the driver, which asks for any cloud."""

    kind: Kind
    cloud_id: str = ""
    owner_id: str = ""


def issue(key: bytes, bearer: Bearer) -> str:
    """The same token whenever it is asked for: a pod that starts again years later shows what it showed first."""
    claim = f"{bearer.kind}.{bearer.cloud_id}.{bearer.owner_id}"
    return f"{claim}.{_signature(key, claim)}"


def check(key: bytes, token: str) -> Bearer | None:
    claim, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(key, claim).encode(), signature.encode()):
        return None
    kind, cloud_id, owner_id = claim.split(".")
    return Bearer(Kind(kind), cloud_id, owner_id)


def _signature(key: bytes, claim: str) -> str:
    return hmac.new(key, b"bundle:" + claim.encode(), hashlib.sha256).hexdigest()
