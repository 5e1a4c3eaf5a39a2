"""What an app finds in its pod, and what a cloud may not hold."""

from dataclasses import replace

import pytest

from k8s.errors import Permanent
from k8s.kube.api import path
from k8s.specs import CloudSpec, Limits
from tests.contract.apps import WEB, Tenant
from tests.contract.kubernetes_lane import KubernetesLane
from tests.contract.lanes import until
from tests.contract.test_images import of_image

ONLY_LOOPBACK = WEB.replace('("0.0.0.0"', '("127.0.0.1"')
LOOKS_AROUND = WEB.replace(
    'if verb == "env":',
    """if verb == "writable":
            body = ",".join(p for p in ("/", "/tmp", "/bundle", "/usr", "/etc", os.getcwd()) if can_write(p))
        if verb == "who":
            fields = [line.split() for line in open("/proc/self/status") if line.strip()]
            body = " ".join(f[1] for f in fields if f[0] in ("CapEff:", "NoNewPrivs:", "Seccomp:"))
            body += " uid=%d token=%s" % (os.getuid(), os.path.exists("/var/run/secrets/kubernetes.io"))
        if verb == "env":""",
).replace(
    "class Handler",
    """def can_write(place):
    try:
        open(place + "/probe", "w").close()
    except OSError:
        return False
    return True
class Handler""",
)


def test_an_app_that_listens_on_loopback_alone_is_reached(lane: KubernetesLane, tenant: Tenant) -> None:
    assert lane.get(tenant.run(tenant.instance(ONLY_LOOPBACK))) == "hello"


def test_an_app_has_no_privileges_no_token_and_little_to_write_to(lane: KubernetesLane, tenant: Tenant) -> None:
    upstream = tenant.run(tenant.instance(LOOKS_AROUND))
    who = lane.get(upstream, "/who").split()
    assert who[0] == "0000000000000000"  # no capability
    assert who[1:3] == ["1", "2"]  # no new privileges; a filter for system calls
    assert who[-2:] == ["uid=10001", "token=False"]
    assert lane.get(upstream, "/writable") == "/tmp,/bundle"


def test_an_app_does_not_see_the_launchers_token(lane: KubernetesLane, tenant: Tenant) -> None:
    upstream = tenant.run(tenant.instance())
    for name in ("FREEHOLD_BUNDLE_TOKEN", "FREEHOLD_BUNDLE_URL", "HOSTNAME"):
        assert lane.get(upstream, f"/env/{name}") == ""
    assert lane.get(upstream, "/env/PORT") == "8080"


def test_an_image_that_ends_is_given_up_with_its_code_and_last_words(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = of_image(tenant, "print('no settings file', flush=True); raise SystemExit(3)", lane.image())
    lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed, 60)
    micro = tenant.status(spec).micros[0]
    assert "exited with code 3" in micro.reason
    assert "no settings file" in micro.log_tail


def test_an_image_that_no_registry_has_is_its_developers_affair(lane: KubernetesLane, tenant: Tenant) -> None:
    spec = of_image(tenant, WEB, "docker.invalid/nobody/nothing@sha256:" + "0" * 64)
    lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed, 60)
    assert "the app's developer must see that its registry has it" in tenant.status(spec).micros[0].reason


def test_an_update_under_a_full_quota_does_not_hang(lane: KubernetesLane, tenant: Tenant) -> None:
    lane.ensure_counted(_small(tenant))
    whole = tenant.micro(env={"ANSWER": "old"}, limits=Limits(500, 256))
    spec = tenant.instance(micros=(whole,))
    tenant.run(spec)
    new = replace(spec, generation=2, micros=(replace(whole, env={"ANSWER": "new"}),))
    assert lane.get(tenant.run(new)) in ("old", "new")
    assert tenant.status(new).ready


def test_waking_right_after_sleeping_under_a_full_quota_does_not_wait(lane: KubernetesLane, tenant: Tenant) -> None:
    lane.ensure_counted(_small(tenant))
    spec = tenant.instance(micros=(tenant.micro(limits=Limits(500, 256)),))
    tenant.run(spec)
    lane.cluster.apply_instance(replace(spec, generation=2, replicas=0))
    assert lane.get(tenant.run(replace(spec, generation=3))) == "hello"


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_nothing_in_a_cloud_opens_a_port_of_a_node(lane: KubernetesLane, tenant: Tenant, kind: str) -> None:
    lane.ensure_counted(tenant.cloud())
    metadata = {"name": "open", "namespace": tenant.cloud().namespace}
    ports = [{"port": 80, "protocol": "TCP"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"type": kind, "ports": ports}}
    with pytest.raises(Permanent, match="exceeded quota"):
        lane.api.apply(service)


def test_a_pod_of_no_class_is_counted_too(lane: KubernetesLane, tenant: Tenant) -> None:
    lane.ensure_counted(_small(tenant))
    limits = {"cpu": "7", "memory": "1Gi"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy", "namespace": tenant.cloud().namespace},
        "spec": {"containers": [{"name": "c", "image": "none", "resources": {"limits": limits}}]},
    }
    with pytest.raises(Permanent, match="exceeded quota"):
        lane.api.apply(pod)
    with pytest.raises(Permanent, match="exceeded quota"):
        lane.api.apply({**pod, "spec": {**pod["spec"], "priorityClassName": "freehold-apps"}})  # type: ignore[dict-item]
    assert lane.api.items(path("Pod", tenant.cloud().namespace), "") == []


def _small(tenant: Tenant) -> CloudSpec:
    return replace(tenant.cloud(), cpu_millis=500, memory_mib=256)
