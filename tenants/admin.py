"""Django's admin for operators. It shows everything and changes what services can bring into effect; it deletes nothing
that services own, and writes no state."""

from typing import TYPE_CHECKING, Any

from allauth.account.decorators import secure_admin_login
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps_catalog.admin import Base, Kept, ReadOnly
from tenants import operators
from tenants.errors import Refused
from tenants.models import Cloud, Event, Instance, InstanceMicro, Operation, OperationStep, Override, Plan, User
from tenants.models.plans import FIGURES
from tenants.services import plans, sessions, support
from tenants.states import InstanceState

admin.site.site_header = admin.site.site_title = "Freehold"
admin.site.index_title = "Administration"
admin.site.site_url = "/operator/"
admin.site.unregister(Group)
# One door: the console's, with its rate limits and whatever second factor it asks for.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


if TYPE_CHECKING:  # Django's own classes take no type at run time
    Inline = admin.TabularInline[Any, Any]
    AnyPlanForm = forms.ModelForm[Plan]
else:
    Inline, AnyPlanForm = admin.TabularInline, forms.ModelForm


@admin.register(User)
class UserAdmin(Kept):
    list_display = ("handle", "email", "is_active", "is_staff", "cloud_state", "date_joined")
    list_filter = ("is_staff", "is_active", "cloud__state")
    list_select_related = ("cloud",)
    search_fields = ("handle", "email", "id")
    ordering = ("-date_joined",)
    fields = ("id", "email", "handle", "is_active", "is_staff", "date_joined", "last_login")
    readonly_fields = ("id", "email", "handle", "is_staff", "date_joined", "last_login")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Whoever may not be here any more is out at once, in other people's apps too. Roles: on the team's page."""
        if "is_active" not in form.changed_data:
            return
        super().save_model(request, obj, form, change)
        was, now = ("out of use", "in use") if obj.is_active else ("in use", "out of use")
        told = "The account was changed in the administration."
        Event.record(obj, before=was, after=now, actor=str(request.user.pk), reason=told)
        if not obj.is_active:
            sessions.end_all(obj)

    @admin.display(description="cloud", ordering="cloud__state")
    def cloud_state(self, user: User) -> str:
        return user.cloud.state if hasattr(user, "cloud") else "–"


class OverrideInline(Inline):
    """Read here; given and ended on the operator's page of the cloud, which asks for a reason."""

    model = Override
    fields = ("id", *FIGURES, "reason", "granted_by", "created_at", "ends_at", "ended_at")
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Cloud | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Cloud | None = None) -> bool:
        return False


@admin.register(Cloud)
class CloudAdmin(ReadOnly):
    list_display = ("namespace", "owner", "plan", "state", "instance_count", "is_settled", "created_at")
    list_filter = ("state", "plan", "cell")
    list_select_related = ("owner", "plan")
    search_fields = ("namespace", "owner__handle", "owner__email", "id")
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("id", "owner", "cell", "namespace", "plan", "state", "state_reason", "limits")}),
        ("Movement", {"fields": ("generation", "observed_generation", "created_at")}),
    )
    inlines = (OverrideInline,)

    @admin.display(description="plan and overrides")
    def limits(self, cloud: Cloud) -> str:
        return format_html('<a href="{}">Change them</a>', reverse("console:operator_cloud", args=[cloud.pk]))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cloud]:
        there = Count("instances", filter=~Q(instances__state=InstanceState.REMOVED))
        rows: QuerySet[Cloud] = super().get_queryset(request).annotate(instance_total=there)
        return rows

    @admin.display(description="apps", ordering="instance_total")
    def instance_count(self, cloud: Any) -> int:
        return int(cloud.instance_total)

    @admin.display(description="settled", boolean=True)
    def is_settled(self, cloud: Cloud) -> bool:
        return cloud.observed_generation >= cloud.generation


class PlanForm(AnyPlanForm):
    class Meta:
        model = Plan
        fields = ("slug", *plans.TERMS)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                plans.require_sound(Plan(**{"slug": self.instance.slug, **cleaned}))
            except Refused as refusal:
                self.add_error(refusal.field, str(refusal))
        return cleaned


@admin.register(Plan)
class PlanAdmin(Base):
    """The service writes: what is changed here reaches every cloud that has the plan."""

    form = PlanForm
    list_display = ("name", "slug", "price_minor", "currency", *FIGURES, "is_visible", "archived_at")

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        actor = request.user if isinstance(request.user, User) else None
        terms = {name: form.cleaned_data[name] for name in plans.TERMS}
        if change:
            plans.edit_plan(actor, obj.pk, terms)
        else:
            plans.create_plan(actor, obj.pk, terms)


class MicroInline(Inline):
    model = InstanceMicro
    fields = ("name", "mount", "kind", "engine", "phase", "upstream")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Instance | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Instance | None = None) -> bool:
        return False


@admin.register(Instance)
class InstanceAdmin(ReadOnly):
    list_display = ("alias", "app", "owner", "state", "host", "state_reason", "created_at")
    list_filter = ("state", "wanted")
    list_select_related = ("app", "cloud__owner")
    search_fields = ("alias", "host", "id", "app__slug", "cloud__owner__handle")
    ordering = ("-created_at",)
    # What people typed into an app's settings is theirs: keys and passwords among it.
    exclude = ("config",)
    inlines = (MicroInline,)

    @admin.display(ordering="cloud__owner__handle")
    def owner(self, instance: Instance) -> str:
        return instance.cloud.owner.handle


class StepInline(Inline):
    model = OperationStep
    fields = ("position", "title", "state", "detail", "started_at", "finished_at")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Operation | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Operation | None = None) -> bool:
        return False


@admin.register(Operation)
class OperationAdmin(ReadOnly):
    list_display = ("id", "kind", "state", "owner", "instance", "attempts", "error", "created_at", "finished_at")
    list_filter = ("state", "kind")
    list_select_related = ("cloud__owner", "instance")
    search_fields = ("id", "cloud__owner__handle", "instance__alias", "error")
    inlines = (StepInline,)
    actions = ("retry",)

    @admin.display(ordering="cloud__owner__handle")
    def owner(self, operation: Operation) -> str:
        return operation.cloud.owner.handle

    @admin.action(description="Retry the failed ones", permissions=["view"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Operation]) -> None:
        """One by one: each is a use-case of its own, and may be refused."""
        operator = request.user
        if not isinstance(operator, User) or not operators.may(operator, "people"):
            raise PermissionDenied
        for operation in chosen.select_related("cloud__owner", "cloud__plan", "instance", "revision__app"):
            try:
                again = support.retry_for(operator, operation, "Chosen in the administration.")
                messages.success(request, f"{operation} is tried again as {again.pk}.")
            except Refused as refusal:
                messages.error(request, f"{operation}: {refusal}")


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = ("at", "kind", "subject", "before", "after", "actor", "reason")
    list_filter = ("kind", "after")
    search_fields = ("subject", "cloud_id", "actor")
    ordering = ("-at",)
