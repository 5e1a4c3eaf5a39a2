import time
from dataclasses import replace

import pytest

from k8s.errors import NotFound, Permanent
from k8s.specs import MicroPhase
from tests.contract.apps import WEB, Tenant, new_id
from tests.contract.lanes import until


def test_an_applied_instance_comes_up_and_answers(tenant: Tenant) -> None:
    assert tenant.lane.get(tenant.run(tenant.instance())) == "hello"


def test_an_app_sees_its_own_environment_and_a_port(tenant: Tenant) -> None:
    upstream = tenant.run(tenant.instance(micros=(tenant.micro(env={"COLOUR": "blue\nand green"}),)))
    assert tenant.lane.get(upstream, "/env/COLOUR") == "blue\nand green"
    assert tenant.lane.get(upstream, "/env/PORT") == upstream.rpartition(":")[2]


def test_applying_the_same_again_reports_no_difference(tenant: Tenant) -> None:
    spec = tenant.instance()
    assert tenant.lane.cluster.apply_instance(spec)
    assert not tenant.lane.cluster.apply_instance(spec)


def test_an_older_generation_is_ignored(tenant: Tenant) -> None:
    spec = tenant.instance(generation=5)
    upstream = tenant.run(spec)
    assert not tenant.lane.cluster.apply_instance(replace(spec, generation=4, replicas=0))
    assert tenant.lane.get(upstream) == "hello"
    assert tenant.status(spec).generation == 5


def test_a_new_generation_of_the_same_shape_keeps_the_processes(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    assert tenant.run(replace(spec, generation=2)) == upstream


def test_zero_replicas_stop_it_and_one_brings_it_back(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    asleep = replace(spec, generation=2, replicas=0)
    tenant.lane.cluster.apply_instance(asleep)
    until(lambda: tenant.is_at(asleep) and tenant.status(asleep).stopped)
    assert tenant.status(asleep).micros[0].upstream is None
    with pytest.raises(OSError):
        tenant.lane.get(upstream)
    assert tenant.lane.get(tenant.run(replace(spec, generation=3))) == "hello"


def test_where_it_will_listen_is_told_before_it_does(tenant: Tenant) -> None:
    spec = tenant.instance("import time; time.sleep(3)\n" + WEB)
    tenant.lane.cluster.apply_instance(spec)
    seen = []
    until(lambda: seen.append(tenant.status(spec).micros[0]) or seen[-1].candidate)  # type: ignore[func-returns-value]
    assert seen[-1].upstream is None and seen[-1].phase is not MicroPhase.READY
    tenant.run(spec)
    assert tenant.lane.get(seen[-1].candidate or "") == "hello"
    assert tenant.status(spec).micros[0].candidate is None


def test_a_restart_replaces_the_processes(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.lane.get(tenant.run(spec), "/write/before")
    again = replace(spec, generation=2, restart=1)
    upstream = tenant.run(again)
    assert tenant.status(again).restart == 1
    assert tenant.lane.get(upstream, "/read") == "nothing"  # its /tmp is a new one


def test_deleting_stops_it_and_may_be_repeated(tenant: Tenant) -> None:
    spec = tenant.instance()
    upstream = tenant.run(spec)
    tenant.remove(spec)
    tenant.remove(spec)
    with pytest.raises(OSError):
        tenant.lane.get(upstream)
    with pytest.raises(NotFound):
        tenant.status(spec)
    assert (spec.cloud_id, spec.instance_id) not in tenant.lane.cluster.list_instances()


def test_deleting_while_it_starts_leaves_nothing(tenant: Tenant) -> None:
    spec = tenant.instance()
    tenant.lane.cluster.apply_instance(spec)
    tenant.remove(spec)
    with pytest.raises(NotFound):
        tenant.status(spec)


def test_deleting_what_never_was_is_success(tenant: Tenant) -> None:
    tenant.lane.cluster.delete_instance(tenant.cloud_id, new_id(), delete_volume=True)


def test_an_instance_that_was_never_applied_is_not_found(tenant: Tenant) -> None:
    with pytest.raises(NotFound):
        tenant.lane.cluster.observe(tenant.cloud_id, new_id())


def test_every_micro_of_an_instance_answers_for_itself(tenant: Tenant) -> None:
    micros = tuple(tenant.micro(name, env={"ANSWER": name}) for name in ("front", "back"))
    spec = tenant.instance(micros=micros)
    tenant.run(spec)
    answers = {m.name: tenant.lane.get(m.upstream or "") for m in tenant.status(spec).micros}
    assert answers == {"front": "front", "back": "back"}


def test_two_clouds_have_instances_of_their_own(tenant: Tenant) -> None:
    other = Tenant(tenant.lane)
    tenant.lane.cluster.ensure_cloud(other.cloud())
    mine = tenant.run(tenant.instance(micros=(tenant.micro(env={"ANSWER": "mine"}),)))
    theirs_spec = other.instance(micros=(other.micro(env={"ANSWER": "theirs"}),))
    theirs = other.run(theirs_spec)
    assert (tenant.lane.get(mine), tenant.lane.get(theirs)) == ("mine", "theirs")
    tenant.lane.cluster.delete_cloud(other.cloud_id)
    until(lambda: not tenant.lane.cluster.cloud_exists(other.cloud_id))
    assert tenant.lane.get(mine) == "mine"


def test_what_is_asleep_when_applied_does_not_start(tenant: Tenant) -> None:
    spec = tenant.instance(replicas=0)
    tenant.lane.cluster.apply_instance(spec)
    until(lambda: tenant.is_at(spec))
    assert [m.phase for m in tenant.status(spec).micros] == [MicroPhase.STOPPED]


def test_a_micro_without_a_command_is_refused(tenant: Tenant) -> None:
    with pytest.raises(Permanent):
        tenant.lane.cluster.apply_instance(tenant.instance(micros=(replace(tenant.micro(), command=None),)))


def test_a_volume_that_would_cover_the_system_is_refused(tenant: Tenant) -> None:
    for path in ("/usr/lib", "data", "/", "/data/../etc"):
        with pytest.raises(Permanent):
            tenant.lane.cluster.apply_instance(tenant.instance(WEB, volume=replace(tenant.volume(), path=path)))


def test_an_app_is_asked_to_end_and_may_take_its_time(tenant: Tenant) -> None:
    code = "import signal, sys, time\n"
    code += "def end(*_):\n    print('asked', flush=True); time.sleep(1); print('saved', flush=True); sys.exit(0)\n"
    code += "signal.signal(signal.SIGTERM, end)\n"
    spec = tenant.instance(code + WEB)
    tenant.run(spec)
    asleep, deadline = replace(spec, generation=2, replicas=0), time.monotonic() + 30
    # Followed, since a cluster may clear an ended container's log away with it.
    lines = tenant.lane.cluster.logs(
        spec.cloud_id, spec.instance_id, follow=True, stop=lambda: time.monotonic() > deadline
    )
    texts = [next(lines).text]
    tenant.lane.cluster.apply_instance(asleep)
    while texts[-1] != "saved":
        texts.append(next(lines).text)
    assert [text for text in texts if text in ("asked", "saved")] == ["asked", "saved"]
    until(lambda: tenant.is_at(asleep) and tenant.status(asleep).micros[0].upstream is None)
    until(lambda: tenant.status(asleep).stopped)


def test_an_app_that_ignores_being_asked_is_ended_after_the_grace(tenant: Tenant) -> None:
    spec = tenant.instance("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WEB)
    upstream = tenant.run(spec)
    tenant.remove(spec)
    with pytest.raises(OSError):
        tenant.lane.get(upstream)
