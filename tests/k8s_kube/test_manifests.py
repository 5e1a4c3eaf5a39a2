"""Every object that a spec becomes, whole."""

import base64
import json
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest

from k8s import naming
from k8s.manifests.build import build
from k8s.manifests.cloud import cloud, prerequisites
from k8s.manifests.instance import instance
from k8s.naming import HASH, Manifest, micro_key
from tests.k8s_kube.specs import BUILD, CELL, CLOUD, DATA_SERVER, INSTANCE, WEB, WITH_VOLUME

KEY = micro_key("Web.App")
OWNED = {"freehold/installation": CELL.installation, "freehold/cloud": "c1"}
INSTANCES = {**OWNED, "freehold/instance": "ins1"}
DEPLOYMENT = f"i-ins1-{KEY}"


def unstamped(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """By kind and name, without the hash, which must be that of the rest."""
    found = {}
    for manifest in manifests:
        metadata = dict(manifest["metadata"])
        annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key != HASH}
        metadata.pop("annotations", None)
        plain = {**manifest, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}
        if HASH in manifest["metadata"].get("annotations", {}):
            assert naming.stamped(plain) == manifest
        found[manifest["kind"], manifest["metadata"]["name"]] = plain
    return found


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def of_cloud(kind: str, name: str) -> Manifest:
    return unstamped(cloud(CLOUD, CELL))[kind, name]


def test_a_cloud_is_these_objects_the_namespace_first() -> None:
    names = [(m["kind"], m["metadata"]["name"]) for m in cloud(CLOUD, CELL)]
    assert names == [
        ("Namespace", "cloud-c1"),
        *(("ResourceQuota", name) for name in ("apps", "system", "objects")),
        ("LimitRange", "defaults"),
        *(("NetworkPolicy", name) for name in ("closed", "internet", "apps", "builds", "data")),
        *(("ServiceAccount", name) for name in ("default", "app")),
    ]


def test_a_namespace_enforces_the_restricted_standard() -> None:
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    versions = {f"pod-security.kubernetes.io/{mode}-version": "latest" for mode in ("enforce", "audit", "warn")}
    assert of_cloud("Namespace", "cloud-c1") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "cloud-c1", "labels": {**OWNED, "freehold/role": "cloud", **modes, **versions}},
    }


def test_apps_may_take_the_plan_and_one_largest_instance_for_an_update() -> None:
    scope = {"scopeName": "PriorityClass", "operator": "In", "values": ["freehold-apps"]}
    assert of_cloud("ResourceQuota", "apps") == {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "apps", "namespace": "cloud-c1", "labels": OWNED},
        "spec": {
            "hard": {"limits.cpu": "4000m", "limits.memory": "8192Mi", "pods": "55"},
            "scopeSelector": {"matchExpressions": [scope]},
        },
    }


def test_all_objects_together_are_counted_and_none_opens_a_port_of_a_node() -> None:
    assert of_cloud("ResourceQuota", "objects")["spec"] == {
        "hard": {
            "limits.cpu": "9000m",
            "limits.memory": "14336Mi",
            "pods": "65",
            "requests.storage": "6144Mi",
            "services": "60",
            "services.nodeports": "0",
            "services.loadbalancers": "0",
            "secrets": "30",
            "configmaps": "20",
            "persistentvolumeclaims": "12",
            "count/deployments.apps": "60",
            "count/jobs.batch": "50",
        }
    }


def test_no_account_of_a_cloud_has_a_token_mounted() -> None:
    for name in ("default", "app"):
        assert of_cloud("ServiceAccount", name) == {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": "cloud-c1", "labels": OWNED},
            "automountServiceAccountToken": False,
        }


def test_an_instance_keeps_its_configuration_in_one_secret() -> None:
    found = unstamped(instance(INSTANCE, CELL, "token-1"))["Secret", "i-ins1"]
    micros = [{"name": "Web.App", "kind": "process"}, {"name": "page", "kind": "static"}]
    assert found == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "i-ins1",
            "namespace": "cloud-c1",
            "labels": INSTANCES,
            "annotations": {
                "freehold/generation": "3",
                "freehold/restart": "2",
                "freehold/artifact": INSTANCE.artifact,
                "freehold/micros": json.dumps(micros),
            },
        },
        "type": "Opaque",
        "data": {
            "freehold.bundle-token": encoded("token-1"),
            f"{KEY}.GREETING": encoded("grüezi"),
            f"{KEY}.HOME": encoded("/data"),
        },
    }


def test_a_micro_that_is_a_process_has_a_service_and_a_static_one_has_nothing() -> None:
    found = unstamped(instance(INSTANCE, CELL, "t"))
    assert set(found) == {("Secret", "i-ins1"), ("Service", DEPLOYMENT), ("Deployment", DEPLOYMENT)}
    assert found["Service", DEPLOYMENT] == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": DEPLOYMENT, "namespace": "cloud-c1", "labels": INSTANCES},
        "spec": {
            "type": "ClusterIP",
            "selector": {"freehold/instance": "ins1", "freehold/micro": KEY},
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080, "targetPort": 8080}],
        },
    }


def test_a_process_runs_without_any_privilege_and_within_its_limits() -> None:
    found = unstamped(instance(INSTANCE, CELL, "token-1"))["Deployment", DEPLOYMENT]
    config = naming.digest(["token-1", sorted(WEB.env.items())])
    pod_labels = {**INSTANCES, "freehold/micro": KEY, "freehold/role": "app"}
    own = {"freehold/micro-name": "Web.App", "freehold/restart": "2", "freehold/attempt": "0"}
    assert found == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": DEPLOYMENT,
            "namespace": "cloud-c1",
            "labels": INSTANCES,
            "annotations": {"freehold/generation": "3", "freehold/artifact": INSTANCE.artifact, **own},
        },
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 60,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": {"freehold/instance": "ins1", "freehold/micro": KEY}},
            "template": {
                "metadata": {
                    "labels": pod_labels,
                    "annotations": {**own, "freehold/artifact": INSTANCE.artifact, "freehold/config": config},
                },
                "spec": POD,
            },
        },
    }


def _out_of(key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": "i-ins1", "key": key}}


CONTAINER = {
    "name": "app",
    "image": "freehold/python:1",
    "imagePullPolicy": "IfNotPresent",
    "command": [
        *("/usr/bin/python3", "-I", "-S", "/opt/freehold/launcher/pod.py", "--root", "Web.App/app", "--port", "8080"),
        *("--python-path", "Web.App/deps", "--runtime", "/opt/freehold/python", "--"),
        "uvicorn main:app --name $$(whoami)",  # or Kubernetes would take it for a variable of its own
    ],
    "env": [
        {"name": "PATH", "value": "/usr/bin:/bin:/usr/local/bin:/opt/freehold/bin"},
        {"name": "TMPDIR", "value": "/tmp"},
        {"name": "LANG", "value": "C.UTF-8"},
        {"name": "PYTHONUNBUFFERED", "value": "1"},
        {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        {"name": "NODE_ENV", "value": "production"},
        {"name": "FREEHOLD_BUNDLE_URL", "value": "http://bundles.freehold:8009"},
        {"name": "FREEHOLD_BUNDLE_DIGEST", "value": INSTANCE.artifact},
        {"name": "FREEHOLD_MEMORY_MIB", "value": "512"},
        {"name": "FREEHOLD_BUNDLE_TOKEN", "valueFrom": _out_of("freehold.bundle-token")},
        {"name": "GREETING", "valueFrom": _out_of(f"{KEY}.GREETING")},
        {"name": "HOME", "valueFrom": _out_of(f"{KEY}.HOME")},
    ],
    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
    "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3},
    "resources": {
        "limits": {"cpu": "400m", "memory": "512Mi", "ephemeral-storage": "1600Mi"},
        "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "400Mi"},
    },
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    },
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "bundle", "mountPath": "/bundle"}],
}
POD = {
    "serviceAccountName": "app",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "priorityClassName": "freehold-apps",
    "terminationGracePeriodSeconds": 10,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [CONTAINER],
    "volumes": [
        {"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}},
        {"name": "bundle", "emptyDir": {"sizeLimit": "1024Mi"}},
    ],
    "hostAliases": [
        {
            "ip": "203.0.113.7",
            "hostnames": ["notes-x7.apps.example", "database.deta.sh", "drive.deta.sh", "database.deta.space"],
        }
    ],
}


IMAGE = "registry.example/team/tool@sha256:" + "c" * 64
OF_IMAGE = replace(WEB, engine="custom", root="", python_path=(), command=None, image=IMAGE)
IMAGE_CONTAINER = {
    **{key: value for key, value in CONTAINER.items() if key not in ("command", "env")},
    "image": IMAGE,
    "env": [
        {"name": "TMPDIR", "value": "/tmp"},
        {"name": "PORT", "value": "8080"},
        {"name": "GREETING", "valueFrom": _out_of(f"{KEY}.GREETING")},
        {"name": "HOME", "valueFrom": _out_of(f"{KEY}.HOME")},
    ],
    "resources": {
        "limits": {"cpu": "400m", "memory": "512Mi", "ephemeral-storage": "576Mi"},
        "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "144Mi"},
    },
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
}


def test_an_image_runs_as_it_is_without_the_launcher_and_under_the_same_rules() -> None:
    found = unstamped(instance(replace(INSTANCE, micros=(OF_IMAGE,), artifact=""), CELL, "token-1"))
    template = found["Deployment", DEPLOYMENT]["spec"]["template"]
    assert template["spec"] == {
        **POD,
        "containers": [IMAGE_CONTAINER],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}}],
    }
    assert template["metadata"]["annotations"] == {
        "freehold/micro-name": "Web.App",
        "freehold/restart": "2",
        "freehold/attempt": "0",
        "freehold/artifact": IMAGE,  # no bundle's digest: the bundle server hands such a pod nothing
        "freehold/config": naming.digest(["token-1", sorted(WEB.env.items())]),
    }


def test_the_run_line_of_an_image_is_its_command_and_its_port_is_not_its_owners() -> None:
    own = replace(OF_IMAGE, command="serve --port $PORT", env={"PORT": "1"})
    found = unstamped(instance(replace(INSTANCE, micros=(own,)), CELL, "t"))["Deployment", DEPLOYMENT]
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["/bin/sh", "-c", "serve --port $$PORT"]  # for the shell, not for Kubernetes
    assert [entry for entry in container["env"] if entry["name"] == "PORT"] == [{"name": "PORT", "value": "8080"}]


def test_a_volume_comes_into_an_image_too() -> None:
    found = unstamped(instance(replace(INSTANCE, micros=(OF_IMAGE,), volume=WITH_VOLUME), CELL, "t"))
    pod = found["Deployment", DEPLOYMENT]["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "volume", "mountPath": "/data"}
    assert pod["volumes"][-1] == {"name": "volume", "persistentVolumeClaim": {"claimName": "i-ins1"}}


def test_an_instance_with_a_volume_is_replaced_and_never_doubled() -> None:
    found = unstamped(instance(replace(INSTANCE, volume=WITH_VOLUME), CELL, "t"))
    assert found["PersistentVolumeClaim", "i-ins1"] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "i-ins1", "namespace": "cloud-c1", "labels": INSTANCES},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
    }
    body = found["Deployment", DEPLOYMENT]["spec"]
    assert body["strategy"] == {"type": "Recreate"}
    pod = body["template"]["spec"]
    assert pod["volumes"][-1] == {"name": "volume", "persistentVolumeClaim": {"claimName": "i-ins1"}}
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "volume", "mountPath": "/data"}


def test_a_data_server_is_the_systems_has_its_own_role_and_one_writer() -> None:
    found = unstamped(instance(DATA_SERVER, CELL, "t"))
    name = f"i-data1-{micro_key('data')}"
    body = found["Deployment", name]["spec"]
    assert body["strategy"] == {"type": "Recreate"}
    assert body["template"]["metadata"]["labels"] == {
        **OWNED,
        "freehold/instance": "data1",
        "freehold/micro": micro_key("data"),
        "freehold/role": "data",
    }
    container = body["template"]["spec"]["containers"][0]
    claim = {"name": "volume", "persistentVolumeClaim": {"claimName": "i-data1"}}
    assert body["template"]["spec"] == {
        **{key: value for key, value in POD.items() if key != "hostAliases"},
        "priorityClassName": "freehold-system",
        "containers": [container],
        "volumes": [*POD["volumes"], claim],
    }
    assert container["image"] == "freehold/python:1"
    assert container["volumeMounts"][-1] == {"name": "volume", "mountPath": "/data"}


def test_a_data_servers_pod_and_volume_have_room_beside_the_apps() -> None:
    """Quotas count system pods apart; of storage there is the plan's for apps, for a server, and for one restored."""
    claim = unstamped(instance(DATA_SERVER, CELL, "t"))["PersistentVolumeClaim", "i-data1"]
    assert claim["spec"]["resources"]["requests"]["storage"] == f"{CLOUD.storage_mib}Mi"
    tiny = unstamped(cloud(replace(CLOUD, storage_mib=100), CELL))["ResourceQuota", "objects"]["spec"]["hard"]
    assert tiny["requests.storage"] == f"{100 + 2 * 256}Mi"


def test_a_data_address_of_the_installations_own_leads_to_the_gate() -> None:
    spec = replace(INSTANCE, gate_hosts=("data.apps.example", "drive.deta.sh"))
    pod = unstamped(instance(spec, CELL, "t"))["Deployment", DEPLOYMENT]["spec"]["template"]["spec"]
    hosts = ["notes-x7.apps.example", "data.apps.example", "drive.deta.sh", "database.deta.sh", "database.deta.space"]
    assert pod["hostAliases"] == [{"ip": "203.0.113.7", "hostnames": hosts}]


def test_what_apps_are_to_trust_is_handed_to_the_launcher() -> None:
    found = unstamped(instance(INSTANCE, replace(CELL, trusted="PEM"), "t"))["Deployment", DEPLOYMENT]
    env = found["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "FREEHOLD_TRUSTED", "value": "PEM"} in env
    assert [one for one in env if one["name"] != "FREEHOLD_TRUSTED"] == CONTAINER["env"]
    server = replace(CELL, trusted="PEM")
    assert instance(DATA_SERVER, server, "t") == instance(DATA_SERVER, CELL, "t"), "a data server calls nobody"


def test_a_counter_alone_replaces_no_pod_but_a_restart_does() -> None:
    def template(**changes: Any) -> Manifest:
        spec = unstamped(instance(replace(INSTANCE, **changes), CELL, "t"))["Deployment", DEPLOYMENT]["spec"]
        found: Manifest = spec["template"]
        return found

    assert template(generation=4, replicas=0, ready_timeout_s=5) == template()
    assert template(restart=3) != template()
    assert template(micros=(replace(WEB, env={"GREETING": "hoi"}),)) != template()


def test_a_failed_micro_is_tried_anew_by_its_attempt() -> None:
    found = unstamped(instance(INSTANCE, CELL, "t", {"Web.App": 3}))["Deployment", DEPLOYMENT]
    assert found["metadata"]["annotations"]["freehold/attempt"] == "3"
    assert found["spec"]["template"]["metadata"]["annotations"]["freehold/attempt"] == "3"


def test_a_build_is_a_job_that_runs_once_in_the_developers_cloud() -> None:
    found = unstamped(build(BUILD, CELL, "token-2"))
    labels = {**OWNED, "freehold/job": "job1"}
    micro = {
        "name": "web",
        "engine": "nodejs20",
        "src": "src",
        "commands": ["npm run build"],
        "include": [],
        "run": "node .",
        "serve": None,
    }
    assert found["Secret", "b-job1"] == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "b-job1", "namespace": "cloud-c1", "labels": labels},
        "type": "Opaque",
        "data": {
            "plan.json": encoded(json.dumps({"micros": [micro], "as_of": "2024-01-01"}, sort_keys=True)),
            "token": encoded("token-2"),
        },
    }
    job = found["Job", "b-job1"]
    pod = job["spec"]["template"]["spec"]
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 420)
    assert (pod["restartPolicy"], pod["priorityClassName"]) == ("Never", "freehold-system")
    assert pod["securityContext"] == POD["securityContext"]
    assert pod["containers"][0]["securityContext"] == CONTAINER["securityContext"]
    assert job["metadata"]["annotations"] == {
        "freehold/artifact": BUILD.source,
        "freehold/micros": '["web"]',
        "freehold/output-limit-mib": "100",
    }


def test_a_build_is_told_how_to_reach_registries_and_whom_to_trust() -> None:
    cell = replace(CELL, build_env={"HTTPS_PROXY": "http://10.0.0.1:3128"}, trusted="PEM")
    more = {"name": "HTTPS_PROXY", "value": "http://10.0.0.1:3128"}, {"name": "FREEHOLD_TRUSTED", "value": "PEM"}
    usual, found = (
        unstamped(build(BUILD, each, "t"))["Job", "b-job1"]["spec"]["template"]["spec"]["containers"][0]["env"]
        for each in (CELL, cell)
    )
    assert [entry for entry in found if entry not in usual] == list(more)


@pytest.mark.parametrize("version", ["1.28", "1.30", "1.32", "1.34", "1.36", "1.37"])
def test_current_servers_know_every_field(version: str) -> None:
    wanted = [*prerequisites(), *cloud(CLOUD, CELL), *build(BUILD, CELL, "t")]
    wanted += instance(replace(INSTANCE, micros=(replace(OF_IMAGE, command="serve"),)), CELL, "t")
    wanted += instance(replace(INSTANCE, volume=WITH_VOLUME), replace(CELL, runtime_class="gvisor"), "t")
    wanted += instance(DATA_SERVER, replace(CELL, trusted="PEM"), "t")
    for manifest in wanted:
        kubernetes_validate.validate(manifest, version, strict=True)
