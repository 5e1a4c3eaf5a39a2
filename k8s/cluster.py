"""The cluster port: everything Freehold asks of the place where clouds live.

Drivers: `k8s.local.driver.LocalCluster` (one machine) and, later, `k8s.kube`. All pass tests/contract. Every verb is safe to
repeat with the same arguments, may be called from several processes at once, and raises only `k8s.errors`.
A caller killed in the middle of a verb repeats it.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from k8s.specs import (
    BuildSpec,
    Change,
    CloudSpec,
    CloudUsage,
    InstanceSpec,
    InstanceStatus,
    JobSpec,
    JobStatus,
    LogLine,
    Sample,
)


class Cluster(Protocol):
    def ensure_cloud(self, spec: CloudSpec) -> None:
        """Make the namespace, or bring it in line with `spec`. Returns when it may be used.

        What this process knows to be so already costs no call.

        Raises Temporary when the cluster is out of reach, Permanent when it refuses.
        """

    def cloud_exists(self, cloud_id: str) -> bool:
        """Whether the namespace is there (also while it is terminating)."""

    def delete_cloud(self, cloud_id: str) -> None:
        """Ask for the namespace and all in it, volumes included, to go. Returns at once; unknown clouds are success."""

    def what_holds(self, cloud_id: str) -> str:
        """Why a cloud that was asked to go is still there, for an operator to read; "" where nothing is known."""

    def apply_instance(self, spec: InstanceSpec) -> bool:
        """Make the desired state known. Returns True if anything differed, False if it was already so.

        What this process has applied is taken to be so (no call made) until `watch` or `observe` shows otherwise.
        Does not wait for the app. A spec of an older generation than the one applied is ignored (returns False).
        Raises NotFound when the cloud does not exist, Permanent when the spec cannot be run here.
        """

    def delete_instance(self, cloud_id: str, instance_id: str, *, delete_volume: bool) -> None:
        """Stop and forget the instance. Returns at once; gone already is success. The volume stays unless told so."""

    def instance_exists(self, cloud_id: str, instance_id: str) -> bool:
        """True until the last process or object of the instance is gone (a kept volume does not count)."""

    def observe(self, cloud_id: str, instance_id: str) -> InstanceStatus:
        """What is there now. Raises NotFound for an instance that was never applied or is gone."""

    def list_instances(self) -> list[tuple[str, str]]:
        """(cloud_id, instance_id) of every instance of this installation that the cluster holds; for the sweep."""

    def watch(self, timeout_s: float, *, resume: bool = False) -> Iterator[Change]:
        """Yield changes of instances and jobs of all clouds for about `timeout_s` seconds, then end.

        The first thing a new watch yields is a Change for everything that exists, so nothing is missed between two.
        resume: go on, where the driver can, from where this process's watch ended a moment ago, without looking at
        everything anew; so a fleet in which nothing happens costs nothing.
        Raises Temporary when the cluster is out of reach.
        """

    def logs(
        self,
        cloud_id: str,
        instance_id: str,
        *,
        micro: str | None = None,
        tail: int = 200,
        follow: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[LogLine]:
        """The last `tail` lines, oldest first; with `follow`, new ones as they come until the instance is gone.

        stop: asked at least once a second while following, also in silence; True ends the iteration. (A reader that
        left could otherwise not take its thread out of a silent log.)
        """

    def run_build(self, spec: BuildSpec) -> None:
        """Start a build; one job per `job_id` however often called. Returns at once."""

    def build_status(self, cloud_id: str, job_id: str) -> JobStatus:
        """Raises NotFound for a job that was never started or was deleted."""

    def build_logs(
        self, cloud_id: str, job_id: str, *, follow: bool = False, stop: Callable[[], bool] | None = None
    ) -> Iterator[LogLine]:
        """All lines so far; with `follow`, new ones until the job ends. stop: as in `logs`."""

    def delete_build(self, cloud_id: str, job_id: str) -> None:
        """Stop it if it runs and forget it; the artifact stays. Unknown is success."""

    def run_job(self, spec: JobSpec) -> None:
        """Start a command of an instance, or a task about its volume; one per `job_id` however often called. Returns at
        once.

        Its volume is mounted beside whatever runs: the caller stops the instance first where two must not write. Changes
        of the job come as changes of the instance. Raises NotFound when the cloud does not exist, Permanent when the spec
        cannot be run here: no Kubernetes keeps copies of volumes.
        """

    def job_status(self, cloud_id: str, job_id: str) -> JobStatus:
        """Raises NotFound for a job that was never started or was deleted."""

    def delete_jobs(self, cloud_id: str, instance_id: str) -> bool:
        """Stop and forget all jobs of the instance, as deleting it does. True once the last of them is gone."""

    def usage(self, cloud_id: str) -> CloudUsage:
        """What the cloud uses now. Raises NotFound."""

    def samples(self) -> list[Sample]:
        """What every process of every cloud has taken so far: one question to each node, however many clouds there are.

        A node that does not answer is left out; its counters go on and are read the next time. Raises Temporary.
        """
