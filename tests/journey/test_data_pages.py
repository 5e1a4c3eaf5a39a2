"""The data pages in a real browser: a base of 100,000 items, and a file of 200 MB."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journey.people import Person
from tests.journey.stack import Stack, until
from tests.journey.test_browser import PHONE, SLOW_MS, WIDE, picture, signed_in, violations
from tests.journey.test_data import outside

ITEMS = 100_000
MIB = 1024 * 1024
FILE_MIB = 200
CITIES = ("Oslo", "Praha", "Łódź", "Roma")


@dataclass
class Desk:
    """Somebody with a collection of a base that is as large as bases get, and a browser before it."""

    owner: Person
    page: Page
    collection: str

    @property
    def path(self) -> str:
        return f"{self.owner.stack.console}/collections/{self.collection}/"


def item(number: int) -> dict[str, Any]:
    return {"key": f"p{number:06}", "name": f"Ada {number}", "age": number % 90, "city": CITIES[number % 4]}


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("bases/people.json", json.dumps([item(n) for n in range(ITEMS)]))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def desk(freehold: Stack, chromium: Browser) -> Iterator[Desk]:
    context = chromium.new_context(viewport=WIDE)
    context.set_default_timeout(SLOW_MS)
    owner, page = signed_in(context, freehold, "desk")
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    made = Desk(owner, page, owner.call("POST", "collections/", json={"name": "Diary"})["id"])
    imported = send(owner, made.collection, archive())
    assert imported["report"]["items"] == ITEMS
    yield made
    context.close()
    assert problems == []


def send(who: Person, collection: str, content: bytes) -> dict[str, Any]:
    """Import an archive through the API, in parts. Returns the import once it is done."""
    root = f"collections/{collection}/"

    def begin() -> dict[str, Any] | None:
        answer = who.api.post(f"{root}uploads/", json={"size_bytes": len(content)})
        assert answer.status_code in (201, 503), answer.text  # a new cloud's data server is starting
        return answer.json() if answer.status_code == 201 else None

    begun = until(begin, 120, "an upload that is begun", pause_s=0.5)
    one, size = f"{root}uploads/{begun['id']}/", begun["part_bytes"]
    for number, at in enumerate(range(0, len(content), size), 1):
        who.call("PUT", f"{one}parts/{number}/", content=content[at : at + size])
    who.finished(who.call("POST", f"{one}finish/")["operation"], 300)
    done = who.call("POST", f"{root}imports/{begun['id']}/apply/", json={"conflicts": "fail"})
    assert who.finished(done["operation"], 300)["state"] == "succeeded"
    return who.call("GET", f"{root}imports/{begun['id']}/")


def fits(page: Page, name: str) -> None:
    """No page is wider than a phone, and each is accessible."""
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], f"{name} is wider than a phone"
    page.set_viewport_size(WIDE)
    assert violations(page) == [], name
    picture(page, name)


def open_base(desk: Desk, query: str = "") -> None:
    desk.page.goto(f"{desk.path}bases/people/")
    if query:
        desk.page.get_by_label("Query").fill(query)
        desk.page.get_by_role("button", name="Ask").click()
        desk.page.wait_for_url(re.compile("[?&]q="))


def key_of(desk: Desk) -> dict[str, str]:
    """Headers of a key to the collection."""
    made = desk.owner.call("POST", f"collections/{desk.collection}/keys/", json={"name": "reader"})
    return {"X-API-Key": made["key"]}


def test_a_hundred_thousand_items_are_paged_through_and_asked(desk: Desk) -> None:
    page = desk.page
    page.goto(desk.path)
    expect(page.get_by_role("row", name=re.compile("people 100,000"))).to_be_visible()
    fits(page, "data-collection")
    page.get_by_role("link", name="people", exact=True).click()
    expect(page.get_by_text("100,000 items")).to_be_visible()
    fits(page, "data-items")
    for first in (50, 100, 150):
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_role("link", name=f"p{first:06}")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="p000100")).to_be_visible()
    page.get_by_label("Last keys first").check()
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("link", name="p099999")).to_be_visible()
    open_base(desk, '{"age": 17, "city": "Praha", "name?contains": "99"}')
    wanted = [n for n in range(ITEMS) if n % 90 == 17 and n % 4 == 1 and "99" in f"Ada {n}"]
    for number in wanted[:50]:
        expect(page.get_by_role("link", name=f"p{number:06}")).to_be_visible()
    expect(page.get_by_text(f"{min(50, len(wanted))} items here")).to_be_visible()


def test_a_typed_cell_is_changed_and_the_rest_of_its_item_stays(desk: Desk) -> None:
    page, number = desk.page, 77_777
    open_base(desk, json.dumps({"key": f"p{number:06}"}))
    page.get_by_role("link", name="Edit cells").click()
    cell = page.get_by_role("link", name=f"change age of p{number:06}")
    cell.click()
    expect(page.get_by_label(f"age of p{number:06}")).to_have_value(str(number % 90))
    expect(page.get_by_label("Kind of age")).to_have_value("number")
    fits(page, "data-cell")
    page.get_by_label(f"age of p{number:06}").fill("old")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid JSON")
    page.get_by_label("Kind of age").select_option("text")
    page.get_by_role("button", name="Save").click()
    expect(cell).to_contain_text("old")
    page.get_by_role("link", name=f"change city of p{number:06}").click()
    page.get_by_label("Kind of city").select_option("none")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name=f"no value: change city of p{number:06}")).to_be_visible()
    page.get_by_role("link", name=f"change name of p{number:06}").click()
    page.get_by_role("link", name="Cancel").click()
    fits(page, "data-cells")
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name=f"p{number:06}", exact=True).click()
    shown = json.loads(page.get_by_label("The item as JSON").input_value())
    assert shown == {"key": f"p{number:06}", "name": f"Ada {number}", "age": "old"}


def test_an_item_is_added_and_deleted(desk: Desk) -> None:
    page = desk.page
    open_base(desk)
    page.get_by_role("link", name="Add an item").click()
    page.get_by_label("The new item as JSON").fill('{"key": "zoe", "name": "Zoë", "age": 1}')
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="zoe", exact=True)).to_be_visible()
    open_base(desk)
    expect(page.get_by_text("100,001 items")).to_be_visible()
    open_base(desk, '{"key": "zoe"}')
    page.get_by_role("link", name="zoe", exact=True).click()
    page.get_by_text("Delete this item").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("100,000 items")).to_be_visible()


def block(number: int) -> bytes:
    """A mebibyte that says which it is."""
    return number.to_bytes(4, "big") + bytes(range(256)) * (MIB // 256 - 1) + bytes(252)


# The same in the browser.
MAKE = """([count, name]) => {
  const pattern = new Uint8Array(1024 * 1024), blocks = [];
  for (let at = 4; at < pattern.length - 252; at += 1) pattern[at] = (at - 4) % 256;
  for (let number = 0; number < count; number += 1) {
    const block = pattern.slice();
    new DataView(block.buffer).setUint32(0, number);
    blocks.push(block);
  }
  const transfer = new DataTransfer();
  transfer.items.add(new File(blocks, name, {type: "video/x-test"}));
  return transfer;
}"""


def test_a_file_of_200_mb_is_dropped_listed_fetched_in_part_renamed_and_deleted(desk: Desk) -> None:
    page = desk.page
    page.goto(desk.path)
    page.get_by_label("Name of a new drive").fill("films")
    page.get_by_role("button", name="New drive").click()
    expect(page.get_by_text("0 files in the drive")).to_be_visible()
    fits(page, "data-drive-empty")
    film = page.evaluate_handle(MAKE, [FILE_MIB, "großer Film.bin"])
    page.dispatch_event("[data-upload]", "drop", {"dataTransfer": film})
    bar = page.get_by_role("progressbar", name="großer Film.bin")
    seen = until(lambda: bar.evaluate("bar => bar.value > 0 && bar.value < bar.max && bar.value"), 120, "progress")
    assert 0 < seen < FILE_MIB * MIB
    picture(page, "data-drive-progress")
    row = page.get_by_role("row", name=re.compile("großer Film.bin"))
    expect(row).to_be_visible(timeout=300_000)
    expect(row).to_contain_text("200.0")
    fits(page, "data-drive-large")

    # As a browser's video element or a broken-off download asks: from the console and with a key.
    begin, end = 133 * MIB - 1000, 134 * MIB + 1000
    expected = (block(132) + block(133) + block(134))[MIB - 1000 : 2 * MIB + 1000]
    ranged = {"Range": f"bytes={begin}-{end - 1}"}
    content = f"{desk.path}drives/films/content/"
    part = desk.owner.web.get(content, params={"name": "großer Film.bin"}, headers=ranged)
    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes {begin}-{end - 1}/{FILE_MIB * MIB}")
    assert part.content == expected
    with page.expect_download() as started:
        page.get_by_role("link", name="großer Film.bin").click()
        page.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == "großer Film.bin"
    with started.value.path().open("rb") as fetched:
        for number in range(FILE_MIB):
            assert fetched.read(MIB) == block(number)
        assert fetched.read() == b""
    started.value.delete()

    page.get_by_label("Name, with its folders").fill("2026/film.bin")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="film.bin")).to_be_visible()
    fits(page, "data-file-large")
    page.goto(f"{desk.path}drives/films/")
    page.get_by_role("link", name="2026/").click()
    page.get_by_role("link", name="film.bin").click()
    page.get_by_text("Delete this file").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("The file is deleted.")).to_be_visible()
    expect(page.get_by_text("0 files in the drive")).to_be_visible()


def test_an_archive_is_sent_in_parts_looked_at_and_imported(desk: Desk, tmp_path: Any) -> None:
    page, file = desk.page, tmp_path / "old.zip"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("bases/letters.json", json.dumps([{"key": "a", "n": 1}]))
        made.writestr("drives/scans/large.bin", block(1) * 20)
    page.goto(desk.path)
    page.get_by_label("Archive").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    page.wait_for_url(re.compile("/imports/"))
    fits(page, "data-import-look")
    page.get_by_role("link", name="See what it holds").click()
    expect(page.get_by_text("The archive holds 1 item and 1 file")).to_be_visible()
    fits(page, "data-import")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Write it into the collection")).to_be_visible()

    def imported() -> bool:
        page.goto(desk.path)
        return page.get_by_role("link", name="letters", exact=True).count() > 0

    until(imported, 60, "imported", pause_s=0.5)


def test_whole_bases_folders_and_drives_go_when_their_name_is_typed(desk: Desk) -> None:
    page = desk.page
    page.goto(desk.path)
    page.get_by_label("Name of a new base").fill("nothing yet")
    page.get_by_role("button", name="New base").click()
    expect(page.get_by_text("Nothing in it.")).to_be_visible()
    page.get_by_role("link", name="Delete this base").click()
    page.get_by_label(re.compile("Type its name")).fill("something")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing yet")
    fits(page, "data-base-remove")
    page.get_by_label(re.compile("Type its name")).fill("nothing yet")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("is deleted with all that was in it")).to_be_visible()
    headers, stack = key_of(desk), desk.owner.stack
    project = desk.owner.call("GET", f"collections/{desk.collection}/")["project_id"]
    with outside(stack) as program:
        program.headers.update(headers)
        root = f"{project}/photos"
        for name in ("2024/a.txt", "2024/b/c.txt", "2025.txt"):
            assert program.post(f"{root}/files", params={"name": name}, content=b"x").status_code == 201
        page.goto(f"{desk.path}drives/photos/?prefix=2024/")
        page.get_by_role("link", name="Delete this folder").click()
        page.get_by_label(re.compile("Type its name")).fill("2024/")
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("“2024/” is deleted: 2 files.")).to_be_visible()
        assert program.get(f"{root}/files").json()["names"] == ["2025.txt"]
    page.get_by_role("link", name="Delete this drive").click()
    page.get_by_label(re.compile("Type its name")).fill("photos")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="photos")).to_have_count(0)
