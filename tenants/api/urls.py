"""Addresses below /api/v1/. Streams (…/events/) and logs (…/logs/) are served by the live process: tenants.views.live."""

from django.urls import path

from tenants.api import accounts, catalog, clouds, collections, instances, operator_apps, projects, updates

urlpatterns = [
    path("accounts/", accounts.Accounts.as_view()),
    path("tokens/", accounts.Tokens.as_view()),
    path("tokens/<slug:token_id>/", accounts.Token.as_view()),
    path("cloud/", clouds.OwnCloud.as_view()),
    path("cloud/reopen/", clouds.Reopen.as_view()),
    path("apps/", catalog.Apps.as_view()),
    path("apps/<slug:slug>/", catalog.OneApp.as_view()),
    path("apps/<slug:slug>/releases/", catalog.AppReleases.as_view()),
    path("apps/<slug:slug>/reports/", catalog.Reports.as_view()),
    path("instances/", instances.Instances.as_view()),
    path("instances/<slug:instance_id>/", instances.OneInstance.as_view()),
    path("instances/<slug:instance_id>/restart/", instances.Restart.as_view()),
    path("instances/<slug:instance_id>/config/", updates.Config.as_view()),
    path("instances/<slug:instance_id>/update/", updates.Update.as_view()),
    path("instances/<slug:instance_id>/rollback/", updates.Rollback.as_view()),
    path("operations/", instances.Operations.as_view()),
    path("operations/<slug:operation_id>/", instances.OneOperation.as_view()),
    path("collections/", collections.Collections.as_view()),
    path("collections/<slug:collection_id>/", collections.OneCollection.as_view()),
    path("collections/<slug:collection_id>/keys/", collections.DataKeys.as_view()),
    path("collections/<slug:collection_id>/keys/<slug:key_id>/", collections.OneDataKey.as_view()),
    path("operator/apps/reviews/", operator_apps.Reviews.as_view()),
    path("operator/apps/reviews/<slug:release_id>/approve/", operator_apps.Approve.as_view()),
    path("operator/apps/reviews/<slug:release_id>/refuse/", operator_apps.Refuse.as_view()),
    path("operator/apps/reports/", operator_apps.ReceivedReports.as_view()),
    path("operator/apps/reports/<slug:report_id>/close/", operator_apps.CloseReport.as_view()),
    path("projects/", projects.Projects.as_view()),
    path("projects/<slug:slug>/", projects.Project.as_view()),
    path("projects/<slug:slug>/adoption/", projects.Adoption.as_view()),
    path("projects/<slug:slug>/revisions/", projects.Revisions.as_view()),
    path("projects/<slug:slug>/revisions/<slug:revision_id>/", projects.Revision.as_view()),
    path("projects/<slug:slug>/releases/", projects.Releases.as_view()),
    path("projects/<slug:slug>/releases/<slug:release_id>/", projects.OneRelease.as_view()),
]
