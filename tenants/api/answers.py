"""What is answered, for the schema. The documents themselves are made in `shapes` and `tenants.representation`."""

from functools import lru_cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

Text = serializers.CharField
Number = serializers.IntegerField
Moment = serializers.DateTimeField


class ErrorBody(serializers.Serializer[Any]):
    code = Text()
    message = Text()
    field = Text(allow_null=True)
    detail = serializers.DictField()


class Error(serializers.Serializer[Any]):
    error = ErrorBody()


class QuotaShape(serializers.Serializer[Any]):
    cpu_millis = Number()
    memory_mib = Number()
    storage_mib = Number()
    instances = Number()


class CloudShape(serializers.Serializer[Any]):
    id = Text()
    handle = Text()
    namespace = Text()
    state = Text()
    state_reason = Text()
    plan = Text()
    quota = QuotaShape()
    usage = QuotaShape()
    created_at = Moment()
    erase_at = Moment(allow_null=True)


class ChangedCloudShape(CloudShape):
    operation = Text()


class CloudBrief(serializers.Serializer[Any]):
    id = Text()
    namespace = Text()
    state = Text()


class AccountShape(serializers.Serializer[Any]):
    id = Text()
    email = Text()
    handle = Text()
    cloud = CloudBrief()


class TokenShape(serializers.Serializer[Any]):
    id = Text()
    name = Text()
    prefix = Text()
    scopes = serializers.ListField(child=Text())
    created_at = Moment()
    last_used_at = Moment(allow_null=True)
    expires_at = Moment(allow_null=True)


class IssuedTokenShape(TokenShape):
    token = Text()


class MediumShape(serializers.Serializer[Any]):
    """kind: image, whose url is a path of this provider, or video."""

    kind = Text()
    url = Text()


class AppShape(serializers.Serializer[Any]):
    slug = Text()
    name = Text()
    title = Text()
    tagline = Text()
    description_html = Text()
    theme_color = Text()
    homepage = Text()
    git = Text()
    icon = Text(allow_null=True)
    media = MediumShape(many=True)
    developer = Text()
    category = Text(allow_null=True)
    listed = serializers.BooleanField()
    unmaintained = serializers.BooleanField()
    installs = Number()
    released_at = Moment(allow_null=True)


class ReportShape(serializers.Serializer[Any]):
    id = Text()
    app = Text()
    concern = Text()
    created_at = Moment()


class VersionUseShape(serializers.Serializer[Any]):
    version = Text()
    copies = Number()


class AdoptionShape(serializers.Serializer[Any]):
    """Numbers only. installs: clouds that ever had a copy; copies: now."""

    installs = Number()
    copies = Number()
    automatic = Number()
    versions = VersionUseShape(many=True)


class ReleaseShape(serializers.Serializer[Any]):
    id = Text()
    version = Text()
    revision = Text()
    notes = Text()
    channel = Text()
    listed = serializers.BooleanField()
    yanked_at = Moment(allow_null=True)
    yank_reason = Text()
    created_at = Moment()


class OwnReleaseShape(ReleaseShape):
    """For its developer: with what the operator said. review: empty, pending, approved or refused."""

    review = Text()
    review_note = Text()


class ReviewShape(OwnReleaseShape):
    """For operators. app: its slug."""

    app = Text()
    name = Text()
    developer = Text()


class ReceivedReportShape(ReportShape):
    """For operators. reporter, developer: handles."""

    text = Text()
    reporter = Text()
    developer = Text()
    closed_at = Moment(allow_null=True)


class ProjectShape(serializers.Serializer[Any]):
    slug = Text()
    name = Text()
    builder_instance = Text(allow_null=True)
    listed = serializers.BooleanField()
    maintained = serializers.BooleanField()
    installs = Number()
    created_at = Moment()
    released_at = Moment(allow_null=True)


class RevisionShape(serializers.Serializer[Any]):
    id = Text()
    tag = Text()
    state = Text()
    state_reason = Text()
    digest = Text(allow_null=True)
    size_bytes = Number()
    placement = Text()
    placement_note = Text()
    placed_by = Text(allow_null=True)
    created_at = Moment()


class UploadedShape(RevisionShape):
    operation = Text()


class CollectionShape(serializers.Serializer[Any]):
    """instance: the app's that uses it, null for one by itself. project_id: what SDKs call it. size_bytes: lately.

    data_host: host and port of Base and Drive, reached by https.
    """

    id = Text()
    name = Text()
    project_id = Text()
    instance = Text(allow_null=True)
    size_bytes = Number()
    data_host = Text()
    created_at = Moment()


class BaseShape(serializers.Serializer[Any]):
    name = Text()
    items = Number()
    size_bytes = Number()


class DriveShape(serializers.Serializer[Any]):
    name = Text()
    files = Number()
    size_bytes = Number()


class RemovedShape(serializers.Serializer[Any]):
    """How many files went."""

    removed = Number()


class ExportShape(serializers.Serializer[Any]):
    """made_at: the instant that the zip shows. download: its address, null before it is made and once it has ended."""

    id = Text()
    operation = Text()
    state = Text()
    size_bytes = Number()
    sha256 = Text(allow_null=True)
    download = Text(allow_null=True)
    made_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    created_at = Moment()


class FoundShape(serializers.Serializer[Any]):
    """conflicts: how many of its keys or names are taken. items are a base's, files a drive's."""

    name = Text()
    items = Number(required=False)
    files = Number(required=False)
    bytes = Number()
    conflicts = Number()


class PreviewShape(serializers.Serializer[Any]):
    """ignored: entries that mean nothing here. problems: items that cannot be stored; with any, nothing is imported."""

    items = Number()
    files = Number()
    bytes = Number()
    conflicts = Number()
    bases = FoundShape(many=True)
    drives = FoundShape(many=True)
    ignored = serializers.ListField(child=Text())
    problems = serializers.ListField(child=Text())


class ReportOfImportShape(serializers.Serializer[Any]):
    items = Number()
    files = Number()
    skipped = Number()
    replaced = Number()


class UploadShape(serializers.Serializer[Any]):
    """id: also the import's. parts: numbers, from 1, of those that are there; each is part_bytes long, the last one as long
    as what is left."""

    id = Text()
    size_bytes = Number()
    part_bytes = Number()
    parts = serializers.ListField(child=Number())
    created_at = Moment()


class ImportShape(serializers.Serializer[Any]):
    """operation: what imports it; before, what looks through an archive that came in parts; null while it is only looked
    at. preview: null until it was looked through."""

    id = Text()
    operation = Text(allow_null=True)
    state = Text(allow_null=True)
    conflicts = Text(allow_null=True)
    preview = PreviewShape(allow_null=True)
    report = ReportOfImportShape(allow_null=True)
    created_at = Moment()


class DataKeyShape(serializers.Serializer[Any]):
    """last_used_at: within a minute or two."""

    id = Text()
    name = Text()
    prefix = Text()
    last_used_at = Moment(allow_null=True)
    created_at = Moment()


class IssuedDataKeyShape(DataKeyShape):
    project_id = Text()
    key = Text()


class InstanceSizeShape(serializers.Serializer[Any]):
    cpu_millis = Number()
    memory_mib = Number()
    storage_mib = Number()


class InstanceShape(serializers.Serializer[Any]):
    id = Text()
    app = Text()
    release = Text(allow_null=True)
    version = Text(allow_null=True)
    alias = Text()
    host = Text()
    url = Text()
    state = Text()
    state_reason = Text()
    size = InstanceSizeShape()
    sleep_after_s = Number(allow_null=True)
    auto_update = serializers.BooleanField()
    channel = Text()
    is_builder = serializers.BooleanField()
    can_roll_back = serializers.BooleanField()
    update_error = Text(allow_null=True)
    created_at = Moment()
    last_used_at = Moment(allow_null=True)


class InstalledShape(InstanceShape):
    operation = Text(allow_null=True)


class SettingShape(serializers.Serializer[Any]):
    """Values are never told. micros: those that see it."""

    name = Text()
    description = Text()
    micros = serializers.ListField(child=Text())
    is_set = serializers.BooleanField()
    has_default = serializers.BooleanField()


class ConfigShape(serializers.Serializer[Any]):
    settings = SettingShape(many=True)


class DemandShape(serializers.Serializer[Any]):
    key = Text()
    text = Text()


class NewsShape(serializers.Serializer[Any]):
    version = Text()
    notes = Text()
    created_at = Moment()


class UpdateShape(serializers.Serializer[Any]):
    """From which version to which; needs_consent are keys to send as `consent`, demands say them in words."""

    installed = Text()
    release = Text(allow_null=True)
    version = Text(allow_null=True)
    needs_consent = serializers.ListField(child=Text())
    demands = DemandShape(many=True)
    news = NewsShape(many=True)
    resources = QuotaShape(allow_null=True)


class PlanShape(serializers.Serializer[Any]):
    app = Text()
    release = Text()
    version = Text()
    alias = Text()
    resources = QuotaShape()
    quota = QuotaShape()
    quota_after = QuotaShape()
    price_delta = Number()
    calls = serializers.ListField(child=Text())
    needs_consent = serializers.ListField(child=Text())


class StepShape(serializers.Serializer[Any]):
    name = Text()
    title = Text()
    state = Text()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)
    detail = Text()


class OperationShape(serializers.Serializer[Any]):
    id = Text()
    kind = Text()
    state = Text()
    instance = Text(allow_null=True)
    revision = Text(allow_null=True)
    collection = Text(allow_null=True)
    steps = StepShape(many=True)
    error = Text(allow_null=True)
    created_at = Moment()
    finished_at = Moment(allow_null=True)


KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The same key again: the same answer, once.",
)
PAGE = [
    OpenApiParameter("page", OpenApiTypes.INT, description="From 1."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description="At most 200, 50 if absent."),
]


def errors(*statuses: int) -> dict[int, type[Error]]:
    return dict.fromkeys((401, 403, *statuses), Error)


@lru_cache
def page_of(shape: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The shape of a list: results and the address of the next page."""
    fields = {"results": shape(many=True), "next": serializers.URLField(allow_null=True)}
    return type(f"{shape.__name__.removesuffix('Shape')}Page", (serializers.Serializer,), fields)
