"""An app with a schedule: its owner runs it by a button, the clock runs it by itself, and what it answered is shown."""

import json
from typing import Any
from urllib.parse import quote

import psycopg
from playwright.sync_api import Browser, expect

from tests.chaos.blockade import database_url
from tests.journey.people import Document, Person
from tests.journey.stack import Stack, until
from tests.journey.test_updates import signed_in

ACTION = "nightly/tidy up"
TIDIES = {
    "Spacefile": (
        "v: 0\nmicros:\n  - name: tidy\n    src: .\n    engine: python3.9\n    primary: true\n"
        "    run: python3 main.py\n"
        f"    actions: [{{id: {ACTION}, name: Tidy up, trigger: schedule, default_interval: 0 0 1 1 *}}]\n"
    ),
    # Answers with all that it was sent, and how often by then.
    "main.py": """
import http.server, json, os

times = 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global times
        times += 1
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(json.dumps([times, self.path, self.headers["Content-Type"], sent]))

    def do_GET(self):
        self.reply(str(times))

    def reply(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
""",
}


def answer(times: int) -> list[Any]:
    sent = {"event": {"id": ACTION, "trigger": "schedule"}}
    return [times, "/__space/v0/actions", "application/json", sent]


def test_a_schedule_reaches_the_app_by_hand_and_when_it_is_due(person: Any, freehold: Stack, chromium: Browser) -> None:
    owner: Person = person("tidy")
    instance = owner.running(owner.publish("tidy", TIDIES))
    place = f"instances/{instance['id']}/actions/{quote(ACTION)}/"

    def last_run(trigger: str) -> Document:
        def look() -> Document | None:
            run = owner.call("GET", place)["last_run"]
            return run if run and run["trigger"] == trigger and run["finished_at"] else None

        return until(look, 60, f"a run by {trigger} is over")

    page = signed_in(chromium, freehold, owner)
    page.goto(f"{freehold.console}/{place}")
    page.get_by_role("button", name="Run now").click()
    run = last_run("person")
    assert (run["state"], run["http_status"], json.loads(run["answer"])) == ("succeeded", 200, answer(1))

    until_it_is_due = owner.call("GET", place)["next_run_at"]
    with psycopg.connect(database_url(freehold)) as database:  # the year goes by
        database.execute("UPDATE tenants_action SET next_due = now() WHERE instance_id = %s", [instance["id"]])
    run = last_run("schedule")
    assert (run["state"], run["http_status"], json.loads(run["answer"])) == ("succeeded", 200, answer(2))
    assert owner.call("GET", place)["next_run_at"] == until_it_is_due, "and not again before the next time"
    assert owner.web.get(instance["url"]).text == "2"

    page.goto(f"{freehold.console}/{place}")
    for words in ("succeeded", "by hand", run["answer"]):
        expect(page.locator("main")).to_contain_text(words)
    page.context.close()
