"""Instances and their micros: what a person installed, as wanted and as seen."""

from typing import Any, ClassVar

from django.db import models

from apps_catalog.identifiers import new_id
from apps_catalog.models import App, Channel, Release, Revision
from tenants.models.clouds import Cloud
from tenants.models.sealed import SealedField
from tenants.states import InstanceState


def new_instance_id() -> str:
    return new_id("ins")


def no_config() -> dict[str, Any]:
    return {}


class Wanted(models.TextChoices):
    """What its owner wants of an instance; what it is doing about it is `state`."""

    RUNNING = "running"
    ASLEEP = "asleep"  # nobody uses it; the next request, or its owner, wants it running again
    STOPPED = "stopped"
    REMOVED = "removed"


# Their processes are, or are about to be, there: they count against cpu and memory.
HOLDING_COMPUTE = (
    InstanceState.INSTALLING,
    InstanceState.RUNNING,
    InstanceState.WAKING,
    InstanceState.UPDATING,
    InstanceState.FAILED,
    InstanceState.REMOVING,
)


class Instance(models.Model):
    """One installed copy.

    retry_at: when the cluster, which could not or would not run it, is asked again; None: the failure is the app's own.
    Desired: revision, wanted, config, restart, generation (grows with each change of these). config: what its owner
    set of the app's own settings, by name; also names that only another version of the app has.
    previous_*: what `rollback` goes back to. reverts: an update is coming up, and if it fails the previous version is
    wanted again; update_error then says what was wrong with the newer one.
    migration: id of the jobs that must succeed before the wanted revision may run; "" where none is due. A new one is made
    with every update and every retry.
    copy_id: of the copy of its volume that an update makes before anything of the newer version runs; "" once it is deleted.
    copy_returns: the update failed, and nothing runs before the copy has taken the volume's place.
    auto_considered_at: when the newest release was made that an automatic update has looked at.
    is_builder: its developer's own copy, which follows what is pushed; at most one of an app, without a release.
    Observed: observed_generation, state, state_reason, log_tail and the micros' columns; written by reconciliation only.
    calls_version: of the key that its micros call each other with; a higher one ends the old key.
    cpu_millis, memory_mib, storage_mib: what it takes of the quota, fixed when it is installed or updated.
    sleep_after_s: idle seconds after which it falls asleep; None: as the plan says, 0: never. last_used_at: the last
    request as the gates' tables show it, some seconds late. awake_since: when it last began to be, or to become, awake.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_instance_id, editable=False)
    cloud = models.ForeignKey(Cloud, on_delete=models.PROTECT, related_name="instances")
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="instances")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="+")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True, blank=True, related_name="instances")
    previous_revision = models.ForeignKey(Revision, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    previous_release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reverts = models.BooleanField(default=False)
    update_error = models.TextField(blank=True)
    migration = models.CharField(max_length=40, blank=True)
    copy_id = models.CharField(max_length=40, blank=True)
    copy_returns = models.BooleanField(default=False)
    is_builder = models.BooleanField(default=False)
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.STABLE)
    alias = models.CharField(max_length=40)
    host = models.CharField(max_length=200, unique=True, editable=False)
    wanted = models.CharField(max_length=20, choices=Wanted.choices, default=Wanted.RUNNING)
    config = SealedField(default=no_config, blank=True)
    delete_data = models.BooleanField(default=False)
    restart = models.PositiveIntegerField(default=0)
    calls_version = models.PositiveIntegerField(default=1)
    cpu_millis = models.PositiveIntegerField()
    memory_mib = models.PositiveIntegerField()
    storage_mib = models.PositiveIntegerField()
    sleep_after_s = models.PositiveIntegerField(null=True, blank=True)
    auto_update = models.BooleanField(default=False)
    auto_considered_at = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveBigIntegerField(default=1)
    observed_generation = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=20, choices=InstanceState.choices, default=InstanceState.INSTALLING)
    state_reason = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    retries = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    awake_since = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            # A cloud's instances, newest first; its use of quota.
            models.Index(fields=["cloud", "-created_at"], name="instance_of_cloud"),
            # The sweep: instances whose observed state lags behind what is wanted.
            models.Index(
                fields=["state"],
                name="instance_unsettled",
                condition=models.Q(observed_generation__lt=models.F("generation")),
            ),
            # The sweep: instances that the cluster refused, when it is time to ask again.
            models.Index(fields=["retry_at"], name="instance_refused", condition=models.Q(retry_at__isnull=False)),
            # Automatic updates: who is to be brought to an app's newest release.
            models.Index(fields=["app"], name="instance_auto_update", condition=models.Q(auto_update=True)),
            # The sweep: instances with a copy of their volume, to be deleted once they run.
            models.Index(fields=["state"], name="instance_copied", condition=~models.Q(copy_id="")),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app"],
                name="builder_instance_once",
                condition=models.Q(is_builder=True) & ~models.Q(state=InstanceState.REMOVED),
            )
        ]

    def __str__(self) -> str:
        return self.alias


class InstanceMicro(models.Model):
    """One micro of an instance. mount is "" for the primary, else the first path segment that leads to it.

    upstream: "address:port" while it accepts connections, else "". candidate: where its process will be found while it
    starts, before the cluster calls it ready; only for whoever tries first whether anything listens. For static micros
    `serve` is "<artifact>/<folder inside it>" and there is no upstream. takes_keys: programs may be given keys to its
    private paths.
    """

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="micros")
    name = models.CharField(max_length=80)
    mount = models.CharField(max_length=80, blank=True)
    kind = models.CharField(max_length=10)
    engine = models.CharField(max_length=20)
    public_routes = models.JSONField(default=list)
    takes_keys = models.BooleanField(default=False)
    serve = models.CharField(max_length=400, blank=True)
    phase = models.CharField(max_length=12, default="pending")
    upstream = models.CharField(max_length=64, blank=True)
    candidate = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering: ClassVar = ["mount"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["instance", "name"], name="micro_name_once"),
            models.UniqueConstraint(fields=["instance", "mount"], name="micro_mount_once"),
        ]

    def __str__(self) -> str:
        return self.name
