"""`manage.py up` killed with -9 in the middle of work, and stopped as by Ctrl-C while apps run."""

import signal

from tests.chaos.test_killed_workers import LIMIT_S
from tests.journey import traces
from tests.journey.people import Person
from tests.journey.stack import Stack, until


def test_the_next_up_goes_on_with_running_instances_and_with_the_work_that_was_begun(
    freehold: Stack, owner: Person, app: str, keeper: str
) -> None:
    running = owner.running(keeper)
    (sandbox,) = freehold.sandboxes(running["host"])
    before = freehold.members(sandbox)
    begun = owner.install(app)
    freehold.kill()
    assert freehold.sandboxes(running["host"]) == [sandbox]
    freehold.start()
    assert freehold.sandboxes(running["host"]) == [sandbox]
    assert freehold.members(sandbox) == before
    until(lambda: owner.web.get(f"{running['url']}seen").status_code == 200, 30, "it answers as before")
    assert owner.finished(begun["operation"], LIMIT_S)["state"] == "succeeded"
    assert len(freehold.sandboxes(owner.instance(begun["id"])["host"])) == 1


def test_ctrl_c_leaves_nothing_on_the_machine_and_the_next_up_brings_the_apps_back(
    freehold: Stack, owner: Person, keeper: str
) -> None:
    instance = owner.running(keeper)
    assert traces.networks(freehold.home)
    assert traces.disks(instance["id"])
    freehold.stop(signal.SIGINT)  # asserts that nothing is left, as every stop of a Stack does
    assert freehold.sandboxes(instance["host"]) == []
    freehold.start()
    until(lambda: owner.web.get(f"{instance['url']}seen").status_code == 200, 30, "it answers again")
    assert len(freehold.sandboxes(instance["host"])) == 1
