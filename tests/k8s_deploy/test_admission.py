"""The shipped admission policy, evaluated by a real CEL runtime: what the driver writes passes, whatever else is refused."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from cel_expr_python import cel

from k8s.manifests.build import build
from k8s.manifests.cloud import cloud
from k8s.manifests.instance import instance
from tests.k8s_deploy.rendered import Object, of_kind, settings
from tests.k8s_kube.specs import BUILD, CELL, CLOUD, INSTANCE, WITH_VOLUME

POLICY = of_kind("ValidatingAdmissionPolicy")["freehold-provider"]["spec"]
BINDING = of_kind("ValidatingAdmissionPolicyBinding")["freehold-provider"]["spec"]
OURS = replace(CELL, installation=settings()["FREEHOLD_INSTALLATION"])
GROUPS = {"Deployment": "apps", "Job": "batch", "NetworkPolicy": "networking.k8s.io"}
PLURALS = {"NetworkPolicy": "networkpolicies"}
NAMES = ("object", "oldObject", "namespaceObject", "request", "params", "variables")
ENVIRONMENT = cel.NewEnv(variables=dict.fromkeys(NAMES, cel.Type.DYN))


def evaluated(expression: str, known: dict[str, Any]) -> Any:
    return ENVIRONMENT.compile(expression).eval(data=known).plain_value()


def refusals(
    new: Object | None, old: Object | None = None, *, inside: Object | None = None, subresource: str = ""
) -> list[str]:
    """Messages of the rules that refuse. inside: the namespace that the object is in."""
    one = new or old or {}
    kind = one["kind"]
    resource = {"group": GROUPS.get(kind, ""), "resource": PLURALS.get(kind, f"{kind.lower()}s")}
    groups = ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:freehold"]
    known: dict[str, Any] = {
        "object": new,
        "oldObject": old,
        "namespaceObject": inside,
        "request": {"resource": resource, "subResource": subresource, "userInfo": {"groups": groups}},
        "params": of_kind("ConfigMap")["settings"],
    }
    assert all(evaluated(condition["expression"], known) for condition in POLICY["matchConditions"])
    known["variables"] = {v["name"]: evaluated(v["expression"], known) for v in POLICY["variables"]}
    return [rule["message"] for rule in POLICY["validations"] if evaluated(rule["expression"], known) is not True]


OF_CLOUD = cloud(CLOUD, OURS)
NAMESPACE = OF_CLOUD[0]
WRITTEN = [
    *OF_CLOUD[1:],
    *instance(replace(INSTANCE, volume=WITH_VOLUME), OURS, "token"),
    *build(BUILD, OURS, "token"),
]
BY_KIND = {one["kind"]: one for one in WRITTEN}


def changed(manifest: Object, *way: str, to: Any) -> Object:
    """A copy with the value at `way` replaced, or taken out where `to` is None."""
    made = copy.deepcopy(manifest)
    inner = made
    for key in way[:-1]:
        inner = inner.setdefault(key, {})
    inner[way[-1]] = to
    if to is None:
        del inner[way[-1]]
    return made


def test_everything_that_the_driver_writes_is_admitted() -> None:
    assert refusals(NAMESPACE) == refusals(NAMESPACE, NAMESPACE) == refusals(None, NAMESPACE) == []
    for one in WRITTEN:
        assert refusals(one, inside=NAMESPACE) == refusals(one, one, inside=NAMESPACE) == [], one["kind"]
        assert refusals(None, one, inside=NAMESPACE) == [], one["kind"]


def test_the_account_that_kubernetes_made_may_be_taken_over() -> None:
    (default,) = [one for one in WRITTEN if (one["kind"], one["metadata"]["name"]) == ("ServiceAccount", "default")]
    assert refusals(default, changed(default, "metadata", "labels", to=None), inside=NAMESPACE) == []


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        {"freehold/role": "cloud"},
        {"freehold/installation": "another", "freehold/role": "cloud"},
        {"freehold/installation": OURS.installation, "freehold/role": "provider"},
        {"freehold/installation": OURS.installation},
    ],
)
def test_nothing_is_written_or_deleted_in_any_other_namespace(labels: dict[str, str] | None) -> None:
    elsewhere = changed(NAMESPACE, "metadata", "labels", to=labels)
    for one in WRITTEN:
        assert any("namespaces of this" in why for why in refusals(one, inside=elsewhere)), one["kind"]
        assert any("namespaces of this" in why for why in refusals(None, one, inside=elsewhere)), one["kind"]
    assert refusals(NAMESPACE, elsewhere) != []
    assert refusals(None, elsewhere) != []


def test_nothing_of_the_clusters_own_is_written() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": NAMESPACE["metadata"]}
    assert len(refusals(role)) == 2  # no namespace, no kind of the driver's


@pytest.mark.parametrize("label", ["freehold/installation", "freehold/cloud"])
def test_what_is_written_carries_its_labels(label: str) -> None:
    for one in WRITTEN:
        assert refusals(changed(one, "metadata", "labels", label, to=None), one, inside=NAMESPACE) != []


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("pod-security.kubernetes.io/enforce", "privileged"),
        ("pod-security.kubernetes.io/enforce", None),
        ("freehold/role", "provider"),
        ("freehold/installation", "another"),
    ],
)
def test_a_clouds_namespace_stays_what_it_is(label: str, value: str | None) -> None:
    assert refusals(changed(NAMESPACE, "metadata", "labels", label, to=value), NAMESPACE) != []


@pytest.mark.parametrize(
    ("kind", "way", "value"),
    [
        ("Service", ("spec", "type"), "NodePort"),
        ("Service", ("spec", "type"), "LoadBalancer"),
        ("Service", ("spec", "type"), "ExternalName"),
        ("Service", ("spec", "externalIPs"), ["203.0.113.1"]),
        ("Secret", ("type",), "kubernetes.io/service-account-token"),
        ("Deployment", ("spec", "template", "spec", "serviceAccountName"), "default"),
        ("Deployment", ("spec", "template", "spec", "serviceAccountName"), None),
        ("Job", ("spec", "template", "spec", "serviceAccountName"), "worker"),
    ],
)
def test_objects_are_no_more_than_the_driver_makes_of_them(kind: str, way: tuple[str, ...], value: Any) -> None:
    assert len(refusals(changed(BY_KIND[kind], *way, to=value), inside=NAMESPACE)) == 1


def test_pods_are_not_entered_and_no_tokens_are_made() -> None:
    pod = changed(BY_KIND["Secret"], "kind", to="Pod")
    assert refusals(pod, inside=NAMESPACE, subresource="exec") != []
    assert refusals(BY_KIND["ServiceAccount"], inside=NAMESPACE, subresource="token") != []


def test_everybody_else_is_left_alone() -> None:
    condition = POLICY["matchConditions"][0]["expression"]
    for groups in (["system:serviceaccounts:kube-system"], ["system:masters"], []):
        known = {"request": {"userInfo": {"groups": groups}}, "params": of_kind("ConfigMap")["settings"]}
        assert evaluated(condition, known) is False


def test_the_policy_fails_closed_and_speaks_of_the_very_kinds_that_the_driver_may_write() -> None:
    assert (POLICY["failurePolicy"], BINDING["validationActions"]) == ("Fail", ["Deny"])
    assert BINDING["paramRef"]["name"] in of_kind("ConfigMap")
    (kinds,) = [rule["expression"] for rule in POLICY["validations"] if "no objects of this kind" in rule["message"]]
    may = {"create", "patch", "delete", "deletecollection"}
    rules = [rule for role in of_kind("ClusterRole").values() for rule in role["rules"]]
    written = {resource for rule in rules if may & set(rule["verbs"]) for resource in rule["resources"]}
    for resource in {resource for rule in rules for resource in rule["resources"]}:
        assert (f"'{resource}'" in kinds) == (resource in written), resource
