"""Which version of its app an instance is of: the rows of its micros, and the way back from one that does not start."""

from django.conf import settings
from django.db.models import F

from apps_catalog.blueprint import Blueprint, blueprint_of
from apps_catalog.identifiers import new_id
from apps_catalog.models import Revision
from tenants import sizes
from tenants.models import Instance, InstanceMicro


def migration_for(blueprint: Blueprint) -> str:
    """An id for the commands that must succeed before this version takes over; "" where there is none."""
    return new_id("mig") if blueprint.migrations else ""


def is_copied(instance: Instance, newer: Blueprint) -> bool:
    """Whether an update makes a copy of the volume first, to give back if it fails. `instance` with revision and cloud."""
    here = settings.COPIES_VOLUMES and instance.cloud.cell_id == settings.DEFAULT_CELL
    return here and None not in (newer.volume_path, blueprint_of(instance.revision).volume_path)


def micro_rows(instance: Instance, revision: Revision, blueprint: Blueprint) -> list[InstanceMicro]:
    """Not saved. `blueprint` is the revision's."""
    return [
        InstanceMicro(
            instance=instance,
            name=part.name,
            mount=part.mount,
            kind=part.kind,
            engine=part.engine,
            public_routes=list(part.public_routes),
            takes_keys=part.takes_keys,
            serve=f"{revision.digest}/{part.serve}" if part.serve is not None else "",
        )
        for part in blueprint.parts
    ]


def bring_rows_up(row: Instance) -> bool:
    """Let the gate see the micros of the wanted revision: only now, that it runs, since the older one served until now.

    In the transaction that writes down that the revision runs. Returns whether anything differed.
    """
    wanted = micro_rows(row, row.revision, blueprint_of(row.revision))
    if [_face(micro) for micro in row.micros.order_by("name")] == sorted(_face(micro) for micro in wanted):
        return False
    row.micros.all().delete()
    InstanceMicro.objects.bulk_create(wanted)
    return True


def go_back(row: Instance, reason: str, log_tail: str) -> None:
    """Want the previous revision again, which kept serving where the driver could let it. `row` is locked and reverts."""
    broken, previous = blueprint_of(row.revision), row.previous_revision
    if previous is None:
        raise ValueError(f"instance {row.pk} has nothing to go back to")
    needs = sizes.needs_of(blueprint_of(previous), sizes.size_of(row, broken))
    Instance.objects.filter(pk=row.pk).update(
        revision=previous,
        release=row.previous_release,
        previous_revision=None,
        previous_release=None,
        reverts=False,
        migration="",
        copy_returns=bool(row.copy_id),
        update_error=reason,
        log_tail=log_tail,
        generation=F("generation") + 1,
        **sizes.columns(needs),
    )


def _face(micro: InstanceMicro) -> tuple[str, str, str, str, list[str], bool, str]:
    return micro.name, micro.mount, micro.kind, micro.engine, micro.public_routes, micro.takes_keys, micro.serve
