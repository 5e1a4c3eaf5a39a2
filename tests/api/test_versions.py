"""Updates and settings of an instance, and a developer's releases, through the API."""

import pytest

from apps_catalog.models import Release
from tenants.models import Instance
from tests.api.client import Program, error
from tests.worlds import SPACEFILE, MemoryCluster, active_person, place, released, settle, zipped

pytestmark = pytest.mark.django_db
PUBLIC = SPACEFILE + "    public_routes: [/share/*]\n"


def push(developer: Program, slug: str, spacefile: str = SPACEFILE, **files: str) -> str:
    answer = developer.upload(slug, zipped({"Spacefile": spacefile, "main.py": "app = None\n", **files}))
    assert answer.status_code == 202
    settle()
    place()
    return str(answer.json()["id"])


def test_from_push_to_an_update_with_consent(cluster: MemoryCluster) -> None:
    developer, user = Program(active_person(cluster)), Program(active_person(cluster))
    slug = developer("POST", "projects/", {"name": "Herons"}).json()["slug"]
    assert developer("GET", f"projects/{slug}/").json()["builder_instance"] is None
    first = push(developer, slug)
    own = developer("GET", f"projects/{slug}/").json()["builder_instance"]
    assert developer("GET", f"instances/{own}/").json()["is_builder"] is True
    shown = developer("GET", f"projects/{slug}/revisions/{first}/").json()
    assert shown["placement"] == "done"
    assert developer("GET", f"operations/{shown['placed_by']}/").json()["state"] == "succeeded"
    developer("POST", f"projects/{slug}/releases/", {"revision": first, "version": "1"})
    copy = user("POST", "instances/", {"app": slug}).json()["id"]
    settle()
    assert user("GET", f"instances/{copy}/update/").json()["release"] is None
    assert error(user("POST", f"instances/{copy}/update/", {}))[1] == "up_to_date"
    second = push(developer, slug, PUBLIC)
    developer("POST", f"projects/{slug}/releases/", {"revision": second, "version": "2", "notes": "Shares"})
    offer = user("GET", f"instances/{copy}/update/").json()
    assert (offer["installed"], offer["version"], offer["news"][0]["notes"]) == ("1", "2", "Shares")
    assert offer["needs_consent"] == ["public_route:/share/*"]
    planned = user("POST", f"instances/{copy}/update/?dry_run=true", {}).json()
    assert planned == {**offer, **{name: planned[name] for name in ("quota", "quota_after", "price_delta")}}
    assert (planned["quota_after"]["instances"], planned["quota"]["instances"], planned["price_delta"]) == (1, 20, 0)
    refused = user("POST", f"instances/{copy}/update/", {"consent": []}, key="k")
    assert error(refused) == (422, "needs_consent", "consent")
    body = {"release": offer["release"], "consent": offer["needs_consent"]}
    done = user("POST", f"instances/{copy}/update/", body, key="k2")
    assert (done.status_code, done.json()["kind"]) == (202, "update")
    assert user("POST", f"instances/{copy}/update/", body, key="k2").json() == done.json()
    settle()
    after = user("GET", f"instances/{copy}/").json()
    assert (after["version"], after["state"], after["can_roll_back"]) == ("2", "running", True)
    assert user("POST", f"instances/{copy}/rollback/").status_code == 202
    settle()
    assert user("GET", f"instances/{copy}/").json()["version"] == "1"


def test_automatic_updates_are_the_owners_choice(cluster: MemoryCluster) -> None:
    release, user = released(cluster), Program(active_person(cluster))
    copy = user("POST", "instances/", {"app": release.app.slug}).json()
    assert copy["auto_update"] is False
    settle()
    assert user("PATCH", f"instances/{copy['id']}/", {"auto_update": True}).json()["auto_update"] is True
    assert error(user("PATCH", f"instances/{copy['id']}/", {"auto_update": "perhaps"}))[0] == 422
    assert error(user("PATCH", f"instances/{copy['id']}/", {"is_builder": True})) == (422, "invalid", "is_builder")


def test_a_release_is_listed_withdrawn_and_offered_again(cluster: MemoryCluster) -> None:
    release = released(cluster)
    developer, user = Program(release.app.developer), Program(active_person(cluster))
    path = f"projects/{release.app.slug}/releases/{release.pk}/"
    assert developer("PATCH", path, {"listed": True}).json()["listed"] is True
    assert [app["slug"] for app in user("GET", "apps/").json()["results"]] == [release.app.slug]
    yanked = developer("PATCH", path, {"yanked": True, "yank_reason": "Broken"}).json()
    assert yanked["yanked_at"] is not None and yanked["yank_reason"] == "Broken"
    assert user("GET", "apps/").json()["results"] == []
    assert error(user("POST", "instances/", {"app": release.app.slug}))[1] == "no_release"
    assert developer("PATCH", path, {"yanked": False, "notes": "Mended"}).json()["notes"] == "Mended"
    assert user("POST", "instances/", {"app": release.app.slug}).status_code == 202
    assert error(user("PATCH", path, {"listed": False}))[0] == 404
    assert error(developer("PATCH", path, {"version": "9"}))[2] == "version"


def test_a_project_in_use_is_not_deleted(cluster: MemoryCluster) -> None:
    release = released(cluster)
    developer, user = Program(release.app.developer), Program(active_person(cluster))
    copy = user("POST", "instances/", {"app": release.app.slug}).json()["id"]
    path = f"projects/{release.app.slug}/"
    assert error(developer("DELETE", path))[:2] == (409, "project_in_use")
    assert developer("PATCH", path, {"maintained": False}).json()["maintained"] is False
    assert user("GET", f"apps/{release.app.slug}/").json()["unmaintained"] is True
    Instance.objects.filter(pk=copy).update(state="removed")
    assert error(user("DELETE", path))[0] == 404
    assert developer("DELETE", path).status_code == 204
    assert error(developer("GET", path))[0] == error(user("GET", f"apps/{release.app.slug}/"))[0] == 404
    assert Release.objects.filter(pk=release.pk).exists()


def test_a_push_that_is_not_to_run_leaves_ones_own_copy_alone(cluster: MemoryCluster) -> None:
    developer = Program(active_person(cluster))
    slug = developer("POST", "projects/", {"name": "Herons"}).json()["slug"]
    files: dict[str, str | bytes] = {"Spacefile": SPACEFILE, "main.py": "app = None\n"}
    made = developer.upload(slug, zipped(files), install="false").json()
    settle()
    place()
    shown = developer("GET", f"projects/{slug}/revisions/{made['id']}/").json()
    assert (shown["state"], shown["placement"]) == ("ready", "")
    assert developer("GET", f"projects/{slug}/").json()["builder_instance"] is None
    assert error(developer.upload(slug, zipped(files), install="perhaps"))[2] == "install"
