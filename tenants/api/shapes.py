"""How rows look in answers. Instances, operations and revisions look the same in streams: tenants.representation."""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.urls import reverse

from apps_catalog.models import App, AppReport, Release, Revision
from tenants.models import ApiToken, Cloud, Collection, DataKey, Export, Import, Instance, Operation, Quota, User
from tenants.representation import instance_document, moment, operation_document, revision_document
from tenants.services.adoption import Adoption
from tenants.services.instances import InstallPlan
from tenants.services.updates import UpdatePlan
from tenants.services.uploads import Progress

Document = dict[str, Any]

__all__ = ["instance_document", "operation_document", "revision_document"]


def quota_document(quota: Quota) -> Document:
    return {
        "cpu_millis": quota.cpu_millis,
        "memory_mib": quota.memory_mib,
        "storage_mib": quota.storage_mib,
        "instances": quota.instances,
    }


def cloud_document(cloud: Cloud, usage: Quota) -> Document:
    """`cloud` with plan and owner."""
    return {
        "id": cloud.pk,
        "handle": cloud.owner.handle,
        "namespace": cloud.namespace,
        "state": cloud.state,
        "state_reason": cloud.state_reason,
        "plan": cloud.plan_id,
        "quota": quota_document(cloud.quota),
        "usage": quota_document(usage),
        "created_at": moment(cloud.created_at),
        "erase_at": moment(cloud.erase_at),
    }


def account_document(user: User, cloud: Cloud) -> Document:
    return {
        "id": user.pk,
        "email": user.email,
        "handle": user.handle,
        "cloud": {"id": cloud.pk, "namespace": cloud.namespace, "state": cloud.state},
    }


def token_document(token: ApiToken) -> Document:
    return {
        "id": token.pk,
        "name": token.name,
        "prefix": token.prefix,
        "scopes": token.scopes,
        "created_at": moment(token.created_at),
        "last_used_at": moment(token.last_used_at),
        "expires_at": moment(token.expires_at),
    }


def collection_document(collection: Collection) -> Document:
    return {
        "id": collection.pk,
        "name": collection.name,
        "project_id": collection.project_id,
        "instance": collection.instance_id,
        "size_bytes": collection.size_bytes,
        "data_host": settings.OUTSIDE_DATA_HOST,
        "created_at": moment(collection.created_at),
    }


def data_key_document(key: DataKey) -> Document:
    return {
        "id": key.pk,
        "name": key.name,
        "prefix": key.prefix,
        "last_used_at": moment(key.last_used_at),
        "created_at": moment(key.created_at),
    }


def export_document(export: Export) -> Document:
    """`export` with its operation. download: where the zip is, while it is; any range of it can be asked for."""
    there = bool(export.sha256) and export.ended_at is None
    path = f"/api/v1/collections/{export.collection_id}/exports/{export.pk}/download/"
    return {
        "id": export.pk,
        "operation": export.operation_id,
        "state": export.operation.state,
        "size_bytes": export.size_bytes,
        "sha256": export.sha256 or None,
        "download": path if there else None,
        "made_at": moment(export.made_at),
        "ended_at": moment(export.ended_at),
        "created_at": moment(export.created_at),
    }


def import_document(row: Import) -> Document:
    """`row` with its operations: the one that imports, before it the one that looks through what came in parts."""
    operation = row.operation or row.looking
    return {
        "id": row.pk,
        "operation": operation.pk if operation else None,
        "state": operation.state if operation else None,
        "conflicts": row.conflicts or None,
        "preview": row.preview,
        "report": row.report,
        "created_at": moment(row.created_at),
    }


def upload_document(row: Import, progress: Progress) -> Document:
    return {
        "id": row.pk,
        "size_bytes": progress.size_bytes,
        "part_bytes": progress.part_bytes,
        "parts": list(progress.parts),
        "created_at": moment(row.created_at),
    }


def _medium(app: App, number: int, item: dict[str, str]) -> Document:
    address = item["url"] if item["kind"] == "video" else reverse("console:app_media", args=[app.slug, number])
    return {"kind": item["kind"], "url": address}


def app_document(app: App) -> Document:
    """`app` with its developer."""
    return {
        "slug": app.slug,
        "name": app.name,
        "title": app.title,
        "tagline": app.tagline,
        "description_html": app.description_html,
        "theme_color": app.theme_color,
        "homepage": app.homepage,
        "git": app.git,
        "icon": app.icon or None,
        "media": [_medium(app, number, item) for number, item in enumerate(app.media, 1)],
        "developer": app.developer.handle,
        "category": app.category or None,
        "listed": app.listed,
        "unmaintained": app.unmaintained_at is not None,
        "installs": app.installs,
        "released_at": moment(app.released_at),
    }


def release_document(release: Release) -> Document:
    return {
        "id": release.pk,
        "version": release.version,
        "revision": release.revision_id,
        "notes": release.notes,
        "channel": release.channel,
        "listed": release.listed,
        "yanked_at": moment(release.yanked_at),
        "yank_reason": release.yank_reason,
        "created_at": moment(release.created_at),
    }


def own_release_document(release: Release) -> Document:
    return {**release_document(release), "review": release.review, "review_note": release.review_note}


def review_document(release: Release) -> Document:
    """`release` with its app and the app's developer."""
    app = release.app
    more = {"app": app.slug, "name": app.name, "developer": app.developer.handle}
    return {**own_release_document(release), **more}


def received_report_document(report: AppReport) -> Document:
    """`report` with its app, the app's developer and who reported it."""
    return {
        **report_document(report),
        "text": report.text,
        "reporter": report.reporter.handle,
        "developer": report.app.developer.handle,
        "closed_at": moment(report.closed_at),
    }


def report_document(report: AppReport) -> Document:
    return {
        "id": report.pk,
        "app": report.app.slug,
        "concern": report.concern,
        "created_at": moment(report.created_at),
    }


def adoption_document(adoption: Adoption) -> Document:
    return asdict(adoption)


def project_document(app: App) -> Document:
    """`app` as `access.projects_of` gives it, with the id of its builder instance; a new one has none."""
    return {
        "slug": app.slug,
        "name": app.name,
        "builder_instance": getattr(app, "builder_id", None),
        "listed": app.listed,
        "maintained": app.unmaintained_at is None,
        "installs": app.installs,
        "created_at": moment(app.created_at),
        "released_at": moment(app.released_at),
    }


def installed_document(instance: Instance, operation: Operation) -> Document:
    return {**instance_document(instance), "operation": operation.pk}


def uploaded_document(revision: Revision, operation: Operation) -> Document:
    return {**revision_document(revision), "operation": operation.pk}


def update_document(instance: Instance, plan: UpdatePlan | None) -> Document:
    """`instance` with its release and revision."""
    return {
        "installed": instance.release.version if instance.release else instance.revision.tag,
        "release": plan.release.pk if plan else None,
        "version": plan.release.version if plan else None,
        "needs_consent": list(plan.keys) if plan else [],
        "demands": [{"key": demand.key, "text": demand.text} for demand in plan.demands] if plan else [],
        "news": [
            {"version": release.version, "notes": release.notes, "created_at": moment(release.created_at)}
            for release in (plan.news if plan else ())
        ],
        "resources": quota_document(plan.needs) if plan else None,
    }


def plan_document(plan: InstallPlan, then: Quota, limit: Quota) -> Document:
    return {
        "app": plan.app.slug,
        "release": plan.release.pk,
        "version": plan.release.version,
        "alias": plan.alias,
        "resources": quota_document(plan.needs),
        **room_document(then, limit),
        "calls": list(plan.blueprint.calls),
        "needs_consent": [],
    }


def room_document(then: Quota, limit: Quota) -> Document:
    """The cloud's use afterwards. price_delta: plans cover what fits into them, so that it adds nothing to the bill."""
    return {"quota": quota_document(limit), "quota_after": quota_document(then), "price_delta": 0}
