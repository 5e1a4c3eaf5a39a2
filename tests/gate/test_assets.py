"""The manifest and icons by which a browser installs an app: for whoever may enter it, and from the provider."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from apps_catalog import icons
from apps_catalog.models import App, Revision
from apps_catalog.store import Store
from tenants.states import InstanceState
from tests.gate.conftest import Gate
from tests.gate.tenancy import House, new_house, settle
from tests.gate.wire import Reply, Upstream
from tests.worlds import picture

MANIFEST, ICON = "/__space/v0/assets/manifest.json", "/__space/v0/assets/icon-pwa"


@pytest.fixture
def app(upstreams: Callable[[str], Upstream]) -> Upstream:
    return upstreams("app")


@pytest.fixture
def house(gate: Gate, app: Upstream) -> House:
    """Asleep, and open to everybody: neither is asked for."""
    house = new_house(state=InstanceState.RUNNING)
    house.add("", app, ["/*"])
    settle(gate, house)
    house.change(state=InstanceState.STOPPED)
    return house


def describe(house: House, **columns: object) -> None:
    App.objects.filter(pk=house.instance.app_id).update(**columns)


def ask(gate: Gate, house: House, target: str, *headers: tuple[str, str], method: str = "GET") -> Reply:
    return gate.http.ask(house.host, target, house.cookie(), *headers, method=method)


def size_of(reply: Reply) -> tuple[int, int]:
    assert (reply.status, reply.header("content-type")) == (200, "image/png")
    return Image.open(io.BytesIO(reply.body)).size


def test_the_manifest_names_the_app_and_its_icons(gate: Gate, house: House, app: Upstream) -> None:
    describe(house, title="Ünder <b>notes</b>", tagline="Keeps them", theme_color="#102030")
    reply = ask(gate, house, MANIFEST)
    assert (reply.status, reply.header("content-type")) == (200, "application/manifest+json")
    found = json.loads(reply.body)
    assert (found["name"], found["short_name"], found["description"]) == ("Ünder <b>notes</b>", "App", "Keeps them")
    assert (found["start_url"], found["scope"], found["display"]) == ("/", "/", "standalone")
    assert found["theme_color"] == "#102030"
    assert [icon["sizes"] for icon in found["icons"]] == ["192x192", "512x512"]
    for icon in found["icons"]:
        assert size_of(ask(gate, house, icon["src"])) == tuple(map(int, icon["sizes"].split("x")))
    assert app.seen == [], "an app may be asleep, and hears nothing of it"


def test_icons_are_made_of_the_apps_own_in_every_size(gate: Gate, house: House) -> None:
    describe(house, icon=icons.keep(Store(Path(gate.home) / "store"), picture("PNG", 512, 512)))
    for query, side in (("", 512), ("?size=180", 180), ("?size=192", 192), ("?size=512", 512)):
        reply = ask(gate, house, ICON + query)
        assert size_of(reply) == (side, side)
        assert Image.open(io.BytesIO(reply.body)).convert("RGB").getpixel((side // 2, side // 2)) == (0, 128, 128)
    assert ask(gate, house, ICON + "?size=100000").status == 404


def test_an_app_without_an_icon_gets_its_letter(gate: Gate, house: House) -> None:
    describe(house, theme_color="#102030", icon="")
    drawn = Image.open(io.BytesIO(ask(gate, house, ICON).body)).convert("RGB")
    assert drawn.getpixel((3, 3)) == (16, 32, 48)
    assert drawn.getcolors(100_000) is not None and (255, 255, 255) in {c for _, c in drawn.getcolors(100_000) or ()}


def test_an_app_that_wants_none_of_it_has_none_of_it(gate: Gate, house: House) -> None:
    Revision.objects.filter(pk=house.instance.revision_id).update(spacefile={"auto_pwa": False})
    assert [ask(gate, house, target).status for target in (MANIFEST, ICON)] == [404, 404]


@pytest.mark.parametrize("target", [MANIFEST, ICON])
def test_nobody_else_learns_what_is_installed_here(gate: Gate, house: House, app: Upstream, target: str) -> None:
    stranger = new_house()
    settle(gate, stranger)
    forged = (("X-Gate-Secret", "x"), ("X-Freehold-User", house.owner.pk))
    for headers in ((), (stranger.cookie(),), forged):
        assert gate.http.ask(house.host, target, ("Accept", "application/json"), *headers).status == 401
    assert app.seen == []


@pytest.mark.parametrize(
    "target",
    ["/__space/v0/assets/", "/__space/v0/assets/../../x", "/__space/v0/assets/%2e%2e/enter", "/__space/v0/assets/x"],
)
def test_nothing_else_of_the_console_is_reached_that_way(gate: Gate, house: House, target: str) -> None:
    assert ask(gate, house, target).status == 404


def test_the_console_shows_them_to_nobody(gate: Gate, house: House) -> None:
    for path in ("manifest.json", "icon-pwa"):
        reply = gate.http.ask("freehold.localhost", f"/gate/assets/{house.instance.pk}/{path}", ("X-Gate-Secret", "x"))
        assert reply.status == 404


def test_it_may_only_be_read(gate: Gate, house: House) -> None:
    own = ("Origin", f"http://{house.host}")
    assert ask(gate, house, MANIFEST, own, method="POST").status == 403
    assert ask(gate, house, MANIFEST, method="DELETE").status == 403
