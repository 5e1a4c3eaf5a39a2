"""One installed copy of an app: a Secret, a Deployment and a Service per process micro, a volume where asked."""

import base64
import json
from collections.abc import Mapping

from k8s import naming
from k8s.cell import Cell
from k8s.manifests import pods
from k8s.naming import Manifest
from k8s.specs import PROBING, InstanceSpec, MicroKind, MicroSpec, Role

BASE_ENV = {
    "PATH": "/usr/bin:/bin:/usr/local/bin:/opt/freehold/bin",
    "HOME": "/tmp",  # noqa: S108
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "NODE_ENV": "production",
}
# An image brings the rest itself; its root cannot be written to.
IMAGE_ENV = {"HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108
_SHELL = "/bin/sh"
LAUNCHER = ("/usr/bin/python3", "-I", "-S", "/opt/freehold/launcher/pod.py")
TOKEN_KEY = "freehold.bundle-token"  # noqa: S105 - the name of an entry
_PRIORITY = {Role.APP: naming.APPS_PRIORITY, Role.DATA: naming.SYSTEM_PRIORITY}
_BUNDLE_MIB = 1024
_LOGS_MIB = 64


def instance(spec: InstanceSpec, cell: Cell, token: str, attempts: Mapping[str, int] | None = None) -> list[Manifest]:
    """Everything but what is already so; each stamped with its hash.

    token: what the launcher shows to the bundle server. attempts: {micro: generation in which its failed rollout is
    tried anew}; without one a pod template stays as it is.
    """
    wanted = [_secret(spec, cell, token)]
    if spec.volume:
        wanted.append(_claim(spec, cell))
    for micro in spec.micros:
        if micro.kind is MicroKind.PROCESS:
            wanted.append(_service(spec, cell, micro))
            wanted.append(_deployment(spec, cell, micro, token, (attempts or {}).get(micro.name, 0)))
    return [naming.stamped(manifest) for manifest in wanted]


def _metadata(spec: InstanceSpec, cell: Cell, name: str, annotations: dict[str, str] | None = None) -> Manifest:
    labels = naming.instance_labels(cell.installation, spec.cloud_id, spec.instance_id)
    metadata: Manifest = {"name": name, "namespace": spec.namespace, "labels": labels}
    return {**metadata, "annotations": annotations} if annotations else metadata


def _numbers(spec: InstanceSpec) -> dict[str, str]:
    return {naming.GENERATION: str(spec.generation), naming.RESTART: str(spec.restart), naming.ARTIFACT: spec.artifact}


def _secret(spec: InstanceSpec, cell: Cell, token: str) -> Manifest:
    micros = [{"name": micro.name, "kind": micro.kind.value} for micro in spec.micros]
    values = {TOKEN_KEY: token}
    for micro in spec.micros:
        values |= {entry(micro, name): value for name, value in micro.env.items()}
    name = naming.instance_name(spec.instance_id)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(spec, cell, name, {**_numbers(spec), naming.MICROS: json.dumps(micros)}),
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def entry(micro: MicroSpec, name: str) -> str:
    return f"{naming.micro_key(micro.name)}.{name}"


def _claim(spec: InstanceSpec, cell: Cell) -> Manifest:
    assert spec.volume is not None
    body: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{spec.volume.size_mib}Mi"}},
    }
    if cell.storage_class:
        body["storageClassName"] = cell.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(spec, cell, naming.instance_name(spec.instance_id)),
        "spec": body,
    }


def _service(spec: InstanceSpec, cell: Cell, micro: MicroSpec) -> Manifest:
    port = {"name": "http", "protocol": "TCP", "port": naming.PORT, "targetPort": naming.PORT}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(spec, cell, naming.micro_name(spec.instance_id, micro.name)),
        "spec": {"type": "ClusterIP", "selector": _pod_labels(spec, micro), "ports": [port]},
    }


def _pod_labels(spec: InstanceSpec, micro: MicroSpec) -> dict[str, str]:
    return {naming.INSTANCE: spec.instance_id, naming.MICRO: naming.micro_key(micro.name)}


def _deployment(spec: InstanceSpec, cell: Cell, micro: MicroSpec, token: str, attempt: int) -> Manifest:
    annotations = {**_numbers(spec), naming.MICRO_NAME: micro.name, naming.ATTEMPT: str(attempt)}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(spec, cell, naming.micro_name(spec.instance_id, micro.name), annotations),
        "spec": {
            "replicas": spec.replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": spec.ready_timeout_s,
            # Two pods must never write to one volume.
            "strategy": {"type": "Recreate"} if spec.volume else rolling,
            "selector": {"matchLabels": _pod_labels(spec, micro)},
            "template": _template(spec, cell, micro, token, attempt),
        },
    }


def _template(spec: InstanceSpec, cell: Cell, micro: MicroSpec, token: str, attempt: int) -> Manifest:
    """A change of it replaces the pod, so it names what the pod is made of and nothing that merely counts up."""
    annotations = {
        naming.MICRO_NAME: micro.name,
        naming.ARTIFACT: micro.image or spec.artifact,  # so that no pod of an image is handed any code
        naming.RESTART: str(spec.restart),
        naming.ATTEMPT: str(attempt),
        # Pods do not follow a changed Secret by themselves. The token is random, so nobody can guess values by this.
        "freehold/config": naming.digest([token, sorted(micro.env.items())]),
    }
    labels = naming.instance_labels(cell.installation, spec.cloud_id, spec.instance_id)
    labels |= {naming.MICRO: naming.micro_key(micro.name), **of_the_network(spec, micro)}
    one = container(spec, cell, micro, naming.instance_name(spec.instance_id)) | _probes(spec, micro)
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod(spec, cell, micro, one)}


def of_the_network(spec: InstanceSpec, micro: MicroSpec) -> dict[str, str]:
    """The labels by which policies know a pod of the micro."""
    return {naming.ROLE: spec.role.value, **({naming.OFFLINE: "true"} if micro.offline else {})}


def pod(spec: InstanceSpec, cell: Cell, micro: MicroSpec, container: Manifest) -> Manifest:
    """The spec of a pod around `container`, with what the micro finds in it."""
    volumes = [pods.empty_dir("tmp", pods.TMP_MIB)]
    if not micro.image:
        volumes.append(pods.empty_dir("bundle", _BUNDLE_MIB))
    if spec.volume:
        claim = {"claimName": naming.instance_name(spec.instance_id)}
        volumes.append({"name": "volume", "persistentVolumeClaim": claim})
    body = pods.pod_spec(cell, _PRIORITY[spec.role], container, volumes)
    if cell.gate_address and spec.role is Role.APP:
        body["hostAliases"] = [{"ip": cell.gate_address, "hostnames": _gate_hosts(spec)}]
    return body


def _gate_hosts(spec: InstanceSpec) -> list[str]:
    return list(dict.fromkeys((spec.host, *spec.gate_hosts, *naming.FORMER_DATA_HOSTS)))


def container(spec: InstanceSpec, cell: Cell, micro: MicroSpec, secret: str) -> Manifest:
    """What runs the micro's command; without probes. secret: name of that which holds its environment."""
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    disk_mib = pods.TMP_MIB + _LOGS_MIB
    if not micro.image:
        mounts.append({"name": "bundle", "mountPath": "/bundle"})
        disk_mib += _BUNDLE_MIB
    if spec.volume:
        mounts.append({"name": "volume", "mountPath": spec.volume.path})
    return {
        "name": "app",
        "image": micro.image or cell.image(micro.engine),
        "imagePullPolicy": "IfNotPresent",
        **({"command": command} if (command := _command(micro)) else {}),
        "env": _image_env(micro, secret) if micro.image else _env(spec, cell, micro, secret),
        "resources": pods.resources(cell, micro.limits, disk_mib),
        "securityContext": pods.CONTAINER_SECURITY,
        "volumeMounts": mounts,
    }


def _probes(spec: InstanceSpec, micro: MicroSpec) -> Manifest:
    """Ready by a connection; with a path of health by its answer, whose absence for long starts it again."""
    ports = [{"name": "http", "containerPort": naming.PORT, "protocol": "TCP"}]
    if micro.health is None:
        connects = {"tcpSocket": {"port": naming.PORT}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3}
        return {"ports": ports, "readinessProbe": connects}
    host = [{"name": "Host", "value": spec.host}]
    asked: Manifest = {
        "httpGet": {"path": micro.health, "port": naming.PORT, "httpHeaders": host},
        "periodSeconds": PROBING.every_s,
        "timeoutSeconds": PROBING.timeout_s,
    }
    lives = {"initialDelaySeconds": spec.ready_timeout_s, "failureThreshold": PROBING.restart_after}
    ready = {**asked, "failureThreshold": PROBING.unready_after}
    return {"ports": ports, "readinessProbe": ready, "livenessProbe": {**asked, **lives}}


def _command(micro: MicroSpec) -> list[str]:
    """Empty for an image's own entrypoint."""
    if micro.image:
        return [_SHELL, "-c", pods.literal(micro.command)] if micro.command else []
    words = [*LAUNCHER, "--root", micro.root, "--port", str(naming.PORT)]
    for path in micro.python_path:
        words += ["--python-path", path]
    if micro.engine.startswith("python"):
        words += ["--runtime", "/opt/freehold/python"]
    return [pods.literal(word) for word in (*words, "--", micro.command or "")]


def _env(spec: InstanceSpec, cell: Cell, micro: MicroSpec, secret: str) -> list[Manifest]:
    """Ours first, then the app's own values out of the Secret; theirs win where both have a name."""
    ours = {name: value for name, value in BASE_ENV.items() if name not in micro.env}
    bundle = {"FREEHOLD_BUNDLE_URL": cell.bundle_url, "FREEHOLD_BUNDLE_DIGEST": spec.artifact}
    bundle["FREEHOLD_MEMORY_MIB"] = str(micro.limits.memory_mib)
    if cell.trusted and spec.role is Role.APP:
        bundle["FREEHOLD_TRUSTED"] = cell.trusted  # for the launcher, which adds the public ones
    token = _out_of(secret, "FREEHOLD_BUNDLE_TOKEN", TOKEN_KEY)
    return [*pods.env_list({**ours, **bundle}), token, *_theirs(secret, micro, sorted(micro.env))]


def _image_env(micro: MicroSpec, secret: str) -> list[Manifest]:
    """Without a launcher nobody else sets the port, nor keeps the app's values from hiding it."""
    ours = {name: value for name, value in IMAGE_ENV.items() if name not in micro.env} | {"PORT": str(naming.PORT)}
    return [*pods.env_list(ours), *_theirs(secret, micro, sorted(micro.env.keys() - {"PORT"}))]


def _theirs(secret: str, micro: MicroSpec, names: list[str]) -> list[Manifest]:
    return [_out_of(secret, name, entry(micro, name)) for name in names]


def _out_of(secret: str, name: str, key: str) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
