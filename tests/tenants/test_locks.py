"""How rows are locked."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("tenants", "apps_catalog", "provider")
# Whoever ends a drain deletes the answers that point at it: here a new one is to be kept out until then.
WHOLE = ("tenants/services/drains.py",)


def test_no_lock_keeps_others_from_pointing_at_a_row() -> None:
    """A plain `FOR UPDATE` stops every insert that refers to the row, at its commit: two transactions that each lock one
    row and insert a reference to the other's wait for each other. Our locks are about changing the row itself."""
    found = {
        f"{file.relative_to(SOURCE)}: {call}"
        for package in PACKAGES
        for file in (SOURCE / package).rglob("*.py")
        if str(file.relative_to(SOURCE)) not in WHOLE
        for call in re.findall(r"select_for_update\([^\n]*", file.read_text())
    }
    assert found
    assert {call for call in found if "no_key=True" not in call} == set()
