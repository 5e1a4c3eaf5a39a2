"""A page of thirty costs the SQL of one."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps_catalog.models import Release, Revision
from tenants.models import ApiToken
from tests.pages.conftest import Person, install, operation_of, release_app


def _queries(browser: Client, path: str) -> int:
    browser.get(path)
    with CaptureQueriesContext(
        connection,
    ) as caught:
        assert browser.get(path).status_code == 200
    return len(caught)


def _more(ada: Person, operator: Person, notes: Release, number: int) -> None:
    for n in range(number):
        app = release_app(ada.user, f"app-{number}-{n}")
        instance = install(ada, app, f"copy-{number}-{n}", "installing" if n % 2 else "running")
        operation_of(ada, instance, "failed")
        Revision.objects.create(
            app=notes.app, tag=f"wren-{number}-{n}", source=f"sha256:{'c' * 64}", source_bytes=1, spacefile={}
        )
        ApiToken.objects.create(user=ada.user, name="t", prefix=f"{number}-{n}", secret_sha256="x", scopes=["*"])


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/", 11),
        ("/apps/", 4),
        ("/apps/notes/", 10),
        ("/cloud/", 11),
        ("/projects/", 4),
        ("/projects/app-2-0/", 6),
        ("/billing/", 10),
        ("/settings/", 4),
    ],
)
def test_a_page_of_thirty_costs_the_queries_of_one(
    ada: Person, operator: Person, notes: Release, path: str, most: int
) -> None:
    _more(ada, operator, notes, 2)
    few = _queries(ada.browser, path)
    _more(ada, operator, notes, 30)
    assert _queries(ada.browser, path) == few
    assert few <= most


@pytest.mark.parametrize(
    "path",
    [
        "/operator/",
        "/operator/plans/",
        "/operator/clouds/?q=s",
        "/operator/admin/tenants/user/",
        "/operator/admin/tenants/cloud/",
        "/operator/admin/tenants/instance/",
        "/operator/admin/tenants/operation/",
        "/operator/admin/apps_catalog/app/",
        "/operator/admin/apps_catalog/revision/",
        "/operator/admin/apps_catalog/release/",
    ],
)
def test_an_operators_list_of_thirty_costs_the_queries_of_one(
    ada: Person, operator: Person, notes: Release, person: Callable[..., Person], path: str
) -> None:
    _more(ada, operator, notes, 2)
    few = _queries(operator.browser, path)
    _more(ada, operator, notes, 30)
    for n in range(5):
        person(f"somebody-{n}")
    assert _queries(operator.browser, path) == few


def test_an_instance_with_a_long_history_costs_no_more(ada: Person, notes: Release) -> None:
    instance = install(ada, notes, "mine")
    path = f"/instances/{instance.pk}/"
    few = _queries(ada.browser, path)
    for _ in range(30):
        operation_of(ada, instance, "succeeded")
    assert _queries(ada.browser, path) == few <= 12  # one for each thing it shows: its schedules are one
