"""Django's admin for the catalog, to look at: developers change it by releasing, operators on their own pages."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from apps_catalog.models import App, Release, Revision

if TYPE_CHECKING:  # Django's own classes take no type at run time
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin


class Kept(Base):
    """Rows that services own: not added, not deleted in the admin."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnly(Kept):
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(App)
class AppAdmin(ReadOnly):
    list_display = ("slug", "name", "developer", "listed", "installs", "released_at")
    list_filter = ("listed",)
    list_select_related = ("developer",)
    search_fields = ("slug", "name", "title", "developer__handle")
    ordering = ("-created_at",)


@admin.register(Revision)
class RevisionAdmin(ReadOnly):
    list_display = ("tag", "app", "state", "size_bytes", "state_reason", "created_at")
    list_filter = ("state",)
    list_select_related = ("app",)
    search_fields = ("id", "tag", "app__slug")


@admin.register(Release)
class ReleaseAdmin(ReadOnly):
    list_display = ("version", "app", "revision", "channel", "listed", "created_at")
    list_filter = ("channel", "listed")
    list_select_related = ("app", "revision")
    search_fields = ("id", "version", "app__slug")
