"""Chromium before the console on rows of a test: fixtures, and pictures of what it shows."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.db import connection, connections
from playwright.sync_api import Browser, Page, sync_playwright

from tests.free_ports import free_port

WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Playwright's synchronous interface runs on a loop of its own, in which Django would refuse its database.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        # Chromium's own sandbox does not start as root; what it opens here are this project's pages only.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def committed(chromium: Browser, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows that the server's threads see. The tables are emptied afterwards, which events refuse by themselves."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_event ENABLE TRIGGER event_append_only")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_event DISABLE TRIGGER event_append_only")


@pytest.fixture
def console(committed: None, settings: Any) -> Iterator[str]:
    """Its address. On ASGI, as always: content is streamed."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    port = free_port()
    application = ASGIStaticFilesHandler(get_asgi_application())
    server = uvicorn.Server(uvicorn.Config(application, port=port, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Wide (whole: all of the page) and as on a phone, where FREEHOLD_SCREENSHOTS says; never wider than the phone."""
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], f"{name} is wider than a phone"
    page.set_viewport_size(WIDE)
    folder = os.environ.get("FREEHOLD_SCREENSHOTS")
    for size, suffix in ((PHONE, "-phone"), (WIDE, "")) if folder else ():
        page.set_viewport_size(size)
        path = Path(str(folder)) / f"{name}{suffix}.png"
        page.screenshot(path=path, caret="initial", full_page=whole and size is WIDE)
