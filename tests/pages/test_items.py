"""`/collections/<id>/bases/<name>/`: looking at items, asking, changing, over a real data server."""

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from django.test import Client

from tenants.models import Collection, DataServer
from tenants.services.contents import refused
from tests.pages.conftest import Person
from tests.pages.data_servers import data_server, inner


@pytest.fixture
def diary(ada: Person) -> Collection:
    return Collection.objects.create(cloud=ada.cloud, name="diary")


@pytest.fixture
def store(ada: Person, diary: Collection, tmp_path: Path) -> Iterator[httpx.Client]:
    with data_server(ada, tmp_path / "data") as server, inner(server, diary) as client:
        yield client


@pytest.fixture
def at(diary: Collection) -> str:
    return f"/collections/{diary.pk}/bases/things/"


def put(store: httpx.Client, *items: Any) -> None:
    for begin in range(0, len(items), 25):
        body = {"items": items[begin : begin + 25]}
        assert store.put("bases/things/items", json=body).status_code == 207


def item(store: httpx.Client, key: str) -> Any:
    return store.get(f"bases/things/items/{key}").json()


def keys(page: str) -> list[str]:
    return [html.unescape(key) for key in re.findall(r'\?key=[^"]*">([^<]*)</a>', page)]


def page(browser: Client, path: str, **given: str) -> str:
    answer = browser.get(path, given)
    assert answer.status_code == 200
    return answer.content.decode()


def test_cells_say_what_kind_of_value_they_hold(ada: Person, store: httpx.Client, at: str) -> None:
    put(
        store, {"key": "a", "t": "<b>x</b>", "n": 12345678901234567890, "y": True, "z": None, "l": [1], "o": {"p": "ü"}}
    )
    put(store, {"key": "b", "f": 1.5, "__expires": 4102444800})
    shown = page(ada.browser, at)
    for cell in (
        '<td class="is-text">&lt;b&gt;x&lt;/b&gt;</td>',
        '<td class="is-number">12345678901234567890</td>',
        '<td class="is-truth">true</td>',
        '<td class="is-null">null</td>',
        '<td class="is-list">[1]</td>',
        '<td class="is-object">{&quot;p&quot;: &quot;ü&quot;}</td>',
        '<td class="is-missing"></td>',
        '<td class="is-number">1.5</td>',
        '<td class="is-time">1 Jan 2100, 00:00:00</td>',
    ):
        assert cell in shown, cell
    assert "2 items" in shown


def test_the_collections_page_leads_to_its_bases(ada: Person, store: httpx.Client, at: str, diary: Collection) -> None:
    put(store, {"key": "a"})
    assert f'href="{at}"' in page(ada.browser, f"/collections/{diary.pk}/")


def test_a_query_shows_what_matches(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, *({"key": f"k{n}", "n": n} for n in range(9)))
    assert keys(page(ada.browser, at, q='{"n?gte": 7}')) == ["k7", "k8"]
    assert keys(page(ada.browser, at, q='[{"n": 1}, {"n": 3}]', sort="desc")) == ["k3", "k1"]
    assert "Nothing matches" in page(ada.browser, at, q='{"n": 10}')


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ('{"n?near": 1}', "there is no operator 'near'"),
        ('{"n?pfx": 1}', "needs a string"),
        ("{n: 1}", "The query is not valid JSON"),
        ('"n"', "query must be a list of objects"),
        ("[" * 5000, "nested"),
        ('{"key": 1}', "needs a string"),
    ],
)
def test_what_is_wrong_with_a_query_stands_beside_it(
    ada: Person, store: httpx.Client, at: str, query: str, why: str
) -> None:
    put(store, {"key": "a"})
    answer = ada.browser.get(at, {"q": query})
    assert answer.status_code == 422
    shown = html.unescape(answer.content.decode())
    assert why in re.search(r'id="q-wrong" role="alert">(.*?)</p>', shown, re.DOTALL)[1]  # type: ignore[index]
    assert f">{query}</textarea>" in shown
    assert ada.browser.get(at, {"q": query}, headers={"HX-Request": "true"}).status_code == 200


def test_pages_go_through_everything_once(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, *({"key": f"{n:04}", "n": n} for n in range(120)))
    seen, path = [], at
    while path:
        shown = page(ada.browser, path)
        seen += keys(shown)
        following = re.search(r'href="(\?[^"]+)"', shown)
        path = at + html.unescape(following[1]) if following else ""
    assert seen == [f"{n:04}" for n in range(120)]


def test_the_last_page_of_a_hundred_thousand_is_no_slower_than_the_first(
    ada: Person, store: httpx.Client, at: str
) -> None:
    batch = 25
    for begin in range(0, 100_000, batch):
        items = [{"key": f"{n:06}", "n": n, "text": "some words of an app"} for n in range(begin, begin + batch)]
        store.put("bases/things/items", json={"items": items})

    def seconds(last: str) -> float:
        started = time.perf_counter()
        assert len(keys(page(ada.browser, at, last=last))) == (49 if last == "099950" else 50)
        return time.perf_counter() - started

    seconds("")
    first = min(seconds("") for _ in range(5))
    for last in ("050000", "099950"):
        assert min(seconds(last) for _ in range(5)) < 2 * first + 0.05


def test_an_item_is_shown_whole_and_saved_whole(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a/b?c&d", "big": 2**80, "text": "</textarea><script>alert(1)</script>"})
    address = keys_link(page(ada.browser, at))
    shown = page(ada.browser, at + address)
    assert str(2**80) in shown and "<script>alert" not in shown
    answer = ada.browser.post(at + address, {"item": '{"key": "a/b?c&d", "n": 1.0, "ü": [null]}'})
    assert answer["Location"] == at + address
    assert item(store, "a%2Fb%3Fc%26d") == {"key": "a/b?c&d", "n": 1.0, "ü": [None]}


def keys_link(shown: str) -> str:
    found = re.search(r'href="[^"]*?(item/\?key=[^"]*)"', shown)
    assert found
    return html.unescape(found[1])


@pytest.mark.parametrize("key", ["..", ".", "%2e%2e", "a b+c", "ü/…", "#"])
def test_keys_that_addresses_would_bend_are_reached(ada: Person, store: httpx.Client, at: str, key: str) -> None:
    put(store, {"key": key, "n": 1})
    address = at + keys_link(page(ada.browser, at))
    assert "&quot;n&quot;: 1" in page(ada.browser, address)
    assert ada.browser.post(f"{at}delete/", {"key": key})["Location"] == at
    assert ada.browser.get(address).status_code == 404


def test_half_a_surrogate_pair_breaks_no_page(ada: Person, store: httpx.Client, at: str) -> None:
    body = b'{"items":[{"key":"a","\\ud800":"\\udfff","l":["\\ud800"]}]}'
    assert store.put("bases/things/items", content=body).status_code == 207
    assert "udfff" in page(ada.browser, at)
    assert "udfff" in page(ada.browser, at + "item/?key=a")


def test_an_item_that_indenting_would_swell_is_saved_as_it_was_shown(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a", "l": [1] * 200_000})
    shown = re.search(r"<textarea[^>]*>(.*?)</textarea>", page(ada.browser, at + "item/?key=a"), re.DOTALL)
    assert shown
    form = urlencode({"item": html.unescape(shown[1]).replace("\n", "\r\n")})
    kind = "application/x-www-form-urlencoded"
    assert ada.browser.post(at + "item/?key=a", form, content_type=kind).status_code == 302
    assert item(store, "a") == {"key": "a", "l": [1] * 200_000}


def test_a_refusal_that_belongs_to_no_field_is_a_page(
    ada: Person, store: httpx.Client, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise refused(507, "There is no room left on the disk")

    monkeypatch.setattr("tenants.services.items.contents", full)
    answer = ada.browser.get(at)
    assert answer.status_code == 422 and "no room left" in answer.content.decode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not valid JSON"),
        ("[1]", "An item is a JSON object"),
        ('{"key": "b"}', "The key stays"),
        ('{"key": ""}', "must not be empty"),
        ('{"": 1}', "must not be empty"),
        ('{"n": NaN}', "NaN is not a number"),
        ('{"n": "' + "x" * 410_000 + '"}', "larger than 400 KB"),
        ('{"__expires": "soon"}', "must be a number of seconds"),
    ],
)
def test_what_is_wrong_with_an_item_stands_beside_it_and_nothing_changes(
    ada: Person, store: httpx.Client, at: str, text: str, why: str
) -> None:
    put(store, {"key": "a", "n": 1})
    answer = ada.browser.post(at + "item/?key=a", {"item": text})
    assert answer.status_code == 422
    assert why in html.unescape(answer.content.decode())
    assert item(store, "a") == {"key": "a", "n": 1}


def test_adding_twice_makes_one_item_and_takes_nobodys_key(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a", "n": 1})
    form = html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", page(ada.browser, at + "add/"), re.DOTALL)[1])  # type: ignore[index]
    answers = [ada.browser.post(at + "add/", {"item": form}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 422]
    assert "already exists" in answers[1].content.decode()
    assert len(keys(page(ada.browser, at))) == 2
    assert ada.browser.post(at + "add/", {"item": '{"key": "a"}'}).status_code == 422
    assert item(store, "a") == {"key": "a", "n": 1}


def test_a_full_cloud_says_so_beside_the_item(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a"})
    root = str(store.base_url).split("/collections/")[0]
    assert store.put(f"{root}/quota", json={"limit_bytes": 10}).status_code == 200
    answer = ada.browser.post(at + "add/", {"item": '{"text": "some more"}'})
    assert answer.status_code == 422 and "quota" in answer.content.decode()
    assert ada.browser.post(at + "delete/", {"key": "a"}).status_code == 302


def test_what_is_not_there_is_404_and_made_by_nobody(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a"})
    other = at.replace("things", "others")
    for path in (other, other + "add/", other + "item/?key=a", at + "item/?key=b", at + "item/"):
        assert ada.browser.get(path).status_code == 404, path
    for path in (other + "add/", other + "item/?key=a", at + "item/?key=b"):
        assert ada.browser.post(path, {"item": '{"n": 1}'}).status_code == 404, path
    assert ada.browser.post(at + "delete/", {}).status_code == 404
    assert [base["name"] for base in store.get(str(store.base_url).rstrip("/")).json()["bases"]] == ["things"]


def test_strangers_learn_nothing_and_change_nothing(
    ada: Person, stranger: Person, store: httpx.Client, at: str
) -> None:
    put(store, {"key": "a", "n": 1})
    for path in (at, at + "item/?key=a", at + "add/"):
        assert stranger.browser.get(path).status_code == 404
    for path in (at + "item/?key=a", at + "add/", at + "delete/"):
        assert stranger.browser.post(path, {"item": '{"n": 2}', "key": "a"}).status_code == 404
    assert item(store, "a") == {"key": "a", "n": 1}


def test_while_the_data_server_is_away_a_page_says_so(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a"})
    DataServer.objects.update(upstream="127.0.0.1:1")
    answer = ada.browser.get(at)
    assert answer.status_code == 503 and "data server" in answer.content.decode()
    assert ada.browser.post(at + "delete/", {"key": "a"}).status_code == 503


def test_a_cell_changes_its_attribute_and_no_other(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a b", "n": 1, "other": "x", "with.dot": 1})
    shown = page(ada.browser, at, edit="1")
    assert 'hx-get="' in shown and "change n of a b" in shown and "change with.dot" not in shown
    assert "change n of" not in page(ada.browser, at)
    address = f"{at}cell/?{urlencode({'key': 'a b', 'name': 'n'})}"
    form = ada.browser.get(address).content.decode()
    assert '<option value="number" selected>' in form and ">\n1</textarea>" in form
    for kind, text, value in (
        ("number", "-1.5e3", -1500.0),
        ("text", "two\r\nlines <b>", "two\nlines <b>"),
        ("true", "whatever", True),
        ("false", "", False),
        ("null", "", None),
        ("json", '{"deep": [1, "ž"]}', {"deep": [1, "ž"]}),
        ("json", '"a\\rb"', "a\rb"),
    ):
        store.patch("bases/things/items/a%20b", json={"set": {"other": kind}})  # somebody else writes meanwhile
        assert ada.browser.post(address, {"kind": kind, "value": text}).status_code == 302
        assert item(store, "a b") == {"key": "a b", "n": value, "other": kind, "with.dot": 1}
    assert '<option value="json" selected>' in ada.browser.get(address).content.decode(), "a form would lose the \\r"
    fragment = ada.browser.post(address, {"kind": "text", "value": "<i>"}, headers={"HX-Request": "true"})
    assert fragment.content.decode().startswith('<td class="is-text">') and b"&lt;i&gt;" in fragment.content
    assert ada.browser.post(address, {"kind": "none"}).status_code == 302
    assert "n" not in item(store, "a b")


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("number", "old", "The value is not valid JSON"),
        ("number", '"1"', "A number is written like"),
        ("number", "true", "A number is written like"),
        ("number", "NaN", "NaN"),
        ("json", "{", "The value is not valid JSON"),
        ("date", "1", "Choose one of"),
    ],
)
def test_what_is_wrong_with_a_cell_stands_beside_it_and_nothing_changes(
    ada: Person, store: httpx.Client, at: str, kind: str, value: str, why: str
) -> None:
    put(store, {"key": "a", "n": 1})
    address = f"{at}cell/?key=a&name=n"
    answer = ada.browser.post(address, {"kind": kind, "value": value})
    assert answer.status_code == 422
    assert why in html.unescape(answer.content.decode())
    assert ada.browser.post(address, {"kind": kind, "value": value}, headers={"HX-Request": "true"}).status_code == 200
    assert item(store, "a") == {"key": "a", "n": 1}


def test_cells_that_are_none_are_not_there(ada: Person, store: httpx.Client, at: str) -> None:
    put(store, {"key": "a", "n": 1})
    for asked in ("key=a&name=key", "key=a&name=x.y", "key=a&name=", "key=none&name=n", "name=n"):
        assert ada.browser.get(f"{at}cell/?{asked}").status_code == 404, asked
    assert ada.browser.post(f"{at}cell/?key=none&name=n", {"kind": "null"}).status_code == 404
