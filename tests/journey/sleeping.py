"""An app that is put to sleep and woken by many at once; the same on one machine and in a cluster."""

from concurrent.futures import ThreadPoolExecutor

from tests.journey.people import Document, Person
from tests.journey.stack import until


def put_to_sleep(owner: Person, instance: Document) -> None:
    operation = owner.finished(owner.call("POST", f"instances/{instance['id']}/sleep/")["id"])
    assert operation["state"] == "succeeded", operation["error"]
    assert owner.instance(instance["id"])["state"] == "asleep"


def visit_at_once(owner: Person, instance: Document, number: int = 20) -> list[str]:
    """What so many visits, half of them with a body, are answered; all go to `url`."""
    owner.web.get(owner.stack.console)  # signed in before, so that every visit is one request
    origin = {"Origin": str(instance["url"]).rstrip("/")}

    def visit(turn: int) -> str:
        method, content = ("POST", b"echo posted") if turn % 2 else ("GET", None)
        answer = owner.web.request(method, f"{instance['url']}?n={turn}", content=content, headers=origin)
        assert answer.status_code == 200, answer.text
        return answer.text

    with ThreadPoolExecutor(number) as pool:
        answers = list(pool.map(visit, range(number)))
    until(lambda: owner.instance(instance["id"])["state"] == "running", 60, "it is called running")
    return answers
