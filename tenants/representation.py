"""How rows are told to programs: plain documents, the same in REST answers and in streams. No queries of their own.

Callers bring what is read here: an instance with app, release and revision, an operation with its steps.
"""

from datetime import datetime
from typing import Any

from apps_catalog.models import Revision
from tenants.addresses import url_of
from tenants.models import ActionRun, Instance, Operation

Document = dict[str, Any]


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def operation_document(operation: Operation) -> Document:
    return {
        "id": operation.pk,
        "kind": operation.kind,
        "state": operation.state,
        "instance": operation.instance_id,
        "revision": operation.revision_id,
        "collection": operation.collection_id,
        "steps": [
            {
                "name": step.name,
                "title": step.title,
                "state": step.state,
                "started_at": moment(step.started_at),
                "finished_at": moment(step.finished_at),
                "detail": step.detail,
            }
            for step in operation.steps.all()
        ],
        "error": operation.error or None,
        "created_at": moment(operation.created_at),
        "finished_at": moment(operation.finished_at),
    }


def instance_document(instance: Instance) -> Document:
    return {
        "id": instance.pk,
        "app": instance.app.slug,
        "release": instance.release_id,
        "version": instance.release.version if instance.release else instance.revision.tag,
        "alias": instance.alias,
        "host": instance.host,
        "url": url_of(instance),
        "state": instance.state,
        "state_reason": instance.state_reason,
        "size": {
            "cpu_millis": instance.cpu_millis,
            "memory_mib": instance.memory_mib,
            "storage_mib": instance.storage_mib,
        },
        "sleep_after_s": instance.sleep_after_s,
        "auto_update": instance.auto_update,
        "channel": instance.channel,
        "is_builder": instance.is_builder,
        "can_roll_back": instance.previous_revision_id is not None,
        "update_error": instance.update_error or None,
        "created_at": moment(instance.created_at),
        "last_used_at": moment(instance.last_used_at),
    }


def run_document(run: ActionRun) -> Document:
    """state: queued, running, or how it ended. due_at: the time that it was for."""
    return {
        "id": run.pk,
        "trigger": run.trigger,
        "state": run.result or ("running" if run.sent_at else "queued"),
        "due_at": moment(run.due_at),
        "started_at": moment(run.sent_at),
        "finished_at": moment(run.finished_at),
        "duration_ms": run.duration_ms,
        "http_status": run.http_status,
        "answer": run.answer,
        "error": run.error or None,
    }


def revision_document(revision: Revision) -> Document:
    return {
        "id": revision.pk,
        "tag": revision.tag,
        "state": revision.state,
        "state_reason": revision.state_reason,
        "digest": revision.digest or None,
        "size_bytes": revision.size_bytes,
        "placement": revision.placement,
        "placement_note": revision.placement_note,
        "placed_by": revision.placed_by or None,
        "created_at": moment(revision.created_at),
    }
