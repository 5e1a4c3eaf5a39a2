"""Rows → what the cluster port takes. The same rows give the same spec."""

from django.conf import settings

from apps_catalog.blueprint import PROCESS, Part, blueprint_of, spacefile_of
from apps_catalog.build import plan
from apps_catalog.models import Revision
from k8s.naming import FORMER_DATA_HOSTS
from k8s.specs import (
    BuildMicro,
    BuildSpec,
    CloudSpec,
    InstanceSpec,
    JobSpec,
    JobTask,
    Limits,
    MicroKind,
    MicroSpec,
    Role,
    VolumeSpec,
)
from tenants.addresses import authority
from tenants.data_secrets import calls_key, cloud_secrets
from tenants.data_server import keys
from tenants.models import Cloud, Collection, DataServer, Instance, Wanted
from tenants.sizes import Size, size_of, size_of_part
from tenants.states import CloudState

DATA_SERVER_LIMITS = Limits(cpu_millis=1000, memory_mib=256, processes=64)
SMALLEST_VOLUME_MIB = 256


def cloud_spec(cloud: Cloud) -> CloudSpec:
    quota = cloud.quota
    return CloudSpec(
        cloud_id=cloud.pk,
        namespace=cloud.namespace,
        cpu_millis=quota.cpu_millis,
        memory_mib=quota.memory_mib,
        storage_mib=quota.storage_mib,
        instances=quota.instances,
    )


def instance_spec(instance: Instance) -> InstanceSpec:
    """`instance` with cloud, revision and release at hand. Raises ValueError for a revision that is not built."""
    blueprint = blueprint_of(instance.revision)
    size = size_of(instance, blueprint)
    volume = None
    if blueprint.volume_path is not None:
        volume = VolumeSpec(blueprint.volume_path, blueprint.volume_mib)
    return InstanceSpec(
        cloud_id=instance.cloud_id,
        namespace=instance.cloud.namespace,
        instance_id=instance.pk,
        generation=instance.generation,
        replicas=1 if instance.wanted == Wanted.RUNNING and instance.cloud.state == CloudState.ACTIVE else 0,
        artifact=instance.revision.digest,
        host=instance.host,
        micros=tuple(_micro(instance, part, size_of_part(part, size)) for part in blueprint.parts),
        volume=volume,
        restart=instance.restart,
        gate_hosts=_gate_hosts(),
    )


def migration_specs(instance: Instance, spec: InstanceSpec) -> list[JobSpec]:
    """What must have run before `spec`, which is the instance's, may take over: one after the other."""
    kept = [copy_spec(instance, spec, JobTask.KEEP)] if instance.copy_id and spec.volume else []
    return kept + [
        JobSpec(
            job_id=f"{instance.migration}{number}",
            instance=spec,
            micro=part.name,
            command=part.migrate or "",
            timeout_s=settings.MIGRATION_TIMEOUT_S,
        )
        for number, part in enumerate(blueprint_of(instance.revision).migrations)
    ]


def copy_spec(instance: Instance, spec: InstanceSpec, task: JobTask) -> JobSpec:
    """`task` for the copy that the instance's row names: another job for each generation, so that Retry tries anew."""
    job_id = f"{instance.copy_id}{task[0]}{instance.generation}"
    return JobSpec(job_id, spec, spec.micros[0].name, "", task=task, copy_id=instance.copy_id)


def data_server_spec(server: DataServer, program: str) -> InstanceSpec:
    """`server` with its cloud and plan. program: digest of the artifact that data servers run."""
    cloud = server.cloud
    secrets = cloud_secrets(settings.DATA_KEY, cloud.pk)
    micro = MicroSpec(
        name="data",
        kind=MicroKind.PROCESS,
        engine="python3.11",
        root="data/app",
        command="exec python3 -m tenants.data_program",
        python_path=("data/deps",),
        env={
            "FREEHOLD_DATA_MASTER": secrets.master.hex(),
            "FREEHOLD_DATA_GATE": secrets.gate.hex(),
            "FREEHOLD_DATA_ADMIN": secrets.admin,
        },
        limits=DATA_SERVER_LIMITS,
    )
    return InstanceSpec(
        cloud_id=cloud.pk,
        namespace=cloud.namespace,
        instance_id=server.pk,
        generation=server.generation,
        replicas=1 if is_wanted(server) else 0,
        artifact=program,
        host=f"{server.pk}.invalid",  # it has no address of its own
        micros=(micro,),
        volume=VolumeSpec("/data", max(cloud.quota.storage_mib, SMALLEST_VOLUME_MIB)),
        role=Role.DATA,
    )


def is_wanted(server: DataServer) -> bool:
    """Whether the data server is to run. `server` with its cloud."""
    return server.awake and server.cloud.state == CloudState.ACTIVE or server.needed_until is not None


def _gate_hosts() -> tuple[str, ...]:
    """The data address, unless every sandbox knows it by itself."""
    host = settings.DATA_HOST.partition(":")[0]
    return (host,) if settings.DATA_SERVERS and host not in ("localhost", *FORMER_DATA_HOSTS) else ()


def derived_key(collection: Collection) -> str:
    """What the micros of the collection's instance get. Made again each time; a new key_version ends the old one."""
    master = cloud_secrets(settings.DATA_KEY, collection.cloud_id).master
    return keys.derived_key(master, collection.project_id, str(collection.instance_id), collection.key_version)


def build_spec(cloud: Cloud, revision: Revision) -> BuildSpec:
    """The job's id is the revision's: one build each, however often asked for."""
    micros = tuple(
        BuildMicro(m.name, m.engine, m.src, m.commands, m.include, m.run, m.serve) for m in plan(spacefile_of(revision))
    )
    return BuildSpec(
        cloud_id=cloud.pk,
        namespace=cloud.namespace,
        job_id=revision.pk,
        source=revision.source,
        micros=micros,
        as_of=revision.as_of.isoformat() if revision.as_of else None,
    )


def _micro(instance: Instance, part: Part, size: Size) -> MicroSpec:
    process = part.kind == PROCESS
    return MicroSpec(
        name=part.name,
        kind=MicroKind(part.kind),
        engine=part.engine,
        root=part.root,
        command=part.command,
        serve=part.serve,
        python_path=part.python_path,
        env=_environment(instance, part) if process else {},
        limits=Limits(size.cpu_millis, size.memory_mib) if process else Limits(),
        image=part.image,
        health=part.health if process else None,
        offline=process and part.egress == (),
    )


def _environment(instance: Instance, part: Part) -> dict[str, str]:
    """The names the former platform gave to apps; of the app's own settings those that have a value."""
    chosen = {name: instance.config.get(name) or default for name, default in part.presets}
    # SvelteKit's server refuses forms from another origin than its own, and must be told where to look for its scheme.
    told = {"PROTOCOL_HEADER": "x-scheme"} if part.engine == "svelte-kit" or part.engine.startswith("nodejs") else {}
    return (
        told
        | {name: value for name, value in chosen.items() if value}
        | {
            "DETA_SPACE_APP": "true",
            "DETA_SPACE_APP_VERSION": instance.release.version if instance.release else instance.revision.tag,
            "DETA_SPACE_APP_HOSTNAME": authority(instance.host),
            "DETA_SPACE_APP_MICRO_NAME": part.name,
            "DETA_SPACE_APP_MICRO_TYPE": "normal" if part.mount else "primary",
            "DETA_API_KEY": calls_key(settings.DATA_KEY, instance.cloud_id, instance.pk, instance.calls_version),
            **_data_environment(instance),
        }
    )


def _data_environment(instance: Instance) -> dict[str, str]:
    """How the former platform's clients find the instance's collection; nothing where no server would answer them."""
    if not settings.DATA_SERVERS:
        return {}
    collection = Collection.objects.filter(instance=instance).first()
    if collection is None:
        return {}
    return {
        "DETA_PROJECT_KEY": derived_key(collection),
        "DETA_BASE_HOST": settings.DATA_HOST,
        "DETA_DRIVE_HOST": settings.DATA_HOST,
    }
