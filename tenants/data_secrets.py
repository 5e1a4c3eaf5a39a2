"""What the data server of a cloud, and its apps, share with the provider and the gate: made from one secret, so nothing of
it is stored.

Each cloud's differ: whoever breaks out of one data server holds nothing that counts at another. Imports no Django.
"""

import hmac
from dataclasses import dataclass

ADMIN_PATH = "/__admin"  # below it a data server answers the provider alone
PURPOSES = ("master", "gate", "admin")


def calls_key(root: str, cloud_id: str, instance_id: str, version: int) -> str:
    """What the micros of an instance show the gate when they call each other (`DETA_API_KEY`). root: FREEHOLD_DATA_KEY."""
    master = hmac.digest(root.encode(), f"calls|{cloud_id}".encode(), "sha256")
    return hmac.digest(master, f"{instance_id}|{version}".encode(), "sha256").hex()


@dataclass(frozen=True)
class CloudSecrets:
    """master: of the keys derived for instances. gate: signs the gate's tokens. admin: the provider's token."""

    master: bytes
    gate: bytes
    admin: str


def cloud_secrets(root: str, cloud_id: str) -> CloudSecrets:
    """root: FREEHOLD_DATA_KEY."""
    master, gate, admin = (hmac.digest(root.encode(), f"{what}|{cloud_id}".encode(), "sha256") for what in PURPOSES)
    return CloudSecrets(master, gate, admin.hex())
