"""Rows → what the cluster port takes. Pure: the same rows give the same spec."""

from apps_catalog.blueprint import PROCESS, Part, blueprint_of, spacefile_of
from apps_catalog.build import plan
from apps_catalog.models import Revision
from k8s.specs import BuildMicro, BuildSpec, CloudSpec, InstanceSpec, Limits, MicroKind, MicroSpec, VolumeSpec
from tenants.addresses import authority
from tenants.models import Cloud, Instance, Wanted
from tenants.sizes import Size, size_of, size_of_part
from tenants.states import CloudState


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
    )


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
    )


def _environment(instance: Instance, part: Part) -> dict[str, str]:
    """The names the former platform gave to apps; of the app's own settings those that have a value."""
    chosen = {name: instance.config.get(name) or default for name, default in part.presets}
    return {name: value for name, value in chosen.items() if value} | {
        "DETA_SPACE_APP": "true",
        "DETA_SPACE_APP_VERSION": instance.release.version if instance.release else instance.revision.tag,
        "DETA_SPACE_APP_HOSTNAME": authority(instance.host),
        "DETA_SPACE_APP_MICRO_NAME": part.name,
        "DETA_SPACE_APP_MICRO_TYPE": "normal" if part.mount else "primary",
    }
