"""`/collections/`: making, looking, keys, deleting."""

import re
from datetime import UTC, datetime

from django.test import Client

from apps_catalog.models import Release
from tenants.models import Collection, DataKey, Import, Instance
from tests.pages.conftest import Person


def _key_of(form: str) -> str:
    found = re.search(r'name="idempotency_key" value="([^"]+)"', form)
    assert found
    return found[1]


def test_a_double_click_makes_one_collection(ada: Person) -> None:
    form = {"name": "diary", "idempotency_key": _key_of(ada.browser.get("/collections/").content.decode())}
    answers = [ada.browser.post("/collections/", form) for _ in range(2)]
    made = Collection.objects.get()
    assert [answer["Location"] for answer in answers] == [f"/collections/{made.pk}/"] * 2
    page = ada.browser.get("/collections/").content.decode()
    assert "diary" in page and f"/collections/{made.pk}/" in page


def test_while_its_server_is_not_there_the_page_says_so(ada: Person) -> None:
    ada.browser.post("/collections/", {"name": "diary"})
    page = ada.browser.get(f"/collections/{Collection.objects.get().pk}/").content.decode()
    assert "cannot be counted now" in page


def test_a_key_is_shown_once_and_can_be_revoked(ada: Person) -> None:
    ada.browser.post("/collections/", {"name": "diary"})
    address = f"/collections/{Collection.objects.get().pk}/"
    form = {"name": "laptop", "idempotency_key": "k1"}
    shown = ada.browser.post(f"{address}keys/", form).content.decode()
    key = re.search(r'<code id="new-key">([a-z0-9]{12}_[a-z0-9]{32})</code>', shown)
    assert key
    assert ada.browser.post(f"{address}keys/", form).status_code == 302
    listed = ada.browser.get(address).content.decode()
    assert key[1] not in listed and "laptop" in listed
    row = DataKey.objects.get()
    assert ada.browser.post(f"{address}keys/{row.pk}/revoke/").status_code == 302
    assert not DataKey.objects.exists()


def test_deleting_wants_the_name(ada: Person, stranger: Person) -> None:
    ada.browser.post("/collections/", {"name": "diary"})
    address = f"/collections/{Collection.objects.get().pk}/remove/"
    assert stranger.browser.post(address, {"name": "diary"}).status_code == 404
    assert Client().post(address, {"name": "diary"}).status_code == 302
    assert ada.browser.post(address, {"name": "dairy"}).status_code == 422
    assert Collection.objects.get().state == "active"
    assert ada.browser.post(address, {"name": "diary"})["Location"] == "/collections/"
    assert Collection.objects.get().state == "removing"
    assert ada.browser.get(f"/collections/{Collection.objects.get().pk}/").status_code == 404


def test_names_of_people_are_text_and_nothing_else(ada: Person) -> None:
    ada.browser.post("/collections/", {"name": "<script>alert(1)</script>"})
    row = Collection.objects.get()
    for address in ("/collections/", f"/collections/{row.pk}/", f"/collections/{row.pk}/remove/"):
        assert b"<script>alert" not in ada.browser.get(address).content
    answer = ada.browser.post("/collections/", {"name": "x" * 61})
    assert answer.status_code == 422
    assert Collection.objects.count() == 1


def test_a_kept_collection_is_given_to_a_new_copy_at_its_install(ada: Person, notes: Release) -> None:
    app = f"/apps/{notes.app.slug}/"
    assert "Choose its data" not in ada.browser.get(app).content.decode()
    ada.browser.post("/collections/", {"name": "kept diary"})
    kept = Collection.objects.get()
    assert "kept diary, 0" in ada.browser.get(app).content.decode()
    refused = ada.browser.post(f"{app}install/", {"collection": "colother"})
    assert refused.status_code == 422 and Instance.objects.filter(cloud=ada.cloud).count() == 0
    assert ada.browser.post(f"{app}install/", {"collection": kept.pk}).status_code == 302
    kept.refresh_from_db()
    assert kept.instance is not None and kept.instance.cloud == ada.cloud
    assert "Choose its data" not in ada.browser.get(app).content.decode()


def test_a_keys_last_use_is_shown(ada: Person) -> None:
    ada.browser.post("/collections/", {"name": "diary"})
    address = f"/collections/{Collection.objects.get().pk}/"
    ada.browser.post(f"{address}keys/", {"name": "laptop", "idempotency_key": "k1"})
    assert "never" in ada.browser.get(address).content.decode()
    DataKey.objects.update(last_used_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    assert "2 Jan 2026, 03:04" in ada.browser.get(address).content.decode()


def test_an_upload_that_is_not_complete_says_how_to_go_on(ada: Person) -> None:
    ada.browser.post("/collections/", {"name": "diary"})
    row = Import.objects.create(collection=Collection.objects.get(), staged="a" * 16, size_bytes=9)
    address = f"/collections/{row.collection_id}/imports/{row.pk}/"
    for shown in (ada.browser.get(address), ada.browser.post(address, {"conflicts": "fail"})):
        assert "Choose the same file again" in shown.content.decode()
    started = ada.browser.post(f"/collections/{row.collection_id}/uploads/?size=9")
    assert started.status_code == 503 and "data server" in started.json()["message"]
    assert ada.browser.post(f"/collections/{row.collection_id}/uploads/?size=x").status_code == 422
