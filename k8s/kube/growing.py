"""Volumes that grow with a plan, where the cluster's storage class allows it. None ever shrinks."""

import logging

from k8s.errors import Permanent
from k8s.kube.api import Api, path
from k8s.naming import Manifest

log = logging.getLogger(__name__)
_UNITS = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


def grow(api: Api, claim: Manifest) -> None:
    """Ask for the larger size that `claim` names. Not larger: nothing. Where the class does not allow it the volume stays,
    which the log says; its data server keeps within what there is. Raises NotFound, Temporary."""
    metadata = claim["metadata"]
    there = api.get(path("PersistentVolumeClaim", metadata["namespace"], metadata["name"]))
    has, wanted = asked(there), asked(claim)
    if wanted <= has:
        return
    kept = {name: value for name, value in there["spec"].items() if name == "storageClassName"}  # it never changes
    try:
        api.apply({**claim, "spec": {**claim["spec"], **kept}}, resource_version=there["metadata"]["resourceVersion"])
    except Permanent as error:
        name = f"{metadata['namespace']}/{metadata['name']}"
        log.warning("volume_does_not_grow claim=%s bytes=%s wanted=%s why=%s", name, has, wanted, error)


def asked(claim: Manifest) -> int:
    """Bytes that a claim asks for."""
    return bytes_of(str(claim["spec"]["resources"]["requests"]["storage"]))


def bytes_of(quantity: str) -> int:
    """Of Kubernetes' quantity of bytes, such as 2Gi or 500M."""
    for suffix, unit in _UNITS.items():
        if quantity.endswith(suffix):
            return int(float(quantity.removesuffix(suffix)) * unit)
    return int(float(quantity))
