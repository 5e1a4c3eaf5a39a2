"""CLUSTER_URL of a Kubernetes: what of it is read from files."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from k8s.errors import Permanent
from k8s.kube.address import from_url
from tests.k8s_kube.specs import CELL

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("k" * 64)
    user = "{name: u, user: {token: t}}"
    clusters = "[{name: c, cluster: {server: 'https://127.0.0.1:1'}}]"
    contexts = "[{name: c, context: {cluster: c, user: u}}]"
    text = f"clusters: {clusters}\ncontexts: {contexts}\nusers: [{user}]\ncurrent-context: c\n"
    (tmp_path / "kubeconfig").write_text(text)
    return tmp_path


def cell(place: Path, trusted: list[str], **more: str) -> Any:
    query: dict[str, Any] = {f"image.{name}": image for name, image in CELL.images.items()}
    query |= {"installation": CELL.installation, "bundles": "http://b", "key": str(place / "key"), "trusted": trusted}
    query |= more
    return from_url(f"kubernetes://{place}/kubeconfig?{urlencode(query, doseq=True)}")._cell


def test_apps_trust_all_files_of_certificates_that_it_names(place: Path) -> None:
    (place / "one.pem").write_text(PEM)
    (place / "two.pem").write_text(f"{PEM}\n")
    named = [str(place / name) for name in ("one.pem", "two.pem")]
    assert cell(place, named).trusted == f"{PEM}\n{PEM}\n"
    assert cell(place, []).trusted == ""


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", f"{PEM}\n-----BEGIN PRIVATE KEY-----\n".encode()])
def test_a_file_that_is_missing_or_holds_something_else_is_refused_by_name(place: Path, content: bytes | None) -> None:
    """A key in it would be shown to every app."""
    file = place / "odd.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Permanent, match="odd.pem"):
        cell(place, [str(file)])


def test_variables_of_builds_are_named_one_by_one(place: Path) -> None:
    wanted = {"HTTPS_PROXY": "http://10.0.0.1:3128", "npm_config_registry": "https://r.example/npm/?a=b&c"}
    assert cell(place, [], **{f"build.{name}": value for name, value in wanted.items()}).build_env == wanted
    assert cell(place, []).build_env == {}


@pytest.mark.parametrize("name", ["build.", "build.A-B", "build.1", "build.FREEHOLD_BUNDLE_URL"])
def test_what_is_no_variable_for_builds_is_refused_by_name(place: Path, name: str) -> None:
    with pytest.raises(Permanent, match=name):
        cell(place, [], **{name: "x"})


def test_ranges_of_pods_are_networks(place: Path) -> None:
    assert cell(place, [], pods="10.244.0.0/16").pods == ("10.244.0.0/16",)
    with pytest.raises(Permanent, match="names no network.*10.244.0.1/16"):
        cell(place, [], pods="10.244.0.1/16")
