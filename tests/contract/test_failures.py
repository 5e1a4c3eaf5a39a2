import contextlib
import time
from dataclasses import replace

from k8s.specs import Limits, MicroPhase
from tests.contract.apps import SLEEPS, Tenant
from tests.contract.lanes import until

CRASHES = "import sys; print('no settings file', file=sys.stderr); sys.exit(3)"
EATS = "import os; print('hungry', flush=True); x = [os.urandom(1 << 20) for _ in range(2000)]"


def test_a_crashed_process_is_started_again(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    with contextlib.suppress(OSError):
        tenant.lane.get(upstream, "/exit/7")
    until(lambda: tenant.status(spec).micros[0].restarts == 1 and tenant.status(spec).ready)
    assert tenant.lane.get(tenant.status(spec).micros[0].upstream or "") == "hello"


def test_a_process_that_always_crashes_is_given_up_with_its_code_and_last_words(tenant: Tenant) -> None:
    spec = tenant.instance(CRASHES)
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed)
    micro = tenant.status(spec).micros[0]
    assert "exited with code 3" in micro.reason
    assert "no settings file" in micro.log_tail
    assert micro.upstream is None


def test_a_process_that_never_listens_is_given_up_with_the_port_and_the_time(tenant: Tenant) -> None:
    spec = tenant.instance(SLEEPS, ready_timeout_s=5)  # a cluster counts from the order, not from the process's start
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed)
    micro = tenant.status(spec).micros[0]
    assert "did not start listening on port" in micro.reason
    assert "within 5 s" in micro.reason
    assert "awake but deaf" in micro.log_tail


def test_a_process_over_its_memory_is_ended_and_the_reason_says_so(tenant: Tenant) -> None:
    spec = tenant.instance(EATS, micros=(tenant.micro(limits=Limits(cpu_millis=1000, memory_mib=48)),))
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed, 60)
    assert "ran out of memory (its limit is 48 MiB)" in tenant.status(spec).micros[0].reason


def test_a_new_generation_tries_again_what_was_given_up(tenant: Tenant) -> None:
    spec = tenant.instance(SLEEPS, ready_timeout_s=1)
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed)
    again = replace(spec, generation=2)
    tenant.lane.cluster.apply_instance(again)
    until(lambda: tenant.is_at(again) and not tenant.status(again).failed)
    until(lambda: tenant.status(again).failed)


def test_a_missing_artifact_is_a_failure_that_says_so(tenant: Tenant) -> None:
    spec = tenant.instance(artifact="sha256:" + "0" * 64)
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.status(spec).failed)
    assert "is not in the artifact store" in tenant.status(spec).micros[0].reason


def test_an_update_keeps_answering_until_the_new_version_is_ready(tenant: Tenant) -> None:
    spec = tenant.instance(micros=(tenant.micro(env={"ANSWER": "old"}),))
    tenant.run(spec)
    new = replace(spec, generation=2, micros=(tenant.micro(env={"ANSWER": "new"}),))
    tenant.lane.cluster.apply_instance(new)
    answers = []
    deadline = time.monotonic() + 20
    while "new" not in answers and time.monotonic() < deadline:
        answers.append(tenant.lane.get(tenant.status(spec).micros[0].upstream or ""))
    assert set(answers) == {"old", "new"}


def test_the_old_address_answers_for_a_moment_after_an_update(tenant: Tenant) -> None:
    spec = tenant.instance(micros=(tenant.micro(env={"ANSWER": "old"}),))
    old = tenant.run(spec)
    tenant.run(replace(spec, generation=2, micros=(tenant.micro(env={"ANSWER": "new"}),)))
    assert tenant.lane.get(old) in ("old", "new")


def test_an_update_that_fails_leaves_the_old_version_serving(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.run(spec)
    broken = replace(tenant.instance(CRASHES), instance_id=spec.instance_id, generation=2)
    tenant.lane.cluster.apply_instance(broken)
    until(lambda: tenant.is_at(broken) and tenant.status(broken).failed)
    micro = tenant.status(broken).micros[0]
    assert micro.phase is MicroPhase.FAILED
    assert tenant.lane.get(micro.upstream or "") == "hello"
    tenant.run(replace(spec, generation=3))


def test_a_volume_is_kept_over_restarts_updates_and_removal(tenant: Tenant) -> None:
    micro = tenant.micro(env={"NOTES": "/data"})
    spec = tenant.instance(volume=tenant.volume(), micros=(micro,))
    tenant.lane.get(tenant.run(spec), "/write/precious")
    changed = replace(spec, generation=2, micros=(tenant.micro(env={"NOTES": "/data", "MORE": "1"}),))
    assert tenant.lane.get(tenant.run(changed), "/read") == "precious"
    tenant.remove(spec, delete_volume=False)
    assert tenant.lane.get(tenant.run(replace(changed, generation=3)), "/read") == "precious"
    tenant.remove(spec, delete_volume=True)
    assert tenant.lane.get(tenant.run(replace(changed, generation=4)), "/") == "hello"
    upstream = tenant.status(spec).micros[0].upstream or ""
    assert tenant.lane.get(upstream, "/read") == "nothing"
