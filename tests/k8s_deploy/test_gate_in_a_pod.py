"""The gate's configuration as its pod would write it, read by the real proxy."""

import subprocess
from pathlib import Path

import pytest

from provider.gate import config
from tests.k8s_deploy.rendered import environment, every_container, pods


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """The proxy's environment, with its folders and certificates moved below the test's own."""
    (container,) = [one for _, _, one in every_container() if one["args"] == ["gate"]]
    here = {"/var/lib/freehold": str(tmp_path / "home"), "/run/freehold": str(tmp_path / "run")}
    here["/etc/freehold/certificates"] = str(tmp_path / "certificates")
    (tmp_path / "run").mkdir()
    _mount(tmp_path / "certificates")
    return {name: here.get(value, value) for name, value in environment(container).items()}


def _mount(folder: Path) -> None:
    """As a kubelet lays out the volume: names are links into a hidden folder, so that all change at once."""
    data = folder / "..2026_11_25"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    (volume,) = [v for v in pods()["gate"]["spec"]["volumes"] if v["name"] == "certificates"]
    for source in volume["projected"]["sources"]:
        paths = {item["key"]: item["path"] for item in source["secret"]["items"]}
        names = ("-subj", "/CN=freehold.example", "-keyout", data / paths["tls.key"], "-out", data / paths["tls.crt"])
        making = (
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        )
        subprocess.run([*making, *names], check=True, capture_output=True)
        for path in paths.values():
            (folder / path).symlink_to(Path("..data") / path)


def test_the_proxy_accepts_it_with_both_certificates(given: dict[str, str]) -> None:
    written = config.write(config.from_environment(given))
    done = subprocess.run(["haproxy", "-c", "-f", written], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = written.read_text()
    assert f"bind 0.0.0.0:8443 ssl crt {given['FREEHOLD_CERTIFICATE']}" in text
    assert "server web 10.96.0." in text
    assert " data.apps-of-freehold.example localhost " in text  # below the apps' domain, as its certificate


def test_a_key_that_is_missing_stops_the_start(given: dict[str, str]) -> None:
    (Path(given["FREEHOLD_CERTIFICATE"]) / "apps.pem.key").unlink()
    written = config.write(config.from_environment(given))
    assert subprocess.run(["haproxy", "-c", "-f", written], capture_output=True).returncode != 0


def test_a_pod_is_ready_once_the_maps_are(given: dict[str, str]) -> None:
    """Asked as the pod's probe asks, of a proxy that is not there."""
    probe = pods()["gate"]["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
    done = subprocess.run(["python3", *probe[1:]], env={**given, "PATH": "/usr/bin"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
