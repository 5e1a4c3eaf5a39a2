"""The icon and the media of an app's page, from the bundle to whoever looks at the page."""

import pytest
from django.test import Client

from apps_catalog import erasing
from apps_catalog.models import App, Revision
from tenants.errors import Refused
from tenants.models import User
from tenants.services import publish
from tests.worlds import SPACEFILE, MemoryCluster, active_person, picture, settle, uploaded, zipped

pytestmark = pytest.mark.django_db
WITH_ICON = SPACEFILE + "icon: icon.png\n"
VIDEO = "https://youtu.be/abc"


def discovery(*media: str) -> str:
    lines = "".join(f'  - "{item}"\n' for item in media)
    return f"---\napp_name: Herons\ntagline: Counts herons\nmedia:\n{lines}---\nCounts herons.\n"


@pytest.fixture
def developer(cluster: MemoryCluster) -> User:
    return active_person(cluster)


@pytest.fixture
def app(developer: User) -> App:
    return publish.create_project(developer, "Herons")


def built(developer: User, app: App, **files: str | bytes) -> Revision:
    revision = uploaded(developer, app, **files)
    settle()
    return revision


def release(developer: User, app: App, revision: Revision, *media: str) -> App:
    publish.publish_release(developer, app, revision_id=revision.pk, listed=True, discovery_text=discovery(*media))
    app.refresh_from_db()
    return app


@pytest.mark.parametrize(
    "icon", [b"GIF89a", b"<svg/>", b"", picture("GIF", 512, 512), picture()[:-40], b"x" * 2**20 + b"x"]
)
def test_an_icon_that_is_none_is_refused_before_anything_is_kept(developer: User, app: App, icon: bytes) -> None:
    files: dict[str, str | bytes] = {"Spacefile": WITH_ICON, "main.py": "app = None\n", "icon.png": icon}
    before = sorted(publish.store().root.rglob("*"))
    with pytest.raises(Refused) as refusal:
        publish.upload_revision(developer, app, zipped(files))
    assert (refusal.value.field, refusal.value.detail["file"]) == ("icon", "icon.png")
    assert sorted(publish.store().root.rglob("*")) == before and not Revision.objects.exists()


def test_an_icon_of_another_size_is_fitted(developer: User, app: App) -> None:
    revision = uploaded(developer, app, WITH_ICON, **{"icon.png": picture("WEBP", 200, 100)})
    settle()
    publish.publish_release(developer, app, revision_id=revision.pk)
    answer = Client().get(f"/apps/{app.slug}/icon/")
    assert answer["Content-Type"] == "image/png" and answer.content[16:24] == b"\x00\x00\x02\x00" * 2


def test_media_show_on_the_apps_page_and_in_the_api_in_their_order(developer: User, app: App) -> None:
    files = {"shots/b.png": picture(), "shots/a.webp": picture("WEBP", 1600, 1000), "c.jpg": picture("JPEG")}
    app = release(developer, app, built(developer, app, **files), "./c.jpg", VIDEO, "shots/")
    assert [item["kind"] for item in app.media] == ["image", "video", "image", "image"]
    listed = Client().get(f"/api/v1/apps/{app.slug}/").json()["media"]
    assert [item["url"] for item in listed] == [
        *(f"/apps/{app.slug}/media/1/", VIDEO),
        *(f"/apps/{app.slug}/media/3/", f"/apps/{app.slug}/media/4/"),
    ]
    page = Client().get(f"/apps/{app.slug}/").content.decode()
    places = [page.index(f'src="/apps/{app.slug}/media/{number}/?v=') for number in (1, 3, 4)]
    assert places == sorted(places) and f'href="{VIDEO}"' in page
    for number, status in ((1, 200), (2, 404), (3, 200), (5, 404), (0, 404)):
        answer = Client().get(f"/apps/{app.slug}/media/{number}/")
        assert answer.status_code == status
        assert status == 404 or (answer["Content-Type"], answer.content[8:12]) == ("image/webp", b"WEBP")


@pytest.mark.parametrize(
    ("media", "said"),
    [
        (("shots/none.png",), "shots/none.png is not in the bundle"),
        (("small.png",), "small.png must have at least 1280×800 pixels"),
        (("wide.png",), "wide.png must be 16 wide to 10 high"),
        (("page.svg",), "page.svg must be a PNG, WebP or JPEG picture"),
        (("huge.png",), "huge.png is larger than 3145728 bytes"),
        (("shots",), "at most 5 entries"),
    ],
)
def test_media_that_break_a_rule_are_refused_with_the_file_and_keep_nothing(
    developer: User, app: App, media: tuple[str, ...], said: str
) -> None:
    files: dict[str, str | bytes] = {
        "good.png": picture(),
        "small.png": picture("PNG", 640, 400),
        "wide.png": picture("PNG", 1920, 1000),
        "page.svg": "<svg/>",
        "huge.png": bytes(3 * 1024 * 1024 + 1),
        **{f"shots/{number}.png": picture() for number in range(6)},
    }
    revision = built(developer, app, **files)
    before = sorted(publish.store().root.rglob("*"))
    with pytest.raises(Refused, match=said) as refusal:
        release(developer, app, revision, "good.png", *media)
    assert refusal.value.field == "media"
    assert not app.releases.exists()
    assert sorted(publish.store().root.rglob("*")) == before


def test_screenshots_are_erased_with_their_developer_unless_others_show_them(
    cluster: MemoryCluster, developer: User, app: App
) -> None:
    files = {"one.png": picture(), "two.png": picture("PNG", 1600, 1000)}
    app = release(developer, app, built(developer, app, **files), "one.png", "two.png")
    other = active_person(cluster, "other")
    theirs = publish.create_project(other, "Cranes")
    theirs = release(other, theirs, built(other, theirs, **{"one.png": picture()}), "one.png")
    shared, own = (item["digest"] for item in app.media)
    found = erasing.files_of(developer.pk, kept=[])
    assert {shared, own} <= set(found)
    for digest in found:
        erasing.delete_file(publish.store(), digest, developer.pk)
    assert publish.store().has(shared) and not publish.store().has(own)
    erasing.withdraw(developer.pk, kept=[])
    app.refresh_from_db()
    assert app.media == [] and Client().get(f"/apps/{theirs.slug}/media/1/").status_code == 200
