"""The settings that an app declares: what an owner may fill in, and what of it is filled in. Values are never read back."""

from dataclasses import dataclass

from apps_catalog.blueprint import spacefile_of
from apps_catalog.models import Revision
from tenants.models import Instance


@dataclass(frozen=True)
class Setting:
    """micros: those that see it. has_default: the app has a value of its own, which is not shown: some developers put
    passwords there."""

    name: str
    description: str
    micros: tuple[str, ...]
    is_set: bool
    has_default: bool


def settings_of(instance: Instance) -> tuple[Setting, ...]:
    """In the Spacefile's order. `instance` with its revision."""
    return declared(instance.revision, frozenset(name for name, value in instance.config.items() if value))


def declared(revision: Revision, filled: frozenset[str] = frozenset()) -> tuple[Setting, ...]:
    """Of a revision; `filled` are names that have a value. One name is one setting, however many micros ask for it."""
    found: dict[str, Setting] = {}
    for micro in spacefile_of(revision).micros:
        for preset in micro.presets.env:
            known = found.get(preset.name)
            found[preset.name] = Setting(
                name=preset.name,
                description=(known.description if known else "") or preset.description,
                micros=(*(known.micros if known else ()), micro.name),
                is_set=preset.name in filled,
                has_default=bool(preset.default) or bool(known and known.has_default),
            )
    return tuple(found.values())
