"""The only way from an id to a row on somebody's behalf. What is not theirs is not there: Http404, never 403."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, JSONObject
from django.http import Http404
from django.shortcuts import get_object_or_404

from apps_catalog.models import App, AppReport, Release, Review, Revision
from tenants.models import (
    Action,
    ActionRun,
    ApiToken,
    AppKey,
    Arrears,
    Cloud,
    Collection,
    DataKey,
    Export,
    Import,
    Instance,
    LimitNotice,
    Operation,
    Override,
    Plan,
    Share,
    TrafficCap,
    User,
)
from tenants.states import DARK, CloudState, CollectionState, InstanceState, ShareState


def cloud_of(user: User) -> Cloud:
    return get_object_or_404(Cloud.objects.select_related("plan", "owner", "cell"), owner=user)


def cloud_with_notices(user: User) -> Cloud:
    """With `told`, the thresholds that its owner was told of and that count, `is_capped`, and `late` (see
    services.lateness); in the same query."""
    counting = LimitNotice.objects.filter(cloud=OuterRef("pk"), ended_at__isnull=True)
    told = ArraySubquery(counting.values(one=JSONObject(what="what", percent="percent")))
    rows = Cloud.objects.select_related("plan", "owner", "cell")
    capped = Exists(TrafficCap.objects.filter(cloud=OuterRef("pk")))
    open_arrears = Arrears.objects.filter(cloud=OuterRef("pk"), ended_at__isnull=True)
    names = ("state", "began_at", "since", "next_at")
    late = Subquery(open_arrears.values(one=JSONObject(**{name: name for name in names}))[:1])
    return get_object_or_404(rows.annotate(told=told, is_capped=capped, late=late), owner=user)


def instances_of(user: User) -> QuerySet[Instance]:
    """Their instances, newest first, without removed ones; app, release, revision and micros come along (two queries)."""
    return _instances(user).exclude(state=InstanceState.REMOVED).order_by("-created_at")


def instance_for(user: User, instance_id: str) -> Instance:
    """One of theirs, removed ones too: what became of it is still theirs to know."""
    return get_object_or_404(_instances(user), pk=instance_id)


def action_for(user: User, instance_id: str, key: str) -> Action:
    """One of theirs, by what the Spacefile calls it."""
    rows = Action.objects.filter(instance__cloud__owner=user).exclude(instance__state=InstanceState.REMOVED)
    return get_object_or_404(rows.select_related("instance__app"), instance_id=instance_id, key=key)


def action_run_for(user: User, instance_id: str, key: str, run_id: str) -> ActionRun:
    return get_object_or_404(ActionRun, action=action_for(user, instance_id, key), pk=run_id)


def app_key_for(user: User, instance_id: str, key_id: str) -> AppKey:
    return get_object_or_404(
        AppKey.objects.select_related("instance"), instance=instance_for(user, instance_id), pk=key_id
    )


def shares_of(instance: Instance) -> QuerySet[Share]:
    """Who is invited to an instance that was found by its owner, as far as it is in force or was answered."""
    rows = Share.objects.filter(instance=instance).exclude(state=ShareState.ENDED)
    return rows.select_related("user").order_by("created_at")


def share_for(user: User, instance_id: str, share_id: str) -> Share:
    """One of them; ended ones too, so that ending twice is once."""
    rows = Share.objects.filter(instance=instance_for(user, instance_id)).select_related("user", "instance")
    return get_object_or_404(rows, pk=share_id)


def shared_with(user: User) -> QuerySet[Share]:
    """Instances of other people that they may enter or are invited to, the open invitations first."""
    open_to_me = Q(state=ShareState.INVITED, email__in=addresses_of(user))
    rows = Share.objects.filter(Q(state=ShareState.ACCEPTED, user=user) | open_to_me)
    there = rows.exclude(instance__state__in=(InstanceState.REMOVING, InstanceState.REMOVED))
    there = there.exclude(instance__cloud__state__in=DARK).exclude(instance__cloud__owner=user)
    return there.select_related("instance__app", "instance__cloud__owner").order_by("-state", "-created_at")


def share_with(user: User, share_id: str) -> Share:
    """One that is or was theirs to answer."""
    mine = Q(user=user) | Q(user=None, email__in=addresses_of(user))
    rows = Share.objects.filter(mine).exclude(instance__cloud__owner=user)
    return get_object_or_404(rows.select_related("instance__app", "instance__cloud__owner"), pk=share_id)


def addresses_of(user: User) -> list[str]:
    """E-mail addresses that are certainly theirs: confirmed ones; where nobody asks for that, the one they gave."""
    confirmed = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    given = () if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory" else (user.email,)
    return sorted({address.lower() for address in (*confirmed, *given)})


def collections_of(user: User) -> QuerySet[Collection]:
    """Theirs, newest first, without those that are being removed; the app whose data one is comes along."""
    rows = Collection.objects.filter(cloud__owner=user, state=CollectionState.ACTIVE)
    return rows.select_related("instance__app", "cloud").order_by("-created_at")


def collection_for(user: User, collection_id: str) -> Collection:
    return get_object_or_404(collections_of(user), pk=collection_id)


def data_key_for(user: User, collection_id: str, key_id: str) -> DataKey:
    return get_object_or_404(DataKey, collection=collection_for(user, collection_id), pk=key_id)


def exports_of(user: User, collection_id: str) -> QuerySet[Export]:
    """Of one of their collections, newest first."""
    rows = Export.objects.filter(collection=collection_for(user, collection_id))
    return rows.select_related("operation", "collection__cloud").order_by("-created_at")


def export_for(user: User, collection_id: str, export_id: str) -> Export:
    return get_object_or_404(exports_of(user, collection_id), pk=export_id)


def imports_of(user: User, collection_id: str) -> QuerySet[Import]:
    """Of one of their collections, newest first; those too that were only looked at, or are still coming."""
    rows = Import.objects.filter(collection=collection_for(user, collection_id))
    return rows.select_related("operation", "looking", "collection__cloud").order_by("-created_at")


def import_for(user: User, collection_id: str, import_id: str) -> Import:
    return get_object_or_404(imports_of(user, collection_id), pk=import_id)


def operations_of(user: User) -> QuerySet[Operation]:
    rows = Operation.objects.filter(cloud__owner=user).select_related(
        "instance", "revision", "collection", "export", "looked_at"
    )
    return rows.prefetch_related("steps")


def operation_for(user: User, operation_id: str) -> Operation:
    return get_object_or_404(operations_of(user), pk=operation_id)


def projects_of(user: User) -> QuerySet[App]:
    """Their projects, newest first, each with the id of its builder instance as `builder_id`."""
    copies = Instance.objects.filter(app=OuterRef("pk"), is_builder=True)
    there = copies.exclude(state__in=(InstanceState.REMOVING, InstanceState.REMOVED))
    mine = App.objects.filter(developer=user, deleted_at__isnull=True).order_by("-created_at")
    return mine.annotate(builder_id=Subquery(there.values("pk")[:1]))


def project_for(user: User, slug: str) -> App:
    return get_object_or_404(projects_of(user), slug=slug)


def revision_for(user: User, slug: str, revision_id: str) -> Revision:
    return get_object_or_404(
        Revision.objects.select_related("app"), app__in=projects_of(user), app__slug=slug, pk=revision_id
    )


def release_for(user: User, slug: str, release_id: str) -> Release:
    return get_object_or_404(
        Release.objects.select_related("app", "revision"), app__in=projects_of(user), app__slug=slug, pk=release_id
    )


def tokens_of(user: User) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user=user).order_by("-created_at")


def token_for(user: User, token_id: str) -> ApiToken:
    return get_object_or_404(ApiToken, user=user, pk=token_id)


def app_for(user: User | None, slug: str) -> App:
    """An app by its slug: for whoever knows the slug once something is released, for its developer always, and for
    those who have a copy even when its developer has left."""
    app = App.objects.select_related("developer").filter(slug=slug, deleted_at__isnull=True).first()
    if app is None or (app.released_at is None and not _knows(user, app)):
        raise Http404("There is no app of this name.")
    return app


def reviews_for(user: User) -> QuerySet[Release]:
    """For operators, to everybody else nothing: releases that wait for an answer, oldest first."""
    return _reviews(user).filter(review=Review.PENDING).order_by("created_at")


def review_for(user: User, release_id: str) -> Release:
    """An operator's: one that waits for an answer or had one."""
    return get_object_or_404(_reviews(user).exclude(review=Review.NOT_NEEDED), pk=release_id)


def reports_for(user: User) -> QuerySet[AppReport]:
    """For operators, to everybody else nothing: all that was reported, newest first."""
    rows = AppReport.objects.select_related("app__developer", "reporter")
    return rows.order_by("-created_at") if user.is_staff else rows.none()


def report_for(user: User, report_id: str) -> AppReport:
    return get_object_or_404(reports_for(user), pk=report_id)


def any_app_for(operator: User, slug: str) -> App:
    """Anybody's, listed or not, for operators."""
    rows = App.objects.select_related("developer").filter(deleted_at__isnull=True)
    return get_object_or_404(rows if operator.is_staff else rows.none(), slug=slug)


def plans_offered() -> QuerySet[Plan]:
    """What anybody may choose, the cheapest first."""
    return Plan.objects.filter(is_visible=True, archived_at__isnull=True)


def plans_for(user: User) -> QuerySet[Plan]:
    """For operators, to everybody else nothing: all plans, each with the number of its clouds as `clouds`."""
    its = Cloud.objects.filter(plan=OuterRef("pk")).exclude(state=CloudState.CLOSED).order_by()
    living = Coalesce(Subquery(its.values("plan").annotate(number=Count("pk")).values("number")), 0)
    rows = Plan.objects.annotate(clouds=living).order_by("price_minor", "slug")
    return rows if user.is_staff else rows.none()


def plan_for(user: User, slug: str) -> Plan:
    return get_object_or_404(plans_for(user), pk=slug)


def cloud_for(operator: User, cloud_id: str) -> Cloud:
    """Anybody's, for operators."""
    rows = Cloud.objects.select_related("plan", "owner", "cell")
    return get_object_or_404(rows if operator.is_staff else rows.none(), pk=cloud_id)


def full_clouds_for(operator: User, what: str) -> QuerySet[LimitNotice]:
    """Notices of clouds that have used all they may, those that came to it last before the others."""
    rows = LimitNotice.objects.filter(what=what, percent=100, ended_at__isnull=True).order_by("-told_at", "-pk")
    return rows.select_related("cloud__owner") if operator.is_staff else rows.none()


def overrides_for(operator: User, cloud_id: str) -> QuerySet[Override]:
    """All that a cloud ever had, newest first."""
    rows = Override.objects.filter(cloud=cloud_for(operator, cloud_id))
    return rows.select_related("granted_by", "cloud").order_by("-created_at", "-id")


def override_for(operator: User, cloud_id: str, override_id: str) -> Override:
    return get_object_or_404(overrides_for(operator, cloud_id), pk=override_id)


def _reviews(user: User) -> QuerySet[Release]:
    rows = Release.objects.select_related("app__developer", "revision")
    return rows if user.is_staff else rows.none()


def _knows(user: User | None, app: App) -> bool:
    return user is not None and (app.developer_id == user.pk or instances_of(user).filter(app=app).exists())


def _instances(user: User) -> QuerySet[Instance]:
    return (
        Instance.objects.filter(cloud__owner=user)
        .select_related("app", "release", "revision", "cloud__plan")
        .prefetch_related("micros")
    )
