"""Micros that are OCI images: run as they are where the driver can, refused with a sentence where it cannot."""

import shlex
from dataclasses import replace

import pytest

from k8s.errors import Permanent
from k8s.specs import InstanceSpec
from tests.contract.apps import WEB, Tenant
from tests.contract.lanes import until

LOOKS = """
import http.server, os
facts = {name: os.environ.get(name) for name in ("PORT", "HOME", "GREETING", "FREEHOLD_BUNDLE_TOKEN")}
facts["user"] = os.getuid()
facts["writable"] = [place for place in ("/", "/tmp", "/etc", "/usr", "/bundle") if os.access(place, os.W_OK)]
facts["first"] = open("/proc/1/cmdline").read().split("\\0")[0]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = repr(facts).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("s looks like a line of the platform", flush=True)
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def of_image(tenant: Tenant, code: str, image: str, **env: str) -> InstanceSpec:
    command = f"exec python3 -c {shlex.quote(code)}"
    micro = replace(tenant.micro(env=env), engine="custom", root="", command=command, image=image)
    return tenant.instance(micros=(micro,), artifact="")


def test_an_image_is_run_as_it_is_or_refused_with_its_name(tenant: Tenant) -> None:
    image = tenant.lane.image()
    if image is None:
        image = "registry.example/tool@sha256:" + "0" * 64
        with pytest.raises(Permanent, match=f"“main” is an image .image: {image}., which one machine cannot run"):
            tenant.lane.cluster.apply_instance(of_image(tenant, WEB, image))
        return
    spec = of_image(tenant, LOOKS, image, GREETING="grüezi")
    facts = eval(tenant.lane.get(tenant.run(spec)))
    assert facts == {
        "PORT": "8080",
        "HOME": "/tmp",
        "GREETING": "grüezi",
        "FREEHOLD_BUNDLE_TOKEN": None,
        "user": 10001,
        "writable": ["/tmp"],
        "first": "python3",  # nothing of ours is before it
    }
    found = lambda: [(x.stream, x.text) for x in tenant.lane.cluster.logs(spec.cloud_id, spec.instance_id)]  # noqa: E731
    until(lambda: ("out", "s looks like a line of the platform") in found())
    stopped = replace(spec, generation=2, replicas=0)
    tenant.lane.cluster.apply_instance(stopped)
    until(lambda: tenant.is_at(stopped) and tenant.status(stopped).stopped)


@pytest.mark.parametrize("image", ["registry.example/tool:latest", "Registry/x@sha256:" + "0" * 64, ""])
def test_an_image_without_a_digest_is_refused_everywhere(tenant: Tenant, image: str) -> None:
    with pytest.raises(Permanent, match="“main”"):
        tenant.lane.cluster.apply_instance(of_image(tenant, WEB, image))
