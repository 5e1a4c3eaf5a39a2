"""What crosses the cluster port: frozen dataclasses, no Django, no driver types.

Units are in the names: `_mib` mebibytes, `_millis` thousandths of a core, `_s` seconds, `_bytes` bytes.
Ids are lower-case ASCII letters and digits, at most 40 characters, so that they are valid as labels, file names and
parts of host names alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class Limits:
    """Hard limits of one process tree; never reservations."""

    cpu_millis: int = 200
    memory_mib: int = 512
    processes: int = 1024


@dataclass(frozen=True)
class CloudSpec:
    """One person's namespace. The quota is what the cluster enforces, a second line behind the database's."""

    cloud_id: str
    namespace: str
    cpu_millis: int
    memory_mib: int
    storage_mib: int
    instances: int


class MicroKind(StrEnum):
    PROCESS = "process"  # a command that listens on $PORT
    STATIC = "static"  # files out of the bundle; no process of its own


@dataclass(frozen=True)
class MicroSpec:
    """One micro of an instance.

    root: folder inside the artifact (posix, relative) that is the micro's working directory.
    command: shell line that listens on $PORT; None for a static micro, and for an image that starts by its own entrypoint.
    serve: folder inside the artifact whose files a static micro serves; None for a process.
    python_path: folders inside the artifact to put on PYTHONPATH (dependencies), may be empty.
    env: the complete environment of the app except PORT and what the sandbox must add (HOME, PATH, CA variables).
    image: an OCI image by digest, "registry/name@sha256:<64 hex>", that is run in place of code out of the artifact.
    health: path that answers 200 to 399 to a GET while the process is well; None: whoever accepts connections is well.
    offline: it reaches the gate and its cloud's data, and nothing of the Internet, where the driver separates networks.
    """

    name: str
    kind: MicroKind
    engine: str
    root: str
    command: str | None = None
    serve: str | None = None
    python_path: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    image: str | None = None
    health: str | None = None
    offline: bool = False


@dataclass(frozen=True)
class Probing:
    """How a micro's `health` is asked for, the same in every driver. Times in seconds, counts of misses in a row.

    A miss is a status outside 200 to 399, no connection, or no answer within `timeout_s`.
    """

    every_s: int = 2
    timeout_s: int = 5
    unready_after: int = 3  # nobody is sent there until it answers again
    restart_after: int = 15  # its process is ended and started again


PROBING = Probing()


@dataclass(frozen=True)
class VolumeSpec:
    """A folder that belongs to the instance and outlives restarts and updates. `path` is absolute inside the sandbox."""

    path: str
    size_mib: int


class Role(StrEnum):
    """What an instance is to its cloud: who may reach it, and whose quota it counts against."""

    APP = "app"
    DATA = "data"  # the cloud's data server, which the provider runs


@dataclass(frozen=True)
class InstanceSpec:
    """The whole desired state of one installed copy.

    generation: grows with every change of desired state; observations name the generation that they are of.
    replicas: 0 (asleep, stopped) or 1; always part of the spec, so there is one writer of this fact.
    artifact: "sha256:<64 hex>" of the built artifact in the artifact store; "" where every micro is an image.
    host: the instance's own host name without port; apps call themselves by it.
    gate_hosts: further names that lead to the gate.
    restart: grows when the owner asks for a restart; a changed value replaces the processes.
    """

    cloud_id: str
    namespace: str
    instance_id: str
    generation: int
    replicas: int
    artifact: str
    host: str
    micros: tuple[MicroSpec, ...]
    volume: VolumeSpec | None = None
    restart: int = 0
    ready_timeout_s: int = 60
    role: Role = Role.APP
    gate_hosts: tuple[str, ...] = ()


class MicroPhase(StrEnum):
    PENDING = "pending"  # accepted, not started
    STARTING = "starting"  # running, not yet accepting connections
    READY = "ready"  # accepted a TCP connection
    STOPPED = "stopped"  # zero replicas
    FAILED = "failed"  # gave up: `reason` says why; a new generation or restart tries again


@dataclass(frozen=True)
class MicroStatus:
    """upstream: "address:port" that the gate may use; None while nothing answers and for static micros.

    While an update comes up, or after it failed, it is that of the older process, which goes on serving.

    candidate: "address:port" where the process that is coming up will listen, while there is no upstream: for whoever tries
    first whether anything accepts connections there. It may be somebody else's as soon as this process is gone.

    reason: a sentence for the owner when FAILED, else "". log_tail: last lines of output when FAILED.
    """

    name: str
    phase: MicroPhase
    upstream: str | None = None
    reason: str = ""
    log_tail: str = ""
    restarts: int = 0
    candidate: str | None = None


@dataclass(frozen=True)
class InstanceStatus:
    """What the cluster sees. `generation` is that of the spec the driver last acted on (0: never)."""

    instance_id: str
    cloud_id: str
    generation: int
    restart: int
    micros: tuple[MicroStatus, ...]

    @property
    def ready(self) -> bool:
        return bool(self.micros) and all(m.phase is MicroPhase.READY for m in self.micros)

    @property
    def failed(self) -> bool:
        return any(m.phase is MicroPhase.FAILED for m in self.micros)

    @property
    def stopped(self) -> bool:
        return all(m.phase is MicroPhase.STOPPED for m in self.micros)


@dataclass(frozen=True)
class BuildMicro:
    """What the builder must do for one micro; see k8s/runtimes/builder for the meaning of each engine.

    src: folder inside the source bundle. commands: shell lines run in it after dependencies are installed.
    include: what to keep of it (empty: everything). run, serve: as in the Spacefile, None where absent.
    """

    name: str
    engine: str
    src: str
    commands: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    run: str | None = None
    serve: str | None = None


@dataclass(frozen=True)
class BuildSpec:
    """A build job: source bundle in, artifact out. Runs in the developer's own cloud.

    source: "sha256:<hex>" of the uploaded zip in the artifact store (already checked by apps_catalog.bundles).
    as_of: RFC 3339 date for resolving unpinned dependencies; None means now.
    """

    cloud_id: str
    namespace: str
    job_id: str
    source: str
    micros: tuple[BuildMicro, ...]
    as_of: str | None = None
    limits: Limits = Limits(cpu_millis=2000, memory_mib=2048, processes=2048)
    timeout_s: int = 900
    output_limit_mib: int = 500


class JobTask(StrEnum):
    """What a job does. All but COMMAND are about copies of the instance's volume, on which nothing runs meanwhile."""

    COMMAND = "command"
    KEEP = "keep"  # make the copy `copy_id`, unless it is there; every other copy of this volume goes
    GIVE_BACK = (
        "give_back"  # the copy takes the volume's place, and is none any more; where there is none, nothing changes
    )
    FORGET = "forget"  # every copy goes


@dataclass(frozen=True)
class JobSpec:
    """One thing that is done to an instance, to its end: a command of its own (a migration), or a copy of its volume.

    instance: the version whose code, environment, limits and volume `micro` of it lends to the command.
    job_id: one job, however often it is asked for. A job may be begun anew where its machine fails.
    copy_id: which copy is meant, for tasks other than COMMAND.
    """

    job_id: str
    instance: InstanceSpec
    micro: str
    command: str
    timeout_s: int = 600
    task: JobTask = JobTask.COMMAND
    copy_id: str = ""


class JobPhase(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class BuiltMicro:
    """How to start what was built: fields as in MicroSpec. notes: sentences for the developer (engine substitutions)."""

    name: str
    kind: MicroKind
    engine: str
    root: str
    command: str | None = None
    serve: str | None = None
    python_path: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobStatus:
    """reason and log_tail (last lines) when FAILED. Of builds alone: artifact and size_bytes when SUCCEEDED (digest
    computed outside the sandbox), micros."""

    job_id: str
    cloud_id: str
    phase: JobPhase
    artifact: str | None = None
    size_bytes: int = 0
    micros: tuple[BuiltMicro, ...] = ()
    reason: str = ""
    log_tail: str = ""


@dataclass(frozen=True)
class LogLine:
    """at: RFC 3339 UTC with milliseconds. stream: "out", "err", or "sys" for lines of the platform itself."""

    at: str
    micro: str
    stream: str
    text: str


@dataclass(frozen=True)
class CloudUsage:
    """Measured now. memory_bytes and storage_bytes are instantaneous, cpu_seconds grows since the cloud's start."""

    cpu_seconds: float
    memory_bytes: int
    storage_bytes: int


@dataclass(frozen=True)
class Sample:
    """What one process has taken, as counted where it runs. owner: instance or job id.

    source: names the process and its start, so that a counter that began anew is not taken for one that went back, where
    the driver can tell; else a value below the one before says so. cpu_us: microseconds since that start, only growing.
    memory_bytes: now.
    """

    owner: str
    source: str
    cpu_us: int
    memory_bytes: int


@dataclass(frozen=True)
class Change:
    """Something moved: ask `observe` or `job` again. Only a hint: it may come twice, late, or for nothing.

    altered: what we applied may have been changed or taken away by somebody else: apply it again. Without an instance and
    a job it is about what holds the cloud together.
    """

    cloud_id: str
    instance_id: str | None = None
    job_id: str | None = None
    altered: bool = field(default=False, compare=False)
