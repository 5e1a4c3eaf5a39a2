"""Addresses of the console's pages; names are in the namespace `console`. Streams are in live_urls."""

from django.urls import path

from apps_catalog.views import app_icon, app_media, catalog, developer, spacefile_schema
from tenants.views import account, apps, closing, clouds, collections, home, instances, operations, projects, versions

urlpatterns = [
    path("", home.home, name="home"),
    path("apps/", catalog, name="catalog"),
    path("apps/<slug:slug>/", apps.app, name="app"),
    path("apps/<slug:slug>/icon/", app_icon, name="app_icon"),
    path("apps/<slug:slug>/media/<int:number>/", app_media, name="app_media"),
    path("apps/<slug:slug>/report/", apps.report, name="app_report"),
    path("spacefile.schema.json", spacefile_schema, name="spacefile_schema"),
    path("developers/<slug:handle>/", developer, name="developer"),
    path("apps/<slug:slug>/install/", apps.install, name="app_install"),
    path("instances/<str:instance_id>/", instances.instance, name="instance"),
    path("instances/<str:instance_id>/restart/", instances.restart, name="instance_restart"),
    path("instances/<str:instance_id>/remove/", instances.remove, name="instance_remove"),
    path("instances/<str:instance_id>/update/", versions.update, name="instance_update"),
    path("instances/<str:instance_id>/rollback/", versions.rollback, name="instance_rollback"),
    path("instances/<str:instance_id>/follow/", versions.follow, name="instance_follow"),
    path("instances/<str:instance_id>/settings/", versions.settings, name="instance_settings"),
    path("operations/<str:operation_id>/", operations.operation, name="operation"),
    path("operations/<str:operation_id>/retry/", operations.retry, name="operation_retry"),
    path("cloud/", clouds.cloud, name="cloud"),
    path("collections/", collections.collections, name="collections"),
    path("collections/<str:collection_id>/", collections.collection, name="collection"),
    path("collections/<str:collection_id>/remove/", collections.remove, name="collection_remove"),
    path("collections/<str:collection_id>/keys/", collections.create_key, name="data_key_create"),
    path("collections/<str:collection_id>/keys/<str:key_id>/revoke/", collections.revoke_key, name="data_key_revoke"),
    path("projects/", projects.projects, name="projects"),
    path("projects/<slug:slug>/", projects.project, name="project"),
    path("projects/<slug:slug>/releases/", projects.release, name="project_release"),
    path("projects/<slug:slug>/releases/<str:release_id>/", projects.change_release, name="release_change"),
    path("projects/<slug:slug>/change/", projects.change, name="project_change"),
    path("projects/<slug:slug>/revisions/<str:revision_id>/", projects.revision, name="revision"),
    path("settings/", account.settings, name="settings"),
    path("settings/close/", closing.close, name="account_close"),
    path("settings/keep/", closing.keep, name="account_keep"),
    path("settings/tokens/", account.create_token, name="token_create"),
    path("settings/tokens/<str:token_id>/revoke/", account.revoke_token, name="token_revoke"),
]
