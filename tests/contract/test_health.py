"""Micros that name a path by which they are well."""

from dataclasses import replace

from k8s.specs import PROBING, MicroPhase, MicroSpec
from tests.contract.apps import Tenant
from tests.contract.lanes import LocalLane, until

# Answers /up with $MOOD or 200, if the Host header is the app's; /say/STATUS/SECONDS gives it another mood for a while.
MOODY = """
import http.server, os, time
mood, until = os.environ.get("MOOD", "200"), float("inf")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global mood, until
        _, verb, *rest = self.path.split("/")
        if verb == "say":
            mood, until = rest[0], time.monotonic() + float(rest[1])
        now = mood if time.monotonic() < until else "200"
        if verb == "up" and now == "silent":
            time.sleep(60)
        self.send_response(int(now) if verb == "up" and self.headers["Host"] == "notes-abc.apps.localhost" else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
NOTICED_S = 60.0 + PROBING.every_s * PROBING.restart_after + PROBING.timeout_s


def moody(tenant: Tenant, **changes: object) -> MicroSpec:
    return replace(tenant.micro(), health="/up", **changes)  # type: ignore[arg-type]


def test_a_micro_is_ready_once_its_health_answers(tenant: Tenant) -> None:
    spec = tenant.instance(MOODY, micros=(moody(tenant),))
    assert tenant.lane.get(tenant.run(spec)) == "hello"


def test_a_micro_whose_health_never_answers_is_given_up_with_the_path(tenant: Tenant) -> None:
    spec = tenant.instance(MOODY, micros=(moody(tenant, env={"MOOD": "503"}),), ready_timeout_s=10)
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed, NOTICED_S)
    assert "did not answer /up on port" in tenant.status(spec).micros[0].reason
    assert tenant.status(spec).micros[0].upstream is None


def test_nobody_is_sent_to_a_micro_that_is_unwell_until_it_answers_again(tenant: Tenant) -> None:
    spec = tenant.instance(MOODY, micros=(moody(tenant),))
    upstream = tenant.run(spec)
    # Longer than it takes to be noticed, shorter than it takes to be started again.
    tenant.lane.get(upstream, f"/say/500/{PROBING.every_s * (PROBING.restart_after - 2)}")
    until(lambda: tenant.status(spec).micros[0].upstream is None, NOTICED_S)
    assert tenant.status(spec).micros[0].phase is MicroPhase.STARTING
    until(lambda: tenant.status(spec).ready, NOTICED_S)
    assert tenant.status(spec).micros[0].restarts == 0


def test_a_micro_that_stays_unwell_is_started_again(tenant: Tenant) -> None:
    spec = tenant.instance(MOODY, micros=(moody(tenant),), ready_timeout_s=20)
    tenant.lane.get(tenant.run(spec), "/say/silent/600")
    until(lambda: tenant.status(spec).micros[0].restarts == 1, 2 * NOTICED_S + 75)
    until(lambda: tenant.status(spec).ready, NOTICED_S)
    if isinstance(tenant.lane, LocalLane):  # a cluster keeps no lines of a container that was replaced
        lines = [line.text for line in tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id)]
        assert any("did not answer /up" in line and "was ended" in line for line in lines), lines
