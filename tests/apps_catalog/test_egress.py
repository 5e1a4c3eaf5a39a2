"""What an app says that it calls: what of that is new to its owner."""

import pytest

from apps_catalog.differences import demands
from apps_catalog.spacefile import Spacefile, parse


def app(*egress: str, page: bool = False) -> Spacefile:
    rows = [
        f"  - {{name: m{at}, src: ., engine: python3.11, primary: {str(at == 0).lower()}{said and ', egress: ' + said}}}\n"
        for at, said in enumerate(egress)
    ]
    rows += ["  - {name: page, src: ., engine: static, serve: .}\n"] if page else []
    return parse("v: 1\nmicros:\n" + "".join(rows))


@pytest.mark.parametrize(
    ("old", "new", "asked"),
    [
        (app("none"), app("none"), []),
        (app("none"), app("[a.org, b.org]"), ["egress:a.org", "egress:b.org"]),
        (app("[a.org]"), app("[a.org, b.org]"), ["egress:b.org"]),
        (app("[a.org]"), app("internet"), ["egress:internet"]),
        (app("[a.org]"), app(""), ["egress:internet"]),
        (app(""), app("[a.org]"), []),
        (app("[a.org]"), app("none"), []),
        (app("none", "none"), app("none", "[a.org]"), ["egress:a.org"]),
        # Files call nobody: they neither ask for the Internet nor make it look as if it had been agreed to.
        (app("none", page=True), app("[a.org]", page=True), ["egress:a.org"]),
        (app("none"), app("none", page=True), []),
    ],
)
def test_an_update_asks_for_what_it_may_newly_call(old: Spacefile, new: Spacefile, asked: list[str]) -> None:
    assert [demand.key for demand in demands(old, new)] == asked
