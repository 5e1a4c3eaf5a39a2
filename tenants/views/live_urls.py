"""Addresses of streams. The gate sends them to the live process, which serves the same addresses as the web process."""

from django.urls import path

from tenants.views import downloads, live, live_logs

console = [
    path("cloud/events/", live.cloud_events, name="cloud_events"),
    path("operations/<str:operation_id>/events/", live.operation_events, name="operation_events"),
    path("instances/<str:instance_id>/events/", live.instance_events, name="instance_events"),
    path("instances/<str:instance_id>/logs/", live_logs.instance_logs, name="instance_logs"),
    path("projects/<slug:slug>/events/", live.project_events, name="project_events"),
    path("projects/<slug:slug>/revisions/<str:revision_id>/events/", live.revision_events, name="revision_events"),
    path("projects/<slug:slug>/revisions/<str:revision_id>/logs/", live_logs.revision_logs, name="revision_logs"),
    path(
        "collections/<str:collection_id>/exports/<str:export_id>/download/", downloads.export_file, name="export_file"
    ),
]

# Under /api/v1/: programs show a token there.
api = [
    path("operations/<str:operation_id>/events/", live.operation_events),
    path("instances/<str:instance_id>/events/", live.instance_events),
    path("instances/<str:instance_id>/logs/", live_logs.instance_logs),
    path("projects/<slug:slug>/revisions/<str:revision_id>/logs/", live_logs.revision_logs),
    path("collections/<str:collection_id>/exports/<str:export_id>/download/", downloads.export_file),
]
