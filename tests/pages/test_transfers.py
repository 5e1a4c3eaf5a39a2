"""Export, import and wipe on `/collections/<id>/`: what is shown, and what a click does. No data server runs here."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tenants import steps
from tenants.models import Collection, Export, Import, Operation
from tenants.services import transfers
from tests.pages.conftest import Person

PREVIEW = {
    "items": 2,
    "files": 1,
    "bytes": 9,
    "conflicts": 0,
    "bases": [{"name": "<b>users", "items": 2, "bytes": 5, "conflicts": 0}],
    "drives": [{"name": "pics", "files": 1, "bytes": 4, "conflicts": 0}],
    "ignored": ["<script>x"],
    "problems": [],
}


@pytest.fixture
def diary(ada: Person) -> Collection:
    return Collection.objects.create(cloud=ada.cloud, name="diary")


def seen(collection: Collection, **changes: object) -> Import:
    return Import.objects.create(collection=collection, staged="a" * 16, preview={**PREVIEW, **changes})


def test_a_second_click_on_export_says_that_one_is_being_made(ada: Person, diary: Collection) -> None:
    page = f"/collections/{diary.pk}/"
    for _ in range(2):
        assert ada.browser.post(f"{page}exports/")["Location"] == page
    shown = ada.browser.get(page).content.decode()
    assert Export.objects.count() == 1
    assert "Read what the collection holds" in shown and "sse-connect" in shown and "Wait for that" in shown


def test_a_failed_export_can_be_retried_and_a_made_one_fetched(ada: Person, diary: Collection) -> None:
    page = f"/collections/{diary.pk}/"
    first = transfers.start_export(ada.user, diary)
    steps.fail(first.operation, "The disk is on fire.")
    shown = ada.browser.get(page).content.decode()
    retry = f"/operations/{first.operation_id}/retry/"
    assert "The disk is on fire." in shown and retry in shown and "/download/" not in shown
    assert ada.browser.post(retry).status_code == 302
    second = Export.objects.exclude(pk=first.pk).get()
    Export.objects.filter(pk=second.pk).update(sha256="f" * 64, size_bytes=2048, made_at=second.created_at)
    steps.succeed(Operation.objects.get(pk=second.operation_id))
    shown = ada.browser.get(page).content.decode()
    assert f"{page}exports/{second.pk}/download/" in shown and "f" * 64 in shown


def test_an_upload_without_a_file_or_a_server_is_explained(ada: Person, diary: Collection) -> None:
    page = f"/collections/{diary.pk}/"
    assert "Choose the zip" in ada.browser.post(f"{page}imports/", follow=True).content.decode()
    sent = {"archive": SimpleUploadedFile("a.zip", b"x")}
    assert "Try again in a moment" in ada.browser.post(f"{page}imports/", sent, follow=True).content.decode()


def test_what_an_archive_holds_is_shown_as_text_then_imported_once(ada: Person, diary: Collection) -> None:
    address = f"/collections/{diary.pk}/imports/{seen(diary).pk}/"
    shown = ada.browser.get(address).content.decode()
    assert "2 items and 1 file" in shown and "&lt;b&gt;users" in shown
    assert "<script>x" not in shown and "<b>users" not in shown
    for _ in range(2):
        answer = ada.browser.post(address, {"conflicts": "fail"})
        assert answer["Location"] == f"/collections/{diary.pk}/"
    assert Operation.objects.filter(kind="import").count() == 1
    assert ada.browser.get(address)["Location"].startswith("/operations/")


def test_conflicts_want_a_choice_and_problems_cannot_be_imported(ada: Person, diary: Collection) -> None:
    taken = f"/collections/{diary.pk}/imports/{seen(diary, conflicts=1).pk}/"
    assert 'value="replace"' in ada.browser.get(taken).content.decode()
    assert ada.browser.post(taken, {"conflicts": "fail"}).status_code == 422
    assert ada.browser.post(taken, {"conflicts": "é" * 300}).status_code == 422
    broken = f"/collections/{diary.pk}/imports/{seen(diary, problems=['users.json[0]: no']).pk}/"
    shown = ada.browser.get(broken).content.decode()
    assert "cannot be imported" in shown and ">Import</button>" not in shown
    assert ada.browser.post(broken, {"conflicts": "skip"}).status_code == 422
    assert not Operation.objects.filter(kind="import").exists()


def test_wiping_wants_the_name(ada: Person, stranger: Person, diary: Collection) -> None:
    address = f"/collections/{diary.pk}/wipe/"
    assert stranger.browser.post(address, {"name": "diary"}).status_code == 404
    assert ada.browser.post(address, {"name": "dairy"}).status_code == 422
    assert not Operation.objects.exists()
    assert ada.browser.post(address, {"name": "diary"}).status_code == 302
    assert Operation.objects.get().kind == "wipe"


def test_buttons_of_others_are_not_there(stranger: Person, diary: Collection) -> None:
    for path in ("exports/", "imports/", f"imports/{seen(diary).pk}/", "wipe/"):
        assert stranger.browser.post(f"/collections/{diary.pk}/{path}").status_code == 404
