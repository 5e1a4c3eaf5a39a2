"""Apps of every engine family, from a folder to another person's running instance, by the command line alone.

The same table of apps goes to a cluster in tests/kubernetes/test_engines.py.
"""

from collections.abc import Callable

import pytest

from tests.journey.command_line import CommandLine, laid_out, published
from tests.journey.engines import FAMILIES, HEAVY
from tests.journey.people import Person
from tests.journey.test_command_line import someone

__all__ = ["someone"]
Someone = Callable[[str], tuple[Person, CommandLine]]


@pytest.mark.parametrize("family", [*FAMILIES, *HEAVY])
def test_an_app_of_each_family_runs_in_somebody_elses_cloud(someone: Someone, family: str) -> None:
    app = (FAMILIES | HEAVY)[family]
    _, developer = someone("dev")
    user, installer = someone("user")
    url = published(developer, installer, laid_out(developer.folder / "app", app.files))
    app.check(user.web, url)
