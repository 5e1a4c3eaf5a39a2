"""What the driver makes of an apiserver that refuses, is slow to accept, or does what it is told and then hangs up."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from k8s.errors import ClusterError, NotFound, Permanent, Temporary
from k8s.kube.api import Api, path, refusal
from k8s.naming import FIELD_MANAGER, HASH

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "n", "annotations": {HASH: "h1"}},
}


class Commits(BaseHTTPRequestHandler):
    """Keeps what is applied, answers reads, and cuts every answer to a write."""

    kept: dict[str, Any] = {}
    owned: dict[str, Any] = {"f:metadata": {}}

    def do_PATCH(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sent["metadata"]["managedFields"] = [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": self.owned}]
        self.kept[self.path.split("?")[0]] = sent
        self.connection.close()

    def do_GET(self) -> None:
        found = self.kept.get(self.path.split("?")[0])
        body = json.dumps(found or {"message": "not found"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


class LosesAField(Commits):
    """Somebody altered the object right after."""

    owned = {"f:metadata": {"f:labels": {}}}


class Loses(Commits):
    """Hangs up before it has kept anything."""

    def do_PATCH(self) -> None:
        self.connection.close()


@pytest.fixture(params=[Commits, Loses, LosesAField])
def hangs_up(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[type, Api]]:
    request.param.kept = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), request.param) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield request.param, Api(kubeconfig(tmp_path, server.server_port), None)
        server.shutdown()


def kubeconfig(folder: Path, port: int) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    return str(file)


def test_a_write_whose_answer_was_lost_is_known_by_its_hash(hangs_up: tuple[type, Api]) -> None:
    server, api = hangs_up
    if server is Commits:
        assert api.apply(SECRET)["metadata"]["annotations"][HASH] == "h1"
    else:
        with pytest.raises(Temporary):
            api.apply(SECRET)


def test_a_rule_that_cannot_be_asked_is_waited_for_and_named() -> None:
    error = refusal(500, {}, json.dumps({"message": 'failed calling webhook "x.test": refused'}))
    assert isinstance(error, Temporary)
    assert str(error).startswith("A rule of the cluster cannot be asked; the operator must see to it. (")


def test_a_cluster_that_is_not_there_is_temporary(tmp_path: Path) -> None:
    with pytest.raises(Temporary, match="cannot be reached"):
        Api(kubeconfig(tmp_path, 1), None).get(path("Node"))


def test_a_configuration_that_is_not_there_is_permanent(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="configuration"):
        Api(str(tmp_path / "nowhere"), None)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "bad", Permanent),
        (401, "who", Temporary),
        (403, "exceeded quota: apps", Permanent),
        (403, "namespace is forbidden because it is being terminated", Temporary),
        (403, "forbidden: status unknown for quota: objects, resources: services", Temporary),
        (404, "not found", NotFound),
        (409, "the object has been modified", Temporary),
        (410, "too old", NotFound),
        (422, "is invalid", Permanent),
        (429, "slow down", Temporary),
        (500, "etcd", Temporary),
        (503, "starting", Temporary),
    ],
)
def test_a_status_says_whether_trying_again_helps(status: int, message: str, kind: type[ClusterError]) -> None:
    error = refusal(status, {}, json.dumps({"message": message}))
    assert type(error) is kind
    assert message in str(error)


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (403, 'services "s" is forbidden: exceeded quota: objects', "ask the operator for a larger quota"),
        (403, 'secrets is forbidden: User "u" cannot create resource', "the operator must grant the right"),
        (403, 'admission webhook "w" denied the request: no', "A rule of the cluster refuses this"),
        (422, "ValidatingAdmissionPolicy 'p' denied request", "A rule of the cluster refuses this"),
    ],
)
def test_a_refusal_says_who_can_do_what_about_it(status: int, message: str, advice: str) -> None:
    assert advice in str(refusal(status, {}, json.dumps({"message": message})))


def test_the_server_says_how_long_to_wait() -> None:
    error = refusal(429, {"retry-after": "7"}, b"<html>")
    assert isinstance(error, Temporary)
    assert error.retry_after_s == 7
    assert str(error) == "the cluster answered with status 429"
