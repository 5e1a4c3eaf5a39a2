"""The provider's own ServiceAccounts on a real cluster, with the rights that k8s/deploy ships and no others."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from k8s.kube.api import Api
from tests.k8s_deploy.rendered import Object, objects

_KINDS = ("PriorityClass", "ServiceAccount", "ClusterRole", "ClusterRoleBinding")
_TOKEN_S = 6 * 3600


class Identities:
    """kubeconfig: of somebody who may grant rights. Names carry `suffix`, so that several can be there at a time."""

    def __init__(self, kubeconfig: str, folder: Path, suffix: str) -> None:
        self._kubeconfig, self._folder, self._suffix = kubeconfig, folder, suffix
        self._admin = Api(kubeconfig, None)
        self.namespace = f"freehold-{suffix}"
        self._made = [self._own(one) for one in objects("base") if one["kind"] in _KINDS]
        metadata = {"name": self.namespace}
        self._kubectl("apply", [{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, *self._made])

    def kubeconfig(self, account: str) -> str:
        """Path of a file with which one is that ServiceAccount."""
        token = self._admin._json(
            "POST",
            f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": _LIFETIME},
        )["status"]["token"]
        file = self._folder / f"{account}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(json.dumps(_as_bearer(self._kubeconfig, token)))
        return str(file)

    def with_rules(self, account: str, rules: list[Object]) -> str:
        """kubeconfig of an account of its own that may do what `rules` (of a ClusterRole) say; again: with other rules."""
        metadata = {"name": self._named(account)}
        group = "rbac.authorization.k8s.io"
        made: list[Object] = [
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": self.namespace},
            },
            {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{group}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": metadata["name"]},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}],
            },
        ]
        self._kubectl("apply", made)
        self._made += [one for one in made if one not in self._made]
        return self.kubeconfig(account)

    def apply(self, manifest: Object) -> None:
        self._kubectl("apply", [manifest])

    def remove(self, manifest: Object) -> None:
        self._kubectl("delete", [manifest])

    def close(self) -> None:
        """The PriorityClasses stay: others may be using them."""
        gone = [one for one in self._made if one["kind"].startswith("ClusterRole")]
        metadata = {"name": self.namespace}
        self._kubectl("delete", [*gone, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])

    def _own(self, shipped: Object) -> Object:
        if shipped["kind"] == "PriorityClass":
            return shipped
        metadata = shipped["metadata"]
        if shipped["kind"] == "ServiceAccount":
            return {**shipped, "metadata": {**metadata, "namespace": self.namespace}}
        made = {**shipped, "metadata": {**metadata, "name": self._named(metadata["name"])}}
        if shipped["kind"] == "ClusterRoleBinding":
            made["roleRef"] = {**shipped["roleRef"], "name": self._named(shipped["roleRef"]["name"])}
            made["subjects"] = [{**subject, "namespace": self.namespace} for subject in shipped["subjects"]]
        return made

    def _named(self, name: str) -> str:
        return f"{name}-{self._suffix}"

    def _kubectl(self, verb: str, manifests: list[Object]) -> None:
        more = ("--ignore-not-found", "--wait=false") if verb == "delete" else ()
        command = ("kubectl", "--kubeconfig", self._kubeconfig, verb, *more, "-f", "-")
        text = yaml.safe_dump_all(manifests)
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


_LIFETIME = {"expirationSeconds": _TOKEN_S}


def _as_bearer(kubeconfig: str, token: str) -> dict[str, Any]:
    """The same cluster, another user."""
    text = yaml.safe_load(Path(kubeconfig).read_text())
    contexts = {one["name"]: one["context"] for one in text["contexts"]}
    clusters = {one["name"]: one["cluster"] for one in text["clusters"]}
    cluster = dict(clusters[contexts[text["current-context"]]["cluster"]])
    if "certificate-authority" in cluster:  # a relative path would lead elsewhere from another folder
        authority = (Path(kubeconfig).parent / cluster.pop("certificate-authority")).read_bytes()
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
