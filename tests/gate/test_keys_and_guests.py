"""Keys of programs, the key of an instance's own micros, and invited people: what they open, and for how long."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone

from provider.gate import usage
from provider.gate.asking import sha256
from tenants import feed
from tenants.models import AppKey, Instance, Share, User
from tenants.services import sharing
from tenants.states import InstanceState
from tests.gate.conftest import Gate, errors_of, wait_until
from tests.gate.tenancy import House, console_session, new_house, new_user, settle
from tests.gate.test_sign_in import Browser
from tests.gate.wire import Reply, Upstream

JSON = ("Accept", "application/json")
HTML = ("Accept", "text/html")
WITHIN_S = 5.0  # what is promised of every revocation


@dataclass
class Scene:
    gate: Gate
    house: House
    main: Upstream
    api: Upstream
    hooks: Upstream

    def ask(self, path: str, *headers: tuple[str, str]) -> Reply:
        return self.gate.http.ask(self.house.host, path, *headers)

    def key(self, name: str, micro: str = "") -> tuple[str, str]:
        """A key that the proxy knows already."""
        text = self.house.key(name, micro)
        place = f"{self.house.instance.id}/{micro or 'api'}/{sha256(text)}"
        wait_until(lambda: self.gate.entry("appkeys", place), "the key is known")
        return ("X-Space-App-Key", text)


@pytest.fixture
def scene(gate: Gate, upstreams: Callable[[str], Upstream]) -> Scene:
    scene = Scene(gate, new_house(), upstreams("main"), upstreams("api"), upstreams("hooks"))
    scene.house.add("", scene.main, ["/open/*"])
    scene.house.add("api", scene.api, [], takes_keys=True)
    scene.house.add("hooks", scene.hooks, [], takes_keys=True)
    settle(gate, scene.house)
    return scene


def test_a_key_opens_the_micros_that_it_is_for_and_no_other(scene: Scene) -> None:
    every, one = scene.key("every"), scene.key("one", "api")
    for key, opened in ((every, ("/api/x", "/hooks/x")), (one, ("/api/x",))):
        for path in ("/api/x", "/hooks/x", "/x", "/api/__space/v0/actions", "/__space/v0/base/v1/d/b/items"):
            assert (scene.ask(path, key, JSON).status == 200) is (path in opened), path
    assert [seen.path for seen in (*scene.api.seen, *scene.hooks.seen)] == ["/x"] * (len(scene.api.seen) + 1)
    assert scene.main.seen == []


def test_a_key_says_nothing_about_who_it_is_and_never_reaches_the_app(scene: Scene) -> None:
    key = scene.key("k")
    assert scene.ask("/api/x", key, ("X-Freehold-User", "forged"), ("X_Space_App_Key", key[1])).status == 200
    assert not [name for name in scene.api.last.names if "freehold" in name or "app" in name]
    assert scene.ask("/api/x", key, scene.house.cookie()).status == 200
    assert scene.api.last.header("x-freehold-user") == scene.house.owner.id


@pytest.mark.parametrize("spell", ["{}, {}", "{}x", "x{}", '"{}"', "Bearer {}", ""])
def test_a_key_counts_only_as_it_is(scene: Scene, spell: str) -> None:
    name, text = scene.key("k")
    assert scene.ask("/hooks/x", (name, spell.replace("{}", text)), JSON).status == 401
    assert scene.hooks.seen == []


def test_two_keys_are_none_and_other_spellings_of_the_header_too(scene: Scene) -> None:
    name, text = scene.key("k")
    for headers in (((name, text), (name, text)), ((name, text), (name, "x")), (("X_Space_App_Key", text),)):
        assert scene.ask("/hooks/x", *headers, JSON).status == 401
    assert scene.hooks.seen == []


def test_a_program_with_a_wrong_key_is_told_so_and_not_sent_to_the_sign_in(scene: Scene) -> None:
    for name in ("X-Space-App-Key", "X-API-Key"):
        reply = scene.ask("/api/x", (name, "wrong"), HTML)
        assert (reply.status, errors_of(reply)) == (401, ["Unauthorized"])


def test_a_revoked_key_stops_at_once(scene: Scene) -> None:
    key = scene.key("k")
    scene.house.revoke(key[1])
    wait_until(lambda: scene.ask("/api/x", key, JSON).status == 401, "the key is over", WITHIN_S)


def test_a_key_ends_on_its_date_without_anybody_doing_anything(scene: Scene) -> None:
    key = scene.key("k")
    AppKey.objects.update(expires_at=timezone.now() + timedelta(seconds=2))
    feed.changed(scene.house.instance.id)
    wait_until(lambda: scene.ask("/api/x", key, JSON).status == 401, "the key has ended", WITHIN_S)


def test_a_micro_that_takes_no_keys_any_more_is_shut_to_them(scene: Scene) -> None:
    key = scene.key("k")
    scene.house.instance.micros.filter(mount="api").update(takes_keys=False)
    feed.changed(scene.house.instance.id)
    wait_until(lambda: scene.ask("/api/x", key, JSON).status == 401, "it is shut", WITHIN_S)
    assert scene.ask("/hooks/x", key, JSON).status == 200


def test_the_last_use_of_a_key_is_written_down(scene: Scene) -> None:
    key = scene.key("k")
    assert scene.ask("/api/x", key).status == 200
    row = AppKey.objects.get(instance=scene.house.instance)
    wait_until(lambda: _used(row.pk), "the agent wrote it", usage.EVERY_S + 40)
    assert abs((_used(row.pk) - timezone.now()).total_seconds()) < 180


def _used(key_id: str) -> object:
    return AppKey.objects.get(pk=key_id).last_used_at


def test_micros_call_each_other_with_their_own_key(scene: Scene) -> None:
    key = ("X-API-Key", scene.house.own_key)
    for path, reached in (("/x", scene.main), ("/api/x", scene.api), ("/hooks/x", scene.hooks)):
        assert scene.ask(path, key, JSON).status == 200
        assert reached.last.header("x-api-key") is None
    assert scene.ask("/__space/v0/actions", key, JSON).status == 404


def test_an_apps_own_keys_of_that_name_reach_it(scene: Scene) -> None:
    assert scene.ask("/open/x", ("X-API-Key", "the app's own")).status == 200
    assert scene.main.last.header("x-api-key") == "the app's own"


def test_another_version_of_the_own_key_ends_the_one_before(scene: Scene) -> None:
    old = ("X-API-Key", scene.house.own_key)
    Instance.objects.filter(pk=scene.house.instance.pk).update(calls_version=2)
    feed.changed(scene.house.instance.id)
    wait_until(lambda: scene.ask("/x", old, JSON).status == 401, "the old one is over", WITHIN_S)
    assert scene.ask("/x", ("X-API-Key", scene.house.own_key), JSON).status == 200


@pytest.fixture
def stale(scene: Scene) -> Iterator[Scene]:
    """A proxy that has not heard from its agent for so long that it believes nothing by itself."""
    scene.gate.stop("agent", signal.SIGKILL)
    wait_until(lambda: time.time() - float(scene.gate.entry("state", "beat") or 0) > 6, "the heartbeat is old")
    yield scene
    scene.gate.make_whole()


def test_without_a_heartbeat_the_provider_is_asked_about_keys_and_guests(scene: Scene, stale: Scene) -> None:
    good, over, guest, outcast = scene.house.key("good"), scene.house.key("over"), new_user(), new_user()
    scene.house.revoke(over)
    scene.house.share(guest), scene.house.share(outcast, "ended")
    own = ("X-API-Key", scene.house.own_key)
    assert scene.ask("/api/x", ("X-Space-App-Key", good), JSON).status == 200
    assert scene.ask("/x", ("X-Space-App-Key", good), JSON).status == 401
    assert scene.ask("/api/x", ("X-Space-App-Key", over), JSON).status == 401
    assert scene.ask("/api/x", own, JSON).status == 200
    assert scene.api.last.header("x-api-key") is None
    assert scene.ask("/x", scene.house.guest_cookie(guest), JSON).status == 200
    assert scene.main.last.header("x-freehold-role") == "guest"
    assert scene.ask("/x", scene.house.guest_cookie(outcast), JSON).status == 401


def test_while_the_provider_is_away_keys_and_guests_go_on(scene: Scene) -> None:
    key, guest = scene.key("k"), new_user()
    scene.house.share(guest)
    feed.changed(scene.house.instance.id)
    cookie = scene.house.guest_cookie(guest)
    wait_until(lambda: scene.ask("/x", cookie, JSON).status == 200, "the guest is known")
    scene.gate.stop("live", signal.SIGKILL)
    assert scene.ask("/api/x", key, JSON).status == 200
    assert scene.ask("/x", cookie, JSON).status == 200
    assert scene.ask("/api/x", ("X-Space-App-Key", "wrong"), JSON).status == 502


def invited(scene: Scene) -> tuple[User, Share, Browser]:
    guest = new_user()
    share = sharing.invite(scene.house.owner, scene.house.instance, guest.email)
    return guest, share, Browser(scene.gate.http).signed_in(console_session(guest))


def test_a_guest_signs_in_by_redirects_alone_and_is_out_when_the_owner_says_so(scene: Scene) -> None:
    guest, share, browser = invited(scene)
    url = f"http://{scene.house.host}:{scene.gate.http.port}/notes"
    _, reply = browser.follow(url)
    assert reply.status == 403 and "You are invited to this app" in reply.text
    sharing.answer(guest, share, accept=True)
    assert browser.follow(url)[1].status == 200
    told = [scene.main.last.header(f"x-freehold-{name}") for name in ("user", "email", "role")]
    assert told == [guest.id, guest.email, "guest"]
    sharing.end(scene.house.owner, share)
    wait_until(lambda: browser.get(url).status == 302, "the guest is out", WITHIN_S)
    seen = len(scene.main.seen)
    assert browser.follow(url)[1].status == 403
    assert len(scene.main.seen) == seen


def test_a_guest_does_not_reach_the_owners_data_or_the_reason_of_a_failure(scene: Scene) -> None:
    guest, share, browser = invited(scene)
    sharing.answer(guest, share, accept=True)
    url = f"http://{scene.house.host}:{scene.gate.http.port}/"
    assert browser.follow(url)[1].status == 200
    assert browser.get(f"{url}__space/v0/base/v1/dummy/things/items/x").status == 401
    scene.house.change(state=InstanceState.FAILED, state_reason="Its database password is wrong.")
    wait_until(lambda: browser.get(url).status == 503, "it is known")
    reply = browser.get(url)
    assert "could not be started" in reply.text
    assert "password is wrong" not in reply.text and "/instances/" not in reply.text


def test_a_guest_who_is_no_person_here_any_more_is_out(scene: Scene) -> None:
    guest, share, browser = invited(scene)
    sharing.answer(guest, share, accept=True)
    url = f"http://{scene.house.host}:{scene.gate.http.port}/"
    assert browser.follow(url)[1].status == 200
    User.objects.filter(pk=guest.pk).update(is_active=False)
    feed.changed(scene.house.instance.id)
    wait_until(lambda: browser.get(url).status == 302, "the guest is out", WITHIN_S)
