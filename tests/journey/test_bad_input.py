"""What people do wrong is refused with the field it is about, and nothing half-made remains."""

import io
import secrets
import stat
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator

import pytest

from tests.journey import apps
from tests.journey.people import Document, Person, zipped
from tests.journey.stack import Stack, client, until

MakePerson = Callable[[str], Person]


@pytest.fixture(scope="module")
def developer(freehold: Stack) -> Iterator[tuple[Person, str]]:
    """A person with a project, by its slug."""
    someone = Person(freehold, "dev")
    yield someone, someone.call("POST", "projects/", json={"name": "wrong"})["slug"]


def refused_upload(developer: tuple[Person, str], bundle: bytes) -> Document:
    """The error of an upload that must be refused at once and leave no revision."""
    someone, slug = developer
    began = time.monotonic()
    answer = someone.upload(slug, bundle)
    assert answer.status_code == 422, answer.text
    assert time.monotonic() - began < 2
    return dict(answer.json()["error"])


def with_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Spacefile", apps.STATIC["Spacefile"])
        link = zipfile.ZipInfo("index.html")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return buffer.getvalue()


def test_a_file_that_is_no_zip_is_refused(developer: tuple[Person, str]) -> None:
    assert refused_upload(developer, b"PK\x03\x04 and then nothing sensible")["field"] == "bundle"


def test_half_a_zip_is_refused(developer: tuple[Person, str]) -> None:
    whole = zipped({**apps.STATIC, "noise": secrets.token_bytes(5000)})
    assert refused_upload(developer, whole[: len(whole) // 2])["field"] == "bundle"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\..\\evil", "C:/evil"])
def test_names_that_leave_the_folder_are_refused(developer: tuple[Person, str], name: str) -> None:
    assert refused_upload(developer, zipped({**apps.STATIC, name: "x"}))["field"] == "bundle"


def test_a_link_in_a_bundle_is_refused(developer: tuple[Person, str]) -> None:
    assert refused_upload(developer, with_link())["field"] == "bundle"


def test_a_bundle_without_a_spacefile_is_refused_by_that_name(developer: tuple[Person, str]) -> None:
    error = refused_upload(developer, zipped({"index.html": "hello"}))
    assert "Spacefile" in f"{error['field']} {error['message']}"


def test_an_unknown_key_in_the_spacefile_is_named(developer: tuple[Person, str]) -> None:
    wrong = apps.STATIC["Spacefile"].replace("serve: .", "serve: ., colour: blue")
    error = refused_upload(developer, zipped({**apps.STATIC, "Spacefile": wrong}))
    assert "colour" in str(error)


def test_a_failing_build_says_so_and_keeps_its_log(developer: tuple[Person, str]) -> None:
    someone, slug = developer
    revision = someone.build(slug, apps.FAILING_BUILD)
    assert revision["state"] == "failed"
    log = someone.api.get(f"projects/{slug}/revisions/{revision['id']}/logs/").text
    assert "before the end" in log
    refused = someone.api.post(f"projects/{slug}/releases/", json={"revision": revision["id"], "listed": False})
    assert refused.status_code in (409, 422), refused.text


@pytest.mark.parametrize("handle", ["ab", "-dash", "two--dashes", "with space", "аdmin", "x" * 33, "under_score", ""])
def test_an_invalid_handle_is_refused_by_field(freehold: Stack, handle: str) -> None:
    assert_handle_refused(freehold, handle)


@pytest.mark.parametrize("handle", ["admin", "Admin", "ROOT", "www", "freehold", "ａｄｍｉｎ"])
def test_a_reserved_handle_is_refused_in_any_spelling(freehold: Stack, handle: str) -> None:
    assert_handle_refused(freehold, handle)


def assert_handle_refused(freehold: Stack, handle: str) -> None:
    email = f"h{secrets.token_hex(4)}@example.org"
    with client() as http:
        body = {"email": email, "handle": handle, "password": "Corr3ct-horse-battery"}
        answer = http.post(f"{freehold.console}/api/v1/accounts/", json=body)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "handle")
        # Nothing half-made: the address is free for a good handle.
        again = {**body, "handle": f"h{secrets.token_hex(4)}"}
        assert http.post(f"{freehold.console}/api/v1/accounts/", json=again).status_code == 201


def test_a_taken_handle_and_a_taken_address_are_refused_by_field(freehold: Stack, person: MakePerson) -> None:
    someone = person("taken")
    for field, value in (("handle", someone.handle.upper()), ("email", someone.email.upper())):
        body = {"email": f"n{secrets.token_hex(4)}@example.org", "handle": f"n{secrets.token_hex(4)}"}
        with client() as http:
            answer = http.post(
                f"{freehold.console}/api/v1/accounts/", json={**body, "password": "Corr3ct-horse-x", field: value}
            )
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_an_app_that_never_listens_fails_with_its_last_lines(person: MakePerson) -> None:
    someone = person("deaf")
    slug = someone.publish("deaf", apps.NEVER_LISTENS)
    made = someone.install(slug)
    instance = someone.settled(made["id"], limit_s=180)
    assert instance["state"] == "failed"
    assert instance["state_reason"]
    assert "never listen" in someone.api.get(f"instances/{made['id']}/logs/").text
    page = someone.web.get(f"{someone.stack.console}/instances/{made['id']}/").text
    assert "I shall never listen" in page, "the page shows the last lines"
    assert someone.finished(made["operation"])["state"] == "failed"
    someone.remove(made["id"])
    assert someone.call("GET", "cloud/")["usage"]["instances"] == 0


def test_an_app_that_crashes_fails_with_its_last_lines(person: MakePerson) -> None:
    someone = person("crash")
    slug = someone.publish("crash", apps.CRASHES)
    made = someone.install(slug)
    assert someone.settled(made["id"], limit_s=180)["state"] == "failed"
    assert "out of luck" in someone.api.get(f"instances/{made['id']}/logs/").text
    someone.remove(made["id"])


def test_retry_of_a_failed_instance_works(person: MakePerson) -> None:
    someone = person("retry")
    slug = someone.publish("second", apps.WORKS_AT_SECOND_TRY)
    made = someone.install(slug)
    assert someone.settled(made["id"], limit_s=180)["state"] == "failed"
    operation = someone.call("POST", f"instances/{made['id']}/restart/")
    assert someone.finished(operation["id"])["state"] == "succeeded"
    assert someone.instance(made["id"])["state"] == "running"
    someone.remove(made["id"])


def test_more_than_the_quota_is_refused_and_says_what_is_short(person: MakePerson) -> None:
    someone = person("greedy")
    slug = someone.publish("page", apps.STATIC)
    cloud = someone.call("GET", "cloud/")
    room = cloud["quota"]["instances"] - cloud["usage"]["instances"]
    for _ in range(room):
        someone.install(slug)
    answer = someone.api.post("instances/", json={"app": slug})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "quota_exceeded")
    assert answer.json()["error"]["detail"]
    until(lambda: someone.call("GET", "cloud/")["usage"]["instances"] == room, 5, "no more than the room in use")


def test_the_same_install_sent_twice_makes_one_instance(person: MakePerson) -> None:
    someone = person("double")
    slug = someone.publish("page", apps.STATIC)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    made = [someone.call("POST", "instances/", json={"app": slug}, headers=headers)["id"] for _ in range(3)]
    assert len(set(made)) == 1
    assert someone.call("GET", "cloud/")["usage"]["instances"] == 1


def test_an_app_that_is_not_there_is_refused(person: MakePerson) -> None:
    answer = person("lost").api.post("instances/", json={"app": "no-such-app"})
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]["message"]
