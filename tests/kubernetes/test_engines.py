"""The table of apps of tests/journey/test_engines.py with real pods: built as Jobs in their developers' clouds, and run as
pods in somebody else's, by the command line alone. One installation, two developers who publish beside each other.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from itertools import cycle

import pytest

from tests.journey.command_line import CommandLine, laid_out, published, signed_in
from tests.journey.engines import FAMILIES
from tests.journey.people import Person
from tests.journey.stack import discard, new_home
from tests.kubernetes import registries
from tests.kubernetes.whole import ON_TESTBED, ClusterStack


@pytest.fixture(scope="module")
def freehold() -> Iterator[ClusterStack]:
    with registries.reachable() if ON_TESTBED else nullcontext({}) as build_env:
        stack = ClusterStack(new_home("cluster-engines"), build_env=build_env)
        try:
            stack.start()
            stack.bring_late_image()
            yield stack
        finally:
            stack.stop()
            stack.clear()
            discard(stack.home)


@pytest.fixture(scope="module")
def user(freehold: ClusterStack) -> Person:
    return Person(freehold, "user")


@pytest.fixture(scope="module")
def developers(freehold: ClusterStack) -> tuple[Person, Person]:
    return Person(freehold, "ada"), Person(freehold, "ben")


@pytest.fixture(scope="module")
def copies(
    user: Person, developers: tuple[Person, Person], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    """The address of the user's copy of each app, as soon as it runs."""
    folder = tmp_path_factory.mktemp("people")
    installer = signed_in(user, folder / "user")
    clients = [signed_in(who, folder / who.handle) for who in developers]
    with ThreadPoolExecutor(len(clients)) as pool:
        yield {
            family: pool.submit(_published, developer, installer, family)
            for family, developer in zip(FAMILIES, cycle(clients), strict=False)
        }
        pool.shutdown(cancel_futures=True)


def _published(developer: CommandLine, installer: CommandLine, family: str) -> str:
    """Without copies of the developers' own, which would be as many pods again."""
    folder = laid_out(developer.folder / family, FAMILIES[family].files)
    return published(developer, installer, folder, "--no-install")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_app_of_each_family_runs_in_somebody_elses_cloud(
    user: Person, copies: dict[str, Future[str]], family: str
) -> None:
    FAMILIES[family].check(user.web, copies[family].result())


def test_every_build_was_a_job_of_its_developers_cloud_and_every_process_a_pod_of_its_users(
    freehold: ClusterStack, user: Person, developers: tuple[Person, Person], copies: dict[str, Future[str]]
) -> None:
    for copy in copies.values():
        copy.result()
    jobs = [len(freehold.objects("Job", _namespace(who))) for who in developers]
    assert jobs == [len(FAMILIES) - len(FAMILIES) // 2, len(FAMILIES) // 2]
    assert freehold.objects("Job", _namespace(user)) == []
    pods = freehold.objects("Pod", _namespace(user))
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}  # type: ignore[index]


def _namespace(who: Person) -> str:
    return str(who.call("GET", "cloud/")["namespace"])
