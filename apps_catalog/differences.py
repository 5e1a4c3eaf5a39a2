"""What a newer version of an app may do that the older one could not: what its owner must agree to. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from apps_catalog.public_routes import matches_public, shown
from apps_catalog.spacefile import Action, Micro, Spacefile
from apps_catalog.spacefile.engines import SERVES_FILES

ANYWHERE = "internet"


@dataclass(frozen=True)
class Demand:
    """key names it for programs (`public_route:/share/*`), text is a sentence for people."""

    key: str
    text: str


def demands(old: Spacefile, new: Spacefile) -> tuple[Demand, ...]:
    """New public routes, keys, actions and addresses that it may call. Order: as in the newer file."""
    found = [*_routes(old, new), *_keys(old, new), *_actions(old, new), *_egress(old, new)]
    return tuple({demand.key: demand for demand in found}.values())


def _routes(old: Spacefile, new: Spacefile) -> Iterator[Demand]:
    before = {micro.mount: micro.routes for micro in old.micros}
    for micro in new.micros:
        known = before.get(micro.mount, ())
        for route in micro.routes:
            if not _is_open(route, known):
                (path,) = shown(micro.mount, (route,))
                yield Demand(f"public_route:{path}", f"Anybody may open {path}, without signing in.")


def _is_open(route: str, known: tuple[str, ...]) -> bool:
    """Whether what `route` opens was open: it is one of the known ones, or a single path that one of them covers."""
    return route in known or "/*" in known or ("*" not in route and matches_public(known, route))


def _keys(old: Spacefile, new: Spacefile) -> Iterator[Demand]:
    before = {micro.mount for micro in old.micros if micro.presets.api_keys}
    for micro in new.micros:
        if micro.presets.api_keys and micro.mount not in before:
            path = f"/{micro.mount}"
            yield Demand(f"api_keys:{micro.name}", f"Programs to which you give a key may reach {path}.")


def _actions(old: Spacefile, new: Spacefile) -> Iterator[Demand]:
    before = {action.id: action for _, action in _all_actions(old)}
    for _, action in _all_actions(new):
        if action.id not in before:
            text = f"It does “{action.name}” by itself ({action.default_interval})."
            yield Demand(f"action:{action.id}", text)


def _all_actions(file: Spacefile) -> Iterator[tuple[Micro, Action]]:
    return ((micro, action) for micro in file.micros for action in micro.actions)


def _egress(old: Spacefile, new: Spacefile) -> Iterator[Demand]:
    before = _reach(old)
    if ANYWHERE in before:
        return
    for host in sorted(_reach(new) - before):
        where = "any address on the Internet" if host == ANYWHERE else host
        yield Demand(f"egress:{host}", f"It may call {where}.")


def _reach(file: Spacefile) -> set[str]:
    """Where its micros may call: host names, or the Internet, which is so where nothing is said."""
    reach: set[str] = set()
    for micro in file.micros:
        if micro.engine in SERVES_FILES:
            continue  # no process of it calls anybody
        if micro.egress is None or micro.egress == ANYWHERE:
            reach.add(ANYWHERE)
        elif micro.egress != "none":
            reach.update(micro.egress)
    return reach
