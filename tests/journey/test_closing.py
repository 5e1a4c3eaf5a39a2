"""Leaving, on one machine: dark at once, kept until the date, then nothing is left."""

import psycopg

from tests.chaos.blockade import database_url
from tests.journey.apps import RECORDER
from tests.journey.people import Person, sign_in
from tests.journey.stack import Stack, client, until

KEEPER = RECORDER | {
    "Spacefile": "v: 1\nvolume: /data\nmicros:\n  - {name: keeper, src: ., engine: python3.9, primary: true}\n"
}


def the_date_comes(freehold: Stack, cloud_id: str) -> None:
    """Thirty days pass."""
    with psycopg.connect(database_url(freehold)) as database:
        database.execute("UPDATE tenants_cloud SET erase_at = now() WHERE id = %s", [cloud_id])
        database.execute("UPDATE tenants_operation SET not_before = NULL WHERE cloud_id = %s", [cloud_id])


def state_of(freehold: Stack, cloud_id: str) -> str:
    with psycopg.connect(database_url(freehold)) as database:
        row = database.execute("SELECT state FROM tenants_cloud WHERE id = %s", [cloud_id]).fetchone()
    return str(row[0]) if row else ""


def signed_in_again(person: Person) -> Person:
    wish = {"email": person.email, "password": person.password, "name": "again", "scopes": ["*"]}
    with client(base_url=f"{person.stack.console}/api/v1/") as http:
        answer = http.post("tokens/", json=wish)
    assert answer.status_code == 201, answer.text
    person.api.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    person._web = None
    return person


def test_an_account_goes_dark_is_kept_and_at_last_erased(freehold: Stack) -> None:
    person = Person(freehold, "leaver")
    instance = person.running(person.publish("keeper", KEEPER))
    cloud = person.call("GET", "cloud/")
    folder = freehold.home / "node" / "clouds" / cloud["id"]
    assert person.web.get(instance["url"]).text == "private words of the owner"
    assert folder.is_dir()

    old = person.web
    person.call("DELETE", "cloud/")
    until(lambda: old.get(instance["url"]).status_code == 404, 5, "its address closed")
    assert person.api.get("cloud/").status_code == 401
    assert "/accounts/login/" in str(old.get(f"{freehold.console}/cloud/").url)
    until(lambda: not freehold.sandboxes(instance["host"]), 30, "its processes gone")

    person = signed_in_again(person)
    assert person.call("GET", "cloud/")["erase_at"]
    person.call("POST", "cloud/reopen/")
    assert person.settled(instance["id"])["state"] == "running"
    assert person.web.get(instance["url"]).text == "private words of the owner"

    person.call("DELETE", "cloud/")
    the_date_comes(freehold, cloud["id"])
    until(lambda: state_of(freehold, cloud["id"]) == "closed", 60, "the account closed")
    assert not folder.exists()
    assert not freehold.sandboxes(instance["host"])
    receipts = [mail.read_text() for mail in (freehold.home / "mail").iterdir()]
    assert any(person.email in mail and cloud["namespace"] in mail for mail in receipts)
    newcomer = {"email": person.email, "password": person.password, "handle": "somebody-new"}
    with client(base_url=f"{freehold.console}/api/v1/") as http:
        assert http.post("accounts/", json=newcomer | {"handle": person.handle}).status_code == 422
        assert http.post("accounts/", json=newcomer).status_code == 201


def test_whoever_is_closing_is_told_in_the_console_until_when(freehold: Stack) -> None:
    person = Person(freehold, "unsure")
    person.call("DELETE", "cloud/")
    with client(follow_redirects=True) as web:
        sign_in(web, freehold.console, person.email, person.password)
        assert "Your account is being closed" in web.get(f"{freehold.console}/").text
        assert "Keep my account" in web.get(f"{freehold.console}/settings/close/").text
