"""What may be sent."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from tenants.api.base import Strict


class NewAccount(Strict):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=256, trim_whitespace=False)
    handle = serializers.CharField(max_length=64)


class NewToken(Strict):
    """With e-mail and password, since whoever asks has no token yet."""

    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=256, trim_whitespace=False)
    name = serializers.CharField(max_length=60)
    scopes = serializers.ListField(child=serializers.CharField(max_length=40), allow_empty=False, max_length=20)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class SizeField(Strict):
    """Of every micro that is a process."""

    cpu_millis = serializers.IntegerField(min_value=50, max_value=16_000, required=False)
    memory_mib = serializers.IntegerField(min_value=64, max_value=65_536, required=False)


class Whole(serializers.IntegerField):
    """A whole number, however large: bounds are the service's. Text, fractions and truth values are none."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("A whole number is needed.")
        return data


class TextMap(serializers.DictField):
    """Text by name; numbers are not quietly made into text."""

    def to_internal_value(self, data: Any) -> Any:
        kinds = (str, type(None)) if self.child.allow_null else (str,)
        if isinstance(data, Mapping) and any(not isinstance(value, kinds) for value in data.values()):
            raise serializers.ValidationError("Values must be text.")
        return super().to_internal_value(data)


def _texts(*, clearable: bool = False) -> TextMap:
    child = serializers.CharField(allow_blank=True, allow_null=clearable, trim_whitespace=False, max_length=10_000)
    return TextMap(child=child, required=False)


class NewInstance(Strict):
    app = serializers.CharField(max_length=60)
    release = serializers.CharField(max_length=40, required=False)
    alias = serializers.CharField(max_length=63, required=False)
    config = _texts()
    size = SizeField(required=False)
    channel = serializers.CharField(max_length=10, required=False)
    collection = serializers.CharField(max_length=40, required=False)


class NewImport(Strict):
    """archive: a zip. conflicts: what to do with keys and file names that are taken: fail, skip or replace."""

    archive = serializers.FileField(max_length=500)
    conflicts = serializers.CharField(max_length=10, required=False, default="fail")


class NewUpload(Strict):
    """fingerprint: what you know the archive by, such as its SHA-256; asked again with the same, an upload goes on."""

    size_bytes = serializers.IntegerField(min_value=1)
    fingerprint = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class ImportChoice(Strict):
    """conflicts: fail, skip or replace."""

    conflicts = serializers.CharField(max_length=10, required=False, default="fail")


class NewPart(Strict):
    """A base's or a drive's name: one segment of a path."""

    name = serializers.CharField(max_length=250, trim_whitespace=False)


class Named(Strict):
    name = serializers.CharField(max_length=60)


class NewAppKey(Strict):
    """micro: the name of one that takes keys; all that do if absent."""

    name = serializers.CharField(max_length=60)
    micro = serializers.CharField(max_length=80, required=False, allow_null=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class Invited(Strict):
    email = serializers.CharField(max_length=254)


class InstanceChanges(Strict):
    """config: settings to change; null takes one back to the app's default. sleep_after_s: idle seconds after which it
    falls asleep; null as the plan says, 0 never."""

    alias = serializers.CharField(max_length=63, required=False)
    config = _texts(clearable=True)
    auto_update = serializers.BooleanField(required=False)
    sleep_after_s = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=30 * 24 * 3600)


class UpdateWish(Strict):
    """consent: keys out of `needs_consent`."""

    release = serializers.CharField(max_length=40, required=False)
    consent = serializers.ListField(child=serializers.CharField(max_length=700), required=False, max_length=200)


class NewProject(Strict):
    name = serializers.CharField(max_length=60)


class AsOf(serializers.DateTimeField):
    """A date or a moment; a date is its beginning in UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(input_formats=["iso-8601", "%Y-%m-%d"], **options)


class NewRevision(Strict):
    """install: into one's own copy as soon as it is built, true if absent."""

    bundle = serializers.FileField(max_length=500)
    as_of = AsOf(required=False)
    install = serializers.BooleanField(required=False, default=True)


class ProjectChanges(Strict):
    """maintained: false tells people that nobody looks after it any more."""

    name = serializers.CharField(max_length=60, required=False)
    maintained = serializers.BooleanField(required=False)


class ReleaseChanges(Strict):
    listed = serializers.BooleanField(required=False)
    notes = serializers.CharField(max_length=4250, required=False, allow_blank=True, trim_whitespace=False)
    yanked = serializers.BooleanField(required=False)
    yank_reason = serializers.CharField(max_length=300, required=False, allow_blank=True)


class NewReport(Strict):
    """concern: harmful, deceptive, broken, rights or other."""

    concern = serializers.CharField(max_length=12)
    text = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class NewRelease(Strict):
    """discovery: the text of a Discovery.md that replaces the bundle's."""

    revision = serializers.CharField(max_length=40)
    version = serializers.CharField(max_length=40, required=False, allow_blank=True)
    notes = serializers.CharField(max_length=4250, required=False, allow_blank=True, trim_whitespace=False)
    channel = serializers.CharField(max_length=10, required=False)
    listed = serializers.BooleanField(required=False)
    discovery = serializers.CharField(max_length=64 * 1024, required=False, allow_blank=True, trim_whitespace=False)


class Answered(Strict):
    """An operator's answer. note: for the developer."""

    note = serializers.CharField(max_length=300, required=False, allow_blank=True)


class Unlisting(Strict):
    """note: why, for the app's developer."""

    note = serializers.CharField(max_length=300)


class ReportAnswer(Answered):
    """unlist: take the app off the catalog, false if absent."""

    unlist = serializers.BooleanField(required=False)


class PlanWish(Strict):
    plan = serializers.CharField(max_length=50)


class OperatorPlanWish(PlanWish):
    reason = serializers.CharField(max_length=300)


class Figures(Strict):
    """What a plan gives. Bounds and kinds are checked by the service, which names the field."""

    cpu_millis = Whole(required=False)
    memory_mib = Whole(required=False)
    storage_mib = Whole(required=False)
    instances = Whole(required=False)
    builds = Whole(required=False)
    sleep_after_s = Whole(required=False, allow_null=True)
    domains = Whole(required=False)
    backups_kept = Whole(required=False)
    traffic_bytes = Whole(required=False, allow_null=True)
    rate_class = serializers.CharField(max_length=10, required=False)


class _Terms(Figures):
    """price_minor: in the currency's smallest unit."""

    name = serializers.CharField(max_length=60, required=False)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)
    price_minor = Whole(required=False)
    currency = serializers.CharField(max_length=3, required=False)
    interval = serializers.CharField(max_length=5, required=False)
    trial_days = Whole(required=False)
    is_visible = serializers.BooleanField(required=False)


class PlanTerms(_Terms):
    """archived: nobody chooses it any more, whoever has it keeps it."""

    archived = serializers.BooleanField(required=False)


class NewPlan(_Terms):
    """Name and the four quotas are needed."""

    slug = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=60)
    cpu_millis = Whole()
    memory_mib = Whole()
    storage_mib = Whole()
    instances = Whole()


class OverrideEnd(Strict):
    """reason: kept."""

    reason = serializers.CharField(max_length=300)


class NewOverride(Strict):
    """figures: those that are overruled; sleep_after_s 0 means never. ends_at: from then on it counts no more."""

    figures = Figures()
    reason = serializers.CharField(max_length=300)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)
