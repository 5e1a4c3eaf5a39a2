"""Every object of the provider's own deployment, as an overlay renders it."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from k8s import naming
from k8s.kube.address import from_url
from k8s.manifests.cloud import prerequisites
from provider import programs
from tests.k8s_deploy.rendered import (
    DEPLOY,
    ROOT,
    VARIABLE,
    Object,
    containers,
    environment,
    every_container,
    objects,
    of_kind,
    pods,
    service_variables,
    settings,
)
from tests.test_documents import READERS

VERSIONS = ("1.28", "1.30", "1.32", "1.34", "1.37")
STORES = {
    "DATABASE_URL": "postgresql://freehold:secret@db.example:5432/freehold",
    "REDIS_URL": "redis://redis.example:6379/0",
    "FREEHOLD_SESSION_KEYS": "k1:" + "s" * 40,
    "FREEHOLD_DATA_KEY": "d" * 64,
    "FREEHOLD_FIELD_KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
    "FREEHOLD_STRIPE_KEY": "sk_test_x",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(version: str) -> None:
    newer = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding") if version < "1.30" else ()
    for one in objects():
        if one["kind"] not in newer:
            kubernetes_validate.validate(one, version, strict=True)


def test_what_is_namespaced_is_in_the_providers_namespace_and_its_references_too() -> None:
    cluster_wide = {
        *("Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"),
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    }
    for one in objects():
        assert one["metadata"].get("namespace") == (None if one["kind"] in cluster_wide else "freehold"), one[
            "metadata"
        ]


def test_every_container_runs_a_process_of_the_table() -> None:
    assert '["/opt/freehold/venv/bin/python", "-m", "provider.programs"]' in (DEPLOY / "Containerfile").read_text()
    running = {one["args"][0] for _, _, one in every_container()}
    assert all(len(one["args"]) == 1 and "command" not in one for _, _, one in every_container())
    assert running == set(programs.IN_A_POD)


def test_a_cluster_runs_every_process_of_one_machine_that_is_not_a_store_or_a_driver(tmp_path: Path) -> None:
    from provider.up import postgres, table
    from provider.up.home import Home

    home = Home(tmp_path, tmp_path / "run")
    secrets = dict.fromkeys(("FREEHOLD_DB_PASSWORD", "FREEHOLD_DB_OWNER_PASSWORD"), "s" * 32)
    plan = table.Plan(home, 8000, 8443, postgres.cluster(home, secrets), secrets, {})
    here = {process.name for process in table.full(plan)}
    # The program of data servers is packed when the image is made.
    only_here = {"postgres", "redis", "node", "runtime", "seed", "data-program"}
    assert here - only_here <= set(programs.IN_A_POD)


def test_programs_are_told_apart_and_an_unknown_one_is_refused() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "provider.programs", "nothing"], cwd=ROOT, capture_output=True, text=True
    )
    assert asked.returncode == 1
    assert "gate-agent" in asked.stderr


def test_every_variable_is_one_that_the_provider_reads() -> None:
    sources = [file.read_text() for package in ("provider", "k8s") for file in (ROOT / package).rglob("*.py")]
    read = {name for text in sources for name in READERS.findall(text)}
    for workload, _, container in every_container():
        inner = {name for entry in container.get("env", []) for name in VARIABLE.findall(entry.get("value", ""))}
        names = [entry["name"] for entry in container.get("env", [])]
        named = set(names)
        assert len(names) == len(named), f"{workload} says something twice"
        assert named - read == set(), workload
        assert not inner & read, f"{workload} spells a setting of the provider into another one"
    spelled_in = {
        name
        for _, _, container in every_container()
        for entry in container.get("env", [])
        for name in VARIABLE.findall(entry.get("value", ""))
    }
    assert settings().keys() - read - spelled_in == set()


def test_the_provider_starts_with_what_every_pod_is_given(tmp_path: Path) -> None:
    """Each Django process reads its settings; each that asks the cluster understands its address."""
    (tmp_path / "key").write_text("k" * 64)
    for workload, _, container in every_container():
        given = {**environment(container), **{k: v for k, v in STORES.items() if k in environment(container)}}
        if "SECRET_KEY" in given:
            given |= {"PATH": "/usr/bin", "DJANGO_SETTINGS_MODULE": "provider.settings"}
            code = "import json; from provider import settings as s; print(json.dumps([s.CONSOLE_URL, s.APPS_PORT]))"
            done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=given, capture_output=True, text=True)
            assert done.returncode == 0, (workload, done.stderr)
            assert json.loads(done.stdout) == ["https://freehold.example", 443]
        if "CLUSTER_URL" in given:
            assert "key=/etc/freehold/bundles/key" in given["CLUSTER_URL"]
            address = given["CLUSTER_URL"].replace("/etc/freehold/bundles", str(tmp_path))
            url = address.replace("//in-cluster?", f"//{_kubeconfig(tmp_path)}?")
            cell: Any = from_url(url)._cell
            assert cell.installation == settings()["FREEHOLD_INSTALLATION"]
            assert set(cell.images) == {"python", "node", "builder"}
            assert cell.gate_address == service_variables()["GATE_SERVICE_HOST"]  # apps reach their own hosts by it
            assert cell.blocked == ("203.0.113.0/28", "2001:db8:1::/48")
            assert cell.bundle_url == f"http://bundles.freehold:{programs.BUNDLES}"


def _kubeconfig(folder: Path) -> Path:
    file = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    file.write_text(json.dumps({"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "c"}))
    return file


def test_every_pod_meets_the_restricted_standard() -> None:
    for workload, pod in pods().items():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] == 10001, workload
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()
        for volume in pod["spec"]["volumes"]:
            assert volume.keys() - {"name"} <= {"emptyDir", "persistentVolumeClaim", "secret", "projected"}, workload
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, workload
            for bound in ("requests", "limits"):
                assert container["resources"][bound].keys() == {"cpu", "memory", "ephemeral-storage"}, workload


def test_everything_that_is_mounted_is_there_and_everything_there_is_mounted() -> None:
    for workload, pod in pods().items():
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}, workload


def test_services_and_budgets_choose_the_pods_that_they_are_named_after() -> None:
    for name, service in of_kind("Service").items():
        pod = pods()["gate" if name == "gate-actions" else name]  # an inner way of its own to the same pods
        assert service["spec"]["selector"] == pod["metadata"]["labels"]
        (port,) = service["spec"]["ports"]
        named = {p["name"]: p["containerPort"] for c in containers(pod) for p in c.get("ports", [])}
        assert port["targetPort"] in named
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == pods()[name]["metadata"]["labels"]
        assert of_kind("Deployment")[name]["spec"]["replicas"] > budget["spec"]["maxUnavailable"]


def test_services_lead_to_the_ports_that_processes_listen_on() -> None:
    listening = {"web": programs.WEB, "live": programs.LIVE, "static": programs.STATIC, "bundles": programs.BUNDLES}
    for name, port in listening.items():
        (container,) = pods()[name]["spec"]["containers"]
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        assert of_kind("Service")[name]["spec"]["ports"][0]["port"] == port


def test_whatever_serves_people_runs_twice_and_is_asked_whether_it_is_well() -> None:
    for name, deployment in of_kind("Deployment").items():
        assert deployment["spec"]["replicas"] == (1 if name == "beat" else 2), name
        assert name in of_kind("PodDisruptionBudget") or name == "beat"
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            assert "livenessProbe" in container, container["name"]
        first = deployment["spec"]["template"]["spec"]["containers"][0]
        assert ("readinessProbe" in first) == (name in of_kind("Service")), name


def test_secrets_are_named_and_none_is_here() -> None:
    assert of_kind("Secret") == {}
    text = (ROOT / "docs" / "operators" / "kubernetes.md").read_text()
    for secret, key in _references():
        assert f"`{secret}`" in text and f"`{key}`" in text, f"docs/operators/kubernetes.md names no {secret}.{key}"


def _references() -> set[tuple[str, str]]:
    found = set()
    for _, pod, container in every_container():
        for entry in container.get("env", []):
            if "valueFrom" in entry:
                reference = entry["valueFrom"]["secretKeyRef"]
                found.add((reference["name"], reference["key"]))
        for volume in pod["spec"]["volumes"]:
            if "secret" in volume:
                found.add((volume["secret"]["secretName"], "key"))
            for source in volume.get("projected", {}).get("sources", []):
                found |= {(source["secret"]["name"], item["key"]) for item in source["secret"]["items"]}
    return found


def test_no_pod_is_told_a_secret_that_it_does_not_need() -> None:
    told = {
        name: {e["name"] for e in c.get("env", []) if "valueFrom" in e}
        for _, _, c in every_container()
        for name in c["args"]
    }
    assert told["static"] == told["bundles"] == set()
    assert told["gate"] == {"FREEHOLD_GATE_SECRET"}
    assert told["gate-agent"] == {"DATABASE_URL", "REDIS_URL", "FREEHOLD_SESSION_KEYS", "FREEHOLD_DATA_KEY"}
    key = {name for name, pod in pods().items() if any(v["name"] == "bundle-key" for v in pod["spec"]["volumes"])}
    assert key == {"live", "worker", "observer", "bundles"}


def test_the_namespace_and_the_driver_carry_the_same_installation() -> None:
    labels = of_kind("Namespace")["freehold"]["metadata"]["labels"]
    assert labels[naming.INSTALLATION] == settings()["FREEHOLD_INSTALLATION"]
    assert labels[naming.ROLE] == "provider"
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_priority_classes_are_as_the_driver_would_make_them() -> None:
    wanted = {one["metadata"]["name"]: naming.stamped(one) for one in prerequisites()}
    assert of_kind("PriorityClass") == wanted


def test_the_image_copies_what_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert {"manage.py", "provider", "tenants", "apps_catalog", "k8s"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_nothing_but_the_gate_is_reached_from_outside() -> None:
    kinds: dict[str, Object] = of_kind("Service")
    assert {name for name, one in kinds.items() if one["spec"].get("type", "ClusterIP") != "ClusterIP"} == {"gate"}
    assert [port["port"] for port in kinds["gate"]["spec"]["ports"]] == [443]
