"""What the provider may do in a cluster, as k8s/deploy grants it."""

from tests.k8s_deploy.rendered import Object, of_kind, pods

DRIVER = {"worker", "observer"}
FORBIDDEN = {"escalate", "bind", "impersonate", "approve", "sign", "*"}


def rules() -> list[Object]:
    return [rule for role in of_kind("ClusterRole").values() for rule in role["rules"]]


def bound() -> dict[str, set[str]]:
    """ClusterRole → names of the ServiceAccounts that have it."""
    found: dict[str, set[str]] = {}
    for binding in of_kind("ClusterRoleBinding").values():
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", "freehold")
            found.setdefault(binding["roleRef"]["name"], set()).add(subject["name"])
    return found


def test_no_right_is_given_by_a_wildcard_or_opens_the_way_to_more() -> None:
    assert of_kind("Role", "RoleBinding") == {}
    for rule in rules():
        assert not FORBIDDEN & set(rule["verbs"])
        assert "*" not in [*rule["apiGroups"], *rule["resources"]]
        assert "nonResourceURLs" not in rule
        assert rule["apiGroups"] != ["rbac.authorization.k8s.io"]


def test_nobody_may_enter_pods_proxy_to_nodes_or_make_tokens() -> None:
    resources = {resource for rule in rules() for resource in rule["resources"]}
    assert not {r for r in resources if r.endswith(("/exec", "/attach", "/portforward", "/proxy", "/token"))}
    below = {r for r in resources if "/" in r}
    assert below == {"pods/log", "nodes/metrics"}


def test_only_own_roles_are_bound_and_only_to_those_who_ask_the_cluster() -> None:
    assert bound() == {"freehold-driver": DRIVER, "freehold-logs": {"live"}, "freehold-bundles": {"bundles"}}
    assert bound().keys() == of_kind("ClusterRole").keys()


def test_only_pods_of_a_bound_account_carry_a_token() -> None:
    accounts = of_kind("ServiceAccount")
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    with_token = {name for name, pod in pods().items() if pod["spec"]["automountServiceAccountToken"]}
    assert with_token == {name for names in bound().values() for name in names}
    for name, pod in pods().items():
        assert pod["spec"]["serviceAccountName"] == (name if name in with_token else "silent")


def test_only_the_driver_reads_secrets_or_writes_anything() -> None:
    for name, role in of_kind("ClusterRole").items():
        if name != "freehold-driver":
            writing = [rule for rule in role["rules"] if not set(rule["verbs"]) <= {"get", "list"}]
            # Where a pod is that fetches its code: a note to the observer, by which nothing happens.
            notes = [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]
            assert writing == (notes if name == "freehold-bundles" else [])
            assert not {"secrets", "configmaps"} & {r for rule in role["rules"] for r in rule["resources"]}
