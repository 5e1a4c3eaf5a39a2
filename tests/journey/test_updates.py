"""Two versions of an app: its developer's own copy follows pushes, its users agree to what is new or stay."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.journey.command_line import Answer, CommandLine, laid_out
from tests.journey.people import Person
from tests.journey.stack import Stack, client, until
from tests.journey.test_browser import WIDE, picture
from tests.journey.test_command_line import someone

__all__ = ["someone"]

SPACEFILE = """v: 0
micros:
  - name: main
    src: .
    engine: nodejs16
    primary: true
    presets: {env: [{name: GREETING, default: hello}]}
"""
PUBLIC = SPACEFILE + "    public_routes: [/share/*]\n"


def app(text: str) -> str:
    return (
        f"require('http').createServer((q, a) => a.end((process.env.GREETING || 'none') + ' {text} ' + q.url))"
        ".listen(process.env.PORT)\n"
    )


Someone = Callable[[str], tuple[Person, CommandLine]]


def test_from_the_first_push_to_an_update_that_is_agreed_to_and_taken_back(
    someone: Someone, freehold: Stack, chromium: Browser
) -> None:
    author, developer = someone("dev")
    user, owner = someone("user")
    folder = laid_out(developer.folder / "herons", {"Spacefile": SPACEFILE, "index.js": app("one")})
    first = developer.ok("push", cwd=folder)
    own, project = first["instance"], first["project"]
    assert "hello one /" in author.web.get(own["url"]).text
    developer.ok("env", "--set", "GREETING=moin", cwd=folder)
    assert "moin one /" in author.web.get(own["url"]).text
    developer.ok("release", "--version", "1", cwd=folder)
    copy = owner.ok("install", project)["instance"]
    assert "hello one /" in user.web.get(copy["url"]).text

    _replace(folder, PUBLIC, app("two"))
    second = developer.ok("push", cwd=folder)
    assert second["instance"]["id"] == own["id"]
    assert "moin two /" in author.web.get(own["url"]).text
    developer.ok("release", "--version", "2", "--notes", "Shares **herons**", cwd=folder)
    refused = owner("update", copy["id"], "--json")
    assert (refused.code, refused.document["error"]["code"]) == (1, "needs_consent")
    assert "hello one /" in user.web.get(copy["url"]).text
    _update_in_the_browser(chromium, freehold, user, copy["id"])
    assert "hello two /" in user.web.get(copy["url"]).text
    stranger = client()
    assert stranger.get(copy["url"] + "share/x").text == "hello two /share/x"
    assert stranger.get(copy["url"] + "other").status_code in (302, 303, 401)

    owner.ok("rollback", copy["id"])
    assert "hello one /" in user.web.get(copy["url"]).text
    until(lambda: "hello" not in stranger.get(copy["url"] + "share/x").text, 10, "the public route closed again")

    _replace(folder, PUBLIC, "process.exit(4)\n")
    third = developer("push", "--json", cwd=folder)
    assert (third.code, third.document["error"]["code"]) == (1, "not_started")
    assert "moin two /" in author.web.get(own["url"]).text
    _look_at_the_project(chromium, freehold, author, project, own["id"])


MIGRATING = """v: 1
volume: /data
micros:
  - name: main
    src: .
    engine: python3.11
    run: python3 main.py
    health: /up
    migrate: {0}
    egress: none
"""
KEEPING = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"{0} " + open("/data/log", "rb").read()
        self.send_response(200 if self.path == "/up" or "X-Freehold-Role" in self.headers else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_what_a_version_does_first_decides_whether_it_takes_over(someone: Someone) -> None:
    author, developer = someone("dev")

    def push(name: str, migrate: str) -> Answer:
        (folder / "Spacefile").write_text(MIGRATING.format(migrate))
        (folder / "main.py").write_text(KEEPING.format(name))
        return developer("push", "--json", cwd=folder)

    folder = developer.folder / "keeper"
    folder.mkdir(parents=True)
    first = push("one", "echo first >> /data/log")
    assert first.code == 0, first.out + first.err
    url = first.document["instance"]["url"]
    assert author.web.get(url).text == "one first\n"

    broken = push("two", "echo 'no such column' >&2; exit 3")
    assert broken.code == 1
    assert (
        "Its migration (echo 'no such column' >&2; exit 3) exited with code 3." in broken.document["error"]["message"]
    )
    until(lambda: author.web.get(url).text == "one first\n", 60, "the version before to serve again")
    own = first.document["instance"]["id"]
    until(lambda: author.instance(own)["state"] == "running", 60, "its state to say so")

    third = push("three", "echo third >> /data/log")
    assert third.code == 0, third.out + third.err
    assert author.web.get(url).text == "three first\nthird\n"


def _update_in_the_browser(chromium: Browser, freehold: Stack, user: Person, instance_id: str) -> None:
    page = signed_in(chromium, freehold, user)
    page.goto(f"{freehold.console}/instances/{instance_id}/")
    picture(page, "update")
    card = page.locator("#update")
    assert "Shares herons" in card.inner_text()
    card.get_by_label("Anybody may open /share/*, without signing in.").check()
    card.get_by_role("button", name="Update").click()
    expect(card).to_have_count(0)
    until(lambda: user.instance(instance_id)["state"] == "running", 60, "the update")
    page.goto(f"{freehold.console}/instances/{instance_id}/")
    expect(page.get_by_role("button", name="Go back to the version before")).to_be_visible()
    picture(page, "updated")
    page.context.close()


def signed_in(chromium: Browser, freehold: Stack, who: Person) -> Page:
    page = chromium.new_context(viewport=WIDE).new_page()
    page.goto(f"{freehold.console}/accounts/login/")
    page.locator("input[name=login]").fill(who.email)
    page.locator("input[name=password]").fill(who.password)
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url(f"{freehold.console}/")
    return page


def _look_at_the_project(chromium: Browser, freehold: Stack, author: Person, project: str, own: str) -> None:
    page = signed_in(chromium, freehold, author)
    page.goto(f"{freehold.console}/projects/{project}/")
    expect(page.locator("#copy")).to_contain_text("herons-dev")
    expect(page.locator("#releases")).to_contain_text("Withdraw")
    picture(page, "project")
    page.goto(f"{freehold.console}/instances/{own}/settings/")
    expect(page.get_by_label("GREETING")).to_have_value("")
    picture(page, "settings-of-an-app")
    page.goto(f"{freehold.console}/instances/{own}/")
    expect(page.get_by_text("The update did not start")).to_be_visible()
    picture(page, "reverted")
    page.context.close()


def _replace(folder: Path, spacefile: str, code: str) -> None:
    (folder / "Spacefile").write_text(spacefile)
    (folder / "index.js").write_text(code)
