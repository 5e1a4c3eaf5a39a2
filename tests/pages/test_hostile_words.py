"""What strangers wrote is shown as they wrote it, and never runs."""

from apps_catalog.models import Release
from tests.pages.conftest import Person, install, operation_of, release_app

NASTY = "<script>alert(1)</script>"
QUOTED = "\"'><img src=x onerror=alert(1)>"


def _hostile(ada: Person) -> Release:
    return release_app(
        ada.user,
        "hostile",
        name=NASTY,
        title=NASTY,
        tagline=QUOTED,
        theme_color='"/><s>',
        homepage="javascript:alert(1)",
        git="https://example.org/?a=<b>",
        description_html=f"<p onclick=alert(1)>fine</p>{NASTY}<a href='javascript:alert(1)'>x</a>",
    )


def test_a_hostile_listing_stays_text(ada: Person) -> None:
    instance = install(ada, _hostile(ada), "copy")
    pages = (
        "/",
        "/apps/",
        "/apps/hostile/",
        f"/instances/{instance.pk}/",
        "/cloud/",
        "/projects/",
        "/projects/hostile/",
    )
    for path in pages:
        page = ada.browser.get(path).content.decode()
        assert NASTY not in page and "<img src=x" not in page and "onclick=" not in page, path
        assert 'href="javascript:' not in page and "href='javascript:" not in page, path


def test_a_hostile_search_is_repeated_as_text(db: None, client: object) -> None:
    page = client.get("/apps/", {"q": QUOTED}).content.decode()  # type: ignore[attr-defined]
    assert "<img src=x" not in page and "Nothing matches" in page


def test_reasons_and_logs_of_apps_stay_text(ada: Person, notes: Release) -> None:
    instance = install(ada, notes, "copy", "failed", state_reason=NASTY, log_tail=QUOTED)
    operation = operation_of(ada, instance, "failed")
    operation.error = NASTY
    operation.save(update_fields=["error"])
    for path in (f"/instances/{instance.pk}/", f"/operations/{operation.pk}/"):
        page = ada.browser.get(path).content.decode()
        assert NASTY not in page and "<img src=x" not in page
