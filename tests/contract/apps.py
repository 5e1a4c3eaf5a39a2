"""Small apps for the suite, and specs that run them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from k8s.specs import (
    BuildMicro,
    BuildSpec,
    CloudSpec,
    InstanceSpec,
    InstanceStatus,
    Limits,
    MicroKind,
    MicroSpec,
    VolumeSpec,
)
from tests.contract.lanes import Lane, until

# Answers /env/NAME, /write/TEXT (to $NOTES), /read, /exit/CODE, /print/TEXT and everything else with its $ANSWER.
WEB = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, verb, rest = (self.path + "//").split("/", 2)
        rest = rest.strip("/")
        notes = os.environ.get("NOTES", "/tmp") + "/note"
        if verb == "exit":
            os._exit(int(rest))
        if verb == "write":
            open(notes, "w").write(rest)
        if verb == "print":
            print(rest, flush=True)
        body = os.environ.get("ANSWER", "hello")
        if verb == "env":
            body = os.environ.get(rest, "")
        if verb == "read":
            body = open(notes).read() if os.path.exists(notes) else "nothing"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *arguments):
        pass
print("starting", flush=True)
print("a warning", file=sys.stderr, flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
SLEEPS = "import time; print('awake but deaf', flush=True); time.sleep(600)"


def new_id() -> str:
    return uuid.uuid4().hex[:16]


@dataclass
class Tenant:
    """A cloud in a lane, with the specs to fill it."""

    lane: Lane
    cloud_id: str = field(default_factory=new_id)

    def cloud(self) -> CloudSpec:
        return CloudSpec(self.cloud_id, f"cloud-{self.cloud_id}", 4000, 4096, 4096, 20)

    def micro(
        self, name: str = "main", *, env: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> MicroSpec:
        generous = limits or Limits(cpu_millis=1000, memory_mib=256)
        return MicroSpec(
            name, MicroKind.PROCESS, "python3.11", f"{name}/app", "python3 main.py", env=env or {}, limits=generous
        )

    def instance(self, code: str = WEB, *, micros: tuple[MicroSpec, ...] = (), **changes: object) -> InstanceSpec:
        micros = micros or (self.micro(),)
        files = {f"{micro.name}/app/main.py": code for micro in micros}
        values: dict[str, object] = {
            "cloud_id": self.cloud_id,
            "namespace": f"cloud-{self.cloud_id}",
            "instance_id": new_id(),
            "generation": 1,
            "replicas": 1,
            "artifact": self.lane.artifact(files),
            "host": "notes-abc.apps.localhost",
            "micros": micros,
            "ready_timeout_s": 20,
        }
        return InstanceSpec(**{**values, **changes})  # type: ignore[arg-type]

    def volume(self) -> VolumeSpec:
        return VolumeSpec("/data", 16)

    def build(self, files: Mapping[str, str], *micros: BuildMicro, **changes: object) -> BuildSpec:
        values: dict[str, object] = {
            "cloud_id": self.cloud_id,
            "namespace": f"cloud-{self.cloud_id}",
            "job_id": new_id(),
            "source": self.lane.source(files),
            "micros": micros,
        }
        return BuildSpec(**{**values, **changes})  # type: ignore[arg-type]

    def status(self, spec: InstanceSpec) -> InstanceStatus:
        return self.lane.cluster.observe(spec.cloud_id, spec.instance_id)

    def run(self, spec: InstanceSpec) -> str:
        """Apply and wait until it is ready; returns the first micro's upstream."""
        self.lane.cluster.apply_instance(spec)
        status = self.settled(spec)
        assert status.ready, status
        return status.micros[0].upstream or ""

    def settled(self, spec: InstanceSpec) -> InstanceStatus:
        """What the driver says once it has come to an end with `spec`."""
        seen: list[InstanceStatus] = []

        def looked() -> bool:
            seen[:] = [self.status(spec)]
            return seen[0].generation == spec.generation and (seen[0].ready or seen[0].failed)

        until(looked)
        return seen[0]

    def is_at(self, spec: InstanceSpec) -> bool:
        return self.status(spec).generation == spec.generation

    def gone(self, spec: InstanceSpec) -> bool:
        return not self.lane.cluster.instance_exists(spec.cloud_id, spec.instance_id)

    def remove(self, spec: InstanceSpec, *, delete_volume: bool = True) -> None:
        self.lane.cluster.delete_instance(spec.cloud_id, spec.instance_id, delete_volume=delete_volume)
        until(lambda: self.gone(spec))
