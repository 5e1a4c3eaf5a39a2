"""The data pages in a real browser, over a real data server."""

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tenants.models import Collection
from tests.pages.chromium import WIDE, chromium, committed, console, picture
from tests.pages.conftest import Person
from tests.pages.data_servers import data_server, inner

__all__ = ["chromium", "committed", "console"]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R>>endobj
4 0 obj<</Length 26>>stream
1 0 0 rg 20 20 160 60 re f
endstream endobj
trailer<</Root 1 0 R>>
"""
ITEMS = [
    {"key": f"person-{n:03}", "name": f"Ada {n}", "age": n, "member": n % 2 == 0, "tags": ["a", "b"], "address": None}
    for n in range(60)
]


@pytest.fixture
def diary(committed: None, ada: Person) -> Collection:
    return Collection.objects.create(cloud=ada.cloud, name="diary")


@pytest.fixture
def store(ada: Person, diary: Collection, tmp_path: Path) -> Iterator[httpx.Client]:
    with data_server(ada, tmp_path / "data") as server, inner(server, diary) as client:
        yield client


@pytest.fixture
def page(chromium: Browser, ada: Person, console: str) -> Iterator[Page]:
    """Signed in as ada. Whatever a page complains about, or does against its policy, fails the test."""
    context = chromium.new_context(viewport=WIDE, base_url=console)
    cookies = [{"name": name, "value": one.value, "url": console} for name, one in ada.browser.cookies.items()]
    context.add_cookies(cookies)  # type: ignore[arg-type]
    made, complaints = context.new_page(), []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    yield made
    context.close()
    assert complaints == []


def test_a_person_asks_turns_pages_changes_adds_and_deletes(page: Page, store: httpx.Client, diary: Collection) -> None:
    for begin in range(0, len(ITEMS), 20):
        store.put("bases/people/items", json={"items": ITEMS[begin : begin + 20]})
    page.goto(f"/collections/{diary.pk}/")
    page.get_by_role("link", name="people").click()
    picture(page, "data-base")
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("link", name="person-059")).to_be_visible()
    expect(page.get_by_role("link", name="person-000")).to_have_count(0)
    page.get_by_label("Query").fill('{"age?near": 7}')
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("there is no operator 'near'")
    picture(page, "data-query-wrong")
    page.get_by_label("Query").fill('{"age": 7}')
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("link", name="person-007").click()
    picture(page, "data-item")
    page.get_by_label("The item as JSON").fill('{"key": "person-007", "name": "Grace"}')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert store.get("bases/people/items/person-007").json() == {"key": "person-007", "name": "Grace"}
    page.get_by_text("Delete this item").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("The item is deleted.")).to_be_visible()
    page.get_by_role("link", name="Add an item").click()
    page.get_by_label("The new item as JSON").fill('{"key": "z", "n": 1}')
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="z", exact=True)).to_be_visible()


def test_a_person_drops_files_looks_at_them_renames_and_deletes(
    page: Page, store: httpx.Client, diary: Collection
) -> None:
    store.post("drives/docs/files", params={"name": "letters/a.txt"}, content=b"Dear Ada").raise_for_status()
    store.post("drives/docs/files", params={"name": "letters/page.html"}, content=b"<script>alert(1)</script>")
    page.goto(f"/collections/{diary.pk}/")
    page.get_by_role("link", name="docs", exact=True).click()
    page.get_by_role("link", name="letters/").click()
    drop(page, {"dot.png": PNG, "dot ü.pdf": PDF, "big.bin": b"\0" * (8 * 1024 * 1024 + 5)})
    expect(page.get_by_role("link", name="big.bin")).to_be_visible(timeout=30_000)
    assert len(store.get("drives/docs/files/download", params={"name": "letters/big.bin"}).content) == 8388613
    picture(page, "data-drive")
    page.get_by_role("link", name="dot.png").click()
    expect(page.get_by_role("img", name="dot.png")).to_be_visible()
    page.wait_for_function("document.querySelector('.preview img').naturalWidth === 1")
    picture(page, "data-file")
    page.get_by_label("Name, with its folders").fill("pictures/point.png")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="point.png")).to_be_visible()
    page.get_by_text("Delete this file").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("The file is deleted.")).to_be_visible()
    page.goto(f"/collections/{diary.pk}/drives/docs/file/?name=letters/page.html")
    expect(page.locator(".preview pre")).to_have_text("<script>alert(1)</script>")
    page.goto(f"/collections/{diary.pk}/drives/docs/file/?name=letters/dot%20%C3%BC.pdf")
    picture(page, "data-pdf")


def drop(page: Page, files: dict[str, bytes]) -> None:
    """As from the desktop onto the place for it."""
    given = [(name, base64.b64encode(content).decode()) for name, content in files.items()]
    transfer = page.evaluate_handle(
        """given => given.reduce((transfer, [name, text]) => {
            transfer.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
            return transfer;
        }, new DataTransfer())""",
        given,
    )
    page.dispatch_event("[data-upload]", "drop", {"dataTransfer": transfer})
