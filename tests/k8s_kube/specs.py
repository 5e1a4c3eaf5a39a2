"""One cloud, one instance, one build, and the cell they are in."""

from k8s.cell import Cell
from k8s.specs import BuildMicro, BuildSpec, CloudSpec, InstanceSpec, Limits, MicroKind, MicroSpec, Role, VolumeSpec

CELL = Cell(
    installation="5f6c0a9e-0000-4000-8000-000000000001",
    images={"python": "freehold/python:1", "node": "freehold/node:1", "builder": "freehold/builder:1"},
    bundle_url="http://bundles.freehold:8009",
    gate_address="203.0.113.7",
    blocked=("198.51.100.0/24",),
)
CLOUD = CloudSpec("c1", "cloud-c1", cpu_millis=2000, memory_mib=4096, storage_mib=2048, instances=10)
WEB = MicroSpec(
    "Web.App",
    MicroKind.PROCESS,
    "python3.11",
    "Web.App/app",
    "uvicorn main:app --name $(whoami)",
    python_path=("Web.App/deps",),
    env={"GREETING": "grüezi", "HOME": "/data"},
    limits=Limits(cpu_millis=400, memory_mib=512),
)
PAGE = MicroSpec("page", MicroKind.STATIC, "static", "page/app", serve="page/app")
INSTANCE = InstanceSpec(
    "c1",
    "cloud-c1",
    "ins1",
    generation=3,
    replicas=1,
    artifact="sha256:" + "a" * 64,
    host="notes-x7.apps.example",
    micros=(WEB, PAGE),
    restart=2,
)
WITH_VOLUME = VolumeSpec("/data", 100)
DATA_SERVER = InstanceSpec(
    "c1",
    "cloud-c1",
    "data1",
    generation=1,
    replicas=1,
    artifact="sha256:" + "d" * 64,
    host="data1.invalid",
    micros=(MicroSpec("data", MicroKind.PROCESS, "python3.11", "data/app", "exec serve", limits=Limits(1000, 256)),),
    volume=VolumeSpec("/data", 2048),
    role=Role.DATA,
)
BUILD = BuildSpec(
    "c1",
    "cloud-c1",
    "job1",
    "sha256:" + "b" * 64,
    (BuildMicro("web", "nodejs20", "src", ("npm run build",), run="node ."),),
    as_of="2024-01-01",
    limits=Limits(1000, 2048),
    timeout_s=300,
    output_limit_mib=100,
)
