"""`manage.py seed`: publish the example apps, through the same services as everybody's."""

import tempfile
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps_catalog import discovery, packing
from apps_catalog.models import App, Release, Revision
from provider.up.firsttime import Catalog
from tenants.models import User
from tenants.reconcile import advisory
from tenants.services import installation, publish
from tenants.services.clouds import create_cloud
from tenants.states import RevisionState

EXAMPLES = settings.BASE_DIR / "apps_catalog" / "examples"
HANDLE = "freehold"  # reserved: nobody can sign up with it
BUILD_LIMIT_S = 900.0
_LOOK_S = 0.25
_UNDER_WAY = (RevisionState.QUEUED, RevisionState.BUILDING, RevisionState.READY)


class Command(BaseCommand):
    help = "Publish the example apps into the catalog; what has not changed since is left alone."

    def handle(self, *_args: Any, **_options: Any) -> None:
        installation.prepare()
        with advisory.held("seed", wait_s=BUILD_LIMIT_S):
            developer = system_developer()
            folders = sorted(path for path in EXAMPLES.iterdir() if (path / "Spacefile").is_file())
            started = [(folder, self._start(developer, folder)) for folder in folders]
            for folder, revision in started:
                if revision is not None:
                    self._release(developer, folder, revision)
        Catalog(settings.FREEHOLD_HOME, settings.BASE_DIR).done()

    def _start(self, developer: User, folder: Path) -> Revision | None:
        """Set building what is not published yet; None if the catalog has it as it is."""
        app = App.objects.filter(slug=folder.name).first()
        if app is None:
            app = publish.create_project(developer, folder.name.capitalize(), slug=folder.name)
        with tempfile.TemporaryFile() as bundle:
            packing.pack(folder, bundle)
            bundle.seek(0)
            upload = publish.accept_upload(bundle)
        if _is_published(app, upload.source, folder):
            self.stdout.write(f"seed: {folder.name} is published")
            return None
        again = Revision.objects.filter(app=app, source=upload.source, state__in=_UNDER_WAY).first()
        if again is not None:
            return again
        self.stdout.write(f"seed: {folder.name} is being built")
        return publish.add_revision(developer, app, upload, is_to_run=False)[0]

    def _release(self, developer: User, folder: Path, revision: Revision) -> None:
        _wait(revision)
        app = revision.app
        release = publish.publish_release(
            developer,
            app,
            revision_id=revision.pk,
            version=f"1.{Release.objects.filter(app=app).count()}.0",
            listed=True,
            is_reviewed=True,
            discovery_text=_discovery(folder),
        )
        self.stdout.write(f"seed: {folder.name} {release.version} is published")


@transaction.atomic
def system_developer() -> User:
    """Who publishes the provider's own apps: an account like others, with a cloud to build in; nobody signs in to it."""
    user = User.objects.filter(handle=HANDLE).first()
    if user is None:
        user = User.objects.create_user(f"apps@{settings.CONSOLE_HOST}", HANDLE, password=None)
        create_cloud(user)
    return user


def _discovery(folder: Path) -> str:
    return (folder / "Discovery.md").read_text(encoding="utf-8")


def _is_published(app: App, source: str, folder: Path) -> bool:
    newest = Release.objects.filter(app=app, listed=True).select_related("revision").first()
    if newest is None or newest.revision.source != source:
        return False
    found = discovery.parse(_discovery(folder))
    shown = (app.title, app.tagline, app.category, app.description_html)
    return shown == (found.title, found.tagline, found.category, found.html)


def _wait(revision: Revision) -> None:
    deadline = time.monotonic() + BUILD_LIMIT_S
    while True:
        revision.refresh_from_db()
        if revision.state == RevisionState.READY:
            return
        if revision.state == RevisionState.FAILED:
            raise CommandError(f"{revision.app.slug} was not built: {revision.state_reason}\n{revision.log_tail}")
        if time.monotonic() > deadline:
            raise CommandError(f"{revision.app.slug} was not built in {BUILD_LIMIT_S:.0f} s.")
        time.sleep(_LOOK_S)
