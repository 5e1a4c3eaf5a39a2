"""Why a namespace that was asked to go is still there. Only told: whoever put a finalizer somewhere has a reason for it."""

from k8s.kube.api import Api, path
from k8s.naming import Manifest

# What the driver may list; the namespace's conditions count the rest.
_KINDS = ("Pod", "PersistentVolumeClaim", "Secret", "Service", "Deployment", "Job")
_NAMED = 5
# In the order in which they explain: what cannot even be looked at hides what remains.
_CONDITIONS = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
)


def cause(api: Api, namespace: Manifest) -> str:
    """Sentences without the last full stop; "" while there is nothing to say. namespace: the whole object."""
    held = [*_own(namespace), *_left(api, str(namespace["metadata"]["name"]))]
    return "; ".join([*held, *_conditions(namespace)])


def _own(namespace: Manifest) -> list[str]:
    finalizers = namespace["metadata"].get("finalizers") or []
    finalizers += [one for one in namespace.get("spec", {}).get("finalizers") or [] if one != "kubernetes"]
    return [f"the namespace itself waits for {', '.join(finalizers)}"] if finalizers else []


def _left(api: Api, namespace: str) -> list[str]:
    held = [
        f"{kind} “{one['metadata']['name']}” waits for {', '.join(one['metadata']['finalizers'])}"
        for kind in _KINDS
        for one in api.items(path(kind, namespace), "", metadata_only=True)
        if one["metadata"].get("finalizers") and one["metadata"].get("deletionTimestamp")
    ]
    more = [f"and {len(held) - _NAMED} more"] if len(held) > _NAMED else []
    return held[:_NAMED] + more


def _conditions(namespace: Manifest) -> list[str]:
    true = {one["type"]: one for one in namespace.get("status", {}).get("conditions") or [] if one["status"] == "True"}
    return [f"{name}: {str(true[name].get('message', '')).rstrip('.')}" for name in _CONDITIONS if name in true]
