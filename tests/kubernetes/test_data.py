"""Data of one's own with real pods: apps reach it through the gate with the former platform's client, nobody else does."""

import json
import shlex
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from k8s.kube.api import path
from tests.journey import data_apps, sleeping
from tests.journey.people import Person
from tests.journey.stack import client, discard, new_home, until
from tests.kubernetes.whole import ClusterStack

WITH_DETA = """
import json
from deta import Deta
deta = Deta()
base, drive = deta.Base('py'), deta.Drive('files')
base.put({'n': 5}, 'p')
base.update({'n': base.util.increment(2)}, 'p')
drive.put('a/ž.txt', 'hello')
print(json.dumps([base.get('p'), base.fetch({'n?gt': 4}).items, drive.get('a/ž.txt').read().decode()]))
"""
# What any language would do: a key, a host, https with the certificates that the environment names.
BY_HAND = """
import json, os, sys, urllib.error, urllib.request
host, project, key, method, what, body = sys.argv[1:]
headers = {'X-API-Key': key, 'Content-Type': 'application/json'}
wish = urllib.request.Request(f'https://{host}/v1/{project}/{what}', body.encode() or None, headers, method=method)
try:
    with urllib.request.urlopen(wish, timeout=40) as answer:
        print(json.dumps([answer.status, json.load(answer)]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, json.load(error)]))
"""

OWN_ADDRESS = """
import json, os, sys, urllib.error, urllib.request
headers = {'X-API-Key': sys.argv[1], 'Accept': 'application/json'}
try:
    wish = urllib.request.Request(f"https://{os.environ['DETA_SPACE_APP_HOSTNAME']}/x", headers=headers)
    print(json.dumps(urllib.request.urlopen(wish, timeout=40).status))
except urllib.error.HTTPError as error:
    print(json.dumps(error.code))
"""


class Shell:
    """A person's app that runs what it is told, in its pod."""

    def __init__(self, owner: Person, instance: dict[str, Any]) -> None:
        self.owner, self.instance, self.url = owner, instance, str(instance["url"])
        owner.web.get(self.url)  # signs in at the app's address
        self.key, self.host, self.drive_host = self.run(
            'printf "%s " $DETA_PROJECT_KEY $DETA_BASE_HOST $DETA_DRIVE_HOST'
        ).split()
        self.project = self.key.partition("_")[0]

    def run(self, command: str) -> str:
        headers = {"Origin": self.url.rstrip("/")}
        answer = self.owner.web.post(self.url, content=command.encode(), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    def python(self, code: str, *arguments: str) -> Any:
        return json.loads(self.run(shlex.join(("python3", "-c", code, *arguments))))

    def ask(self, what: str, method: str = "GET", body: str = "", *, project: str = "", key: str = "") -> Any:
        """[status, document]; of the own collection with the own key, unless others are named."""
        return self.python(BY_HAND, self.host, project or self.project, key or self.key, method, what, body)

    def put(self, base: str, item: dict[str, Any]) -> None:
        assert self.ask(f"{base}/items", "PUT", json.dumps({"items": [item]})) == [
            207,
            {"processed": {"items": [item]}},
        ]


@pytest.fixture(scope="module")
def freehold() -> Iterator[ClusterStack]:
    stack = ClusterStack(new_home("cluster-data"), {"FREEHOLD_DATA_SLEEP_AFTER_SECONDS": "2"})
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        stack.clear()
        discard(stack.home)


@pytest.fixture(scope="module")
def app(freehold: ClusterStack) -> tuple[Person, str]:
    owner = Person(freehold, "owner")
    return owner, owner.publish("shell", data_apps.SHELL)


@pytest.fixture(scope="module")
def shell(app: tuple[Person, str]) -> Shell:
    owner, slug = app
    return Shell(owner, owner.running(slug))


@pytest.fixture(scope="module")
def thief(freehold: ClusterStack, app: tuple[Person, str]) -> Shell:
    other = Person(freehold, "thief")
    return Shell(other, other.running(app[1]))


def servers(freehold: ClusterStack, person: Person) -> list[dict[str, Any]]:
    """The data server's pods of the person's cloud that are not on their way out."""
    return [pod for pod in pods(freehold, person) if pod["metadata"]["labels"].get("freehold/role") == "data"]


def pods(freehold: ClusterStack, person: Person, word: str = "") -> list[dict[str, Any]]:
    """Of the person's cloud, with this word in a label, that are not on their way out."""
    found: list[dict[str, Any]] = freehold.objects("Pod", str(person.call("GET", "cloud/")["namespace"]))
    mine = [pod for pod in found if word in str(pod["metadata"]["labels"])]
    return [pod for pod in mine if not pod["metadata"].get("deletionTimestamp")]


def test_the_deta_module_stores_and_reads(shell: Shell) -> None:
    item = {"key": "p", "n": 7}
    assert shell.python(WITH_DETA) == [item, [item], "hello"]


def test_any_client_reaches_it_by_the_names_in_its_environment(freehold: ClusterStack, shell: Shell) -> None:
    shell.put("letters", {"key": "k", "n": 1})
    assert shell.ask("letters/items/k") == [200, {"key": "k", "n": 1}]
    assert shell.host == shell.drive_host == f"database.deta.sh:{freehold.tls_port}"


def test_certificates_of_the_public_are_trusted_as_before(shell: Shell) -> None:
    """One file has those of the image and the cell's two, for every language."""
    count = "import json, ssl; print(json.dumps(ssl.create_default_context().cert_store_stats()['x509_ca']))"
    assert shell.python(count) == int(shell.run("grep -c BEGIN /etc/ssl/certs/ca-certificates.crt")) + 2
    same = shell.run('printf "%s " $SSL_CERT_FILE $REQUESTS_CA_BUNDLE $NODE_EXTRA_CA_CERTS $CURL_CA_BUNDLE').split()
    assert len(same) == 4 and len(set(same)) == 1


def test_the_data_server_is_one_system_pod_with_a_volume_of_its_own(freehold: ClusterStack, shell: Shell) -> None:
    (pod,) = servers(freehold, shell.owner)
    assert pod["spec"]["priorityClassName"] == "freehold-system"
    namespace = pod["metadata"]["namespace"]
    (claim,) = freehold.objects("PersistentVolumeClaim", namespace)
    assert claim["status"]["phase"] == "Bound"  # type: ignore[index]


def test_another_clouds_key_is_refused(shell: Shell, thief: Shell) -> None:
    shell.put("secret", {"key": "k", "n": 1})
    refused = [401, {"errors": ["Unauthorized"]}]
    assert thief.ask("secret/items/k", project=shell.project) == refused
    assert thief.ask("secret/items/k", project=shell.project, key=f"{shell.project}_guess") == refused
    assert shell.ask("secret/items/k") == [200, {"key": "k", "n": 1}]


def test_a_pod_calls_its_own_address_with_the_key_it_is_given(shell: Shell, thief: Shell) -> None:
    """Through the gate, like every other request; the key of another copy of the same app counts for nothing."""
    own, other = (one.run("printf %s $DETA_API_KEY") for one in (shell, thief))
    assert own != other
    assert [shell.python(OWN_ADDRESS, key) for key in (own, other, "")] == [200, 401, 401]


def test_an_app_that_asks_the_servers_pod_itself_gets_no_administration(freehold: ClusterStack, shell: Shell) -> None:
    (pod,) = servers(freehold, shell.owner)
    address = f"http://{pod['status']['podIP']}:8080/__admin/collections/{shell.project}"
    look = (
        "import json, sys, urllib.error, urllib.request\n"
        "try: answer = urllib.request.urlopen(sys.argv[1], timeout=5).status\n"
        "except urllib.error.HTTPError as error: answer = error.code\n"
        "print(json.dumps(answer))"
    )
    assert shell.python(look, address) == 401


def test_a_key_made_in_the_console_works_from_outside(freehold: ClusterStack, shell: Shell) -> None:
    collection = shell.owner.call("POST", "collections/", json={"name": "diary"})
    assert collection["data_host"] == f"localhost:{freehold.tls_port}"
    made = shell.owner.call("POST", f"collections/{collection['id']}/keys/", json={"name": "laptop"})
    url = f"https://{collection['data_host']}/v1/{made['project_id']}/days/items/x"
    with httpx.Client(verify=ssl.create_default_context(cafile=freehold.home / "ca.pem"), timeout=30) as program:
        until(lambda: program.get(url, headers={"X-API-Key": made["key"]}).status_code == 404, 10, "the key is known")
        assert program.get(url, headers={"X-API-Key": shell.key}).status_code == 401
    assert client().get(f"{shell.url}__space/v0/base/v1/dummy/days/items/x").status_code == 401


def test_data_survives_a_deleted_data_server_pod(freehold: ClusterStack, shell: Shell) -> None:
    shell.put("lasting", {"key": "k", "n": 1})
    (before,) = servers(freehold, shell.owner)
    metadata = before["metadata"]
    freehold.api.delete(path("Pod", metadata["namespace"], metadata["name"]))
    until(lambda: shell.ask("lasting/items/k") == [200, {"key": "k", "n": 1}], 90, "data after its pod was deleted", 1)
    (after,) = servers(freehold, shell.owner)
    assert after["metadata"]["uid"] != metadata["uid"]
    shell.put("lasting", {"key": "k", "n": 2})


def scale(freehold: ClusterStack, instance_id: str) -> tuple[int, int]:
    """Replicas of its Deployment, and how often what is wanted of it has changed."""
    (deployment,) = freehold.api.items(path("Deployment"), f"freehold/instance={instance_id}")
    return deployment["spec"]["replicas"], deployment["metadata"]["generation"]


def test_app_and_data_server_sleep_and_wake_together(freehold: ClusterStack, shell: Shell) -> None:
    """The pods go; a hundred visitors at once bring one of each back, by one change of scale, and all are answered."""
    owner, instance = shell.owner, shell.instance
    shell.put("dreams", {"key": "k", "n": 1})
    sleeping.put_to_sleep(owner, instance)
    until(lambda: not pods(freehold, owner, instance["id"]), 60, "no pod of the app")
    until(lambda: not servers(freehold, owner), 90, "no pod of the data server")
    before = scale(freehold, instance["id"])
    answers = sleeping.visit_at_once(owner, instance, 100)
    assert answers[1::2] == ["posted\n"] * 50
    assert scale(freehold, instance["id"]) == (1, before[1] + 1)
    assert len(pods(freehold, owner, instance["id"])) == 1
    assert shell.ask("dreams/items/k") == [200, {"key": "k", "n": 1}]
    assert len(servers(freehold, owner)) == 1
