"""Files and command lines of the daemons."""

import json
from pathlib import Path
from typing import Any

from k8s.runtimes.images.contents import USER
from k8s.testbed.place import BRIDGE, NODE, PAUSE_IMAGE, POD_RANGE, SERVICE_RANGE, Place

STORAGE_CLASS: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/host-path",
    "reclaimPolicy": "Delete",
}

# The host-path provisioner makes folders that only their owner may write to, so it runs as the user of our pods.
_AS_POD_USER = (
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),  # for its keys, which are root's
)
# Nobody asks these two anything; with fixed ports a second control plane beside the first could not start.
_UNASKED = ("--port=0", "--secure-port=0")
CNI_PLUGINS = Path("/usr/lib/cni")


def control_plane(place: Place) -> dict[str, tuple[str, ...]]:
    """Command lines by name, in the order of starting; all but etcd and the apiserver wait for the apiserver."""
    admin, pki = str(place.kubeconfig), place.state / "pki"
    etcd = f"http://127.0.0.1:{place.etcd_port}"
    peer = f"http://127.0.0.1:{place.etcd_port + 1}"
    return {
        "etcd": (
            *("etcd", "--data-dir", str(place.state / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peer),
        ),
        "apiserver": (
            place.program("kube-apiserver"),
            *(f"--etcd-servers={etcd}", f"--secure-port={place.api_port}", "--bind-address=127.0.0.1"),
            *("--advertise-address=127.0.0.1", f"--service-cluster-ip-range={SERVICE_RANGE}"),
            *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
            *(f"--client-ca-file={pki}/ca.crt", f"--kubelet-client-certificate={pki}/admin.crt"),
            *(f"--kubelet-client-key={pki}/admin.key", "--kubelet-preferred-address-types=Hostname"),
            *(f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key"),
            *("--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=Node,RBAC"),
            *("--enable-admission-plugins=NodeRestriction,ResourceQuota,LimitRanger", "--allow-privileged=true"),
        ),
        "controller-manager": (
            *_AS_POD_USER,
            place.program("kube-controller-manager"),
            *(f"--kubeconfig={admin}", f"--service-account-private-key-file={pki}/sa.key"),
            *(f"--root-ca-file={pki}/ca.crt", "--use-service-account-credentials", "--allocate-node-cidrs=false"),
            *("--enable-hostpath-provisioner=true", "--leader-elect=false", *_UNASKED),
        ),
        "scheduler": (place.program("kube-scheduler"), f"--kubeconfig={admin}", "--leader-elect=false", *_UNASKED),
    }


def node(place: Place) -> dict[str, tuple[str, ...]]:
    state = place.state
    kubelet = (
        place.program("kubelet"),
        *(f"--config={state}/kubelet.json", f"--kubeconfig={state}/node.kubeconfig", f"--hostname-override={NODE}"),
        *("--container-runtime=remote", f"--container-runtime-endpoint=unix://{place.containerd_socket}"),
        *(f"--root-dir={state}/kubelet", f"--cni-bin-dir={CNI_PLUGINS}", f"--cni-conf-dir={state}/cni"),
    )
    return {"kubelet": kubelet, "proxy": (place.program("kube-proxy"), f"--config={state}/proxy.json")}


def write_node_files(place: Place) -> None:
    for folder in ("cni", "containerd"):
        (place.state / folder).mkdir(exist_ok=True)
    _write(place.state / "cni" / "10-bridge.conflist", _cni())
    _write(place.state / "kubelet.json", _kubelet(place))
    _write(place.state / "proxy.json", _proxy(place))
    (place.state / "containerd" / "config.toml").write_text(_containerd(place))


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1))


def _cni() -> dict[str, Any]:
    addresses = {"type": "host-local", "ranges": [[{"subnet": POD_RANGE}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True}
    mapping = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{**bridge, "ipam": addresses}, mapping]}


def _kubelet(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(place.state / "pki" / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(place.state / "pki" / "node.crt"),
        "tlsPrivateKeyFile": str(place.state / "pki" / "node.key"),
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "maxPods": 500,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def _proxy(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(place.kubeconfig)},
        "hostnameOverride": NODE,
        "mode": "iptables",
        "iptables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},  # an endpoint counts as soon as it is Ready
        "clusterCIDR": POD_RANGE,
        "conntrack": {"maxPerCore": 0},
    }


def _containerd(place: Place) -> str:
    # netns_mounts_under_state_dir: `down --wipe` then clears these namespaces and no others.
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc may not lower oom_score_adj and no sandbox would start.
    return f"""version = 2
root = "{place.state}/containerd/root"
state = "{place.state}/containerd/state"
[grpc]
  address = "{place.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{place.state}/cni"
"""
