"""The testbed's certificate authority, the certificates under it, and kubeconfigs that hold them."""

import base64
import json
import subprocess
from pathlib import Path

from k8s.testbed.place import FIRST_SERVICE, NODE, Place

_DAYS = "3650"
_NAMES = {
    "apiserver": f"DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{FIRST_SERVICE}",
    "admin": "DNS:admin",
    "node": f"DNS:{NODE},DNS:localhost,IP:127.0.0.1",
}
_SUBJECTS = {
    "apiserver": "/CN=apiserver",
    "admin": "/O=system:masters/CN=admin",
    "node": f"/O=system:nodes/CN=system:node:{NODE}",
}


def ensure(place: Place) -> Path:
    """The folder with ca, apiserver, admin, node (.crt, .key) and the service accounts' key pair; made once."""
    folder = place.state / "pki"
    if (folder / "complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _openssl(folder, "genrsa", "-out", "sa.key", "2048")
    _openssl(folder, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    authority = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS, "-subj", "/CN=freehold-testbed")
    _openssl(folder, *authority, "-keyout", "ca.key", "-out", "ca.crt")
    for name in _NAMES:
        _certify(folder, name)
    for name in ("admin", "node"):
        _write_kubeconfig(place, folder, name)
    (folder / "complete").touch()
    return folder


def _certify(folder: Path, name: str) -> None:
    request, extensions = f"{name}.csr", folder / f"{name}.ext"
    # The kubelet's certificate is the node's: whoever measures asks it by the machine's address.
    own = [f"IP:{address}" for address in _own_addresses()] if name == "node" else []
    extensions.write_text(f"subjectAltName={','.join([_NAMES[name], *own])}\n")
    subject = ("-subj", _SUBJECTS[name])
    _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", f"{name}.key", "-out", request)
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", _DAYS, "-extfile", extensions.name)
    _openssl(folder, "x509", "-req", "-in", request, "-out", f"{name}.crt", *signing)


def _own_addresses() -> list[str]:
    return subprocess.run(("hostname", "-I"), capture_output=True, text=True, check=True).stdout.split()


def _write_kubeconfig(place: Place, folder: Path, name: str) -> None:
    def inline(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    cluster = {"server": f"https://127.0.0.1:{place.api_port}", "certificate-authority-data": inline("ca.crt")}
    user = {"client-certificate-data": inline(f"{name}.crt"), "client-key-data": inline(f"{name}.key")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": name}}],
        "current-context": "testbed",
    }
    target = place.state / f"{name}.kubeconfig"
    target.touch(mode=0o600)
    target.write_text(json.dumps(content, indent=1))


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(("openssl", *arguments), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"testbed: openssl {arguments[0]}: {done.stderr.strip()}")
