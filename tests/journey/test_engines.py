"""Apps of every engine family, from a folder to another person's running instance, by the command line alone.

The same table of apps goes to a cluster in tests/kubernetes/test_engines.py.
"""

from collections.abc import Callable

import pytest

from tests.journey.command_line import CommandLine, laid_out, published
from tests.journey.engines import FAMILIES, HEAVY, App, of_the_documents
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


@pytest.mark.parametrize(
    ("section", "names", "answers"),
    [
        ("Python", {"Spacefile", "requirements.txt", "main.py"}, (("", '{"count":1}'),)),
        ("Node", {"Spacefile", "package.json", "index.js"}, (("", "hello"),)),
    ],
)
def test_a_start_works_as_the_documents_say(
    someone: Someone, section: str, names: set[str], answers: tuple[tuple[str, str], ...]
) -> None:
    app = App(of_the_documents(section), answers)
    assert set(app.files) == names
    _, developer = someone("dev")
    user, installer = someone("user")
    app.check(user.web, published(developer, installer, laid_out(developer.folder / "app", app.files)))
