"""A node agent as root, and an app inside whose words about its own sandbox the tests compare with what they know."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from k8s.local.layout import NetworkPlan, network_plan
from k8s.specs import InstanceSpec
from tests.contract.apps import Tenant
from tests.contract.lanes import LocalLane

# Evaluates the expression in its query and answers with JSON. It is an app of a stranger: it may do what it likes.
PROBE = """
import ctypes, errno, http.server, json, os, resource, socket, struct, subprocess, sys, threading, urllib.parse
def connects(address, port, timeout=1.5):
    try:
        socket.create_connection((address, port), timeout).close()
        return True
    except OSError:
        return False
def reads(path):
    try:
        return open(path).read()
    except OSError as error:
        return type(error).__name__
def system_call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *arguments)
    return errno.errorcode.get(ctypes.get_errno(), "") if result < 0 else "done"
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            answer = eval(urllib.parse.unquote(self.path.partition("?")[2]))
        except Exception as error:
            answer = "raised " + repr(error)
        body = json.dumps(answer, default=repr).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer((os.environ.get("BIND", "127.0.0.1"), 8080), Handler).serve_forever()
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces and users of their own need root")
Ask = Callable[[str], Any]


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalLane]:
    lane = LocalLane(tmp_path_factory.mktemp("node"), "--gate-port", "18000", "--tls-port", "18443")
    yield lane
    lane.close()


@pytest.fixture(scope="session")
def plan(lane: LocalLane) -> NetworkPlan:
    return network_plan(lane.home)


@pytest.fixture
def tenant(lane: LocalLane) -> Iterator[Tenant]:
    tenant = Tenant(lane)
    lane.cluster.ensure_cloud(tenant.cloud())
    yield tenant
    lane.cluster.delete_cloud(tenant.cloud_id)


@pytest.fixture
def inside(tenant: Tenant) -> Ask:
    """Evaluates an expression inside a running sandbox."""
    return asker(tenant, tenant.instance(PROBE))


def asker(tenant: Tenant, spec: InstanceSpec) -> Ask:
    upstream = tenant.run(spec)
    return lambda expression: json.loads(tenant.lane.get(upstream, "/?" + quote(expression)))
