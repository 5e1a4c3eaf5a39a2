"""A provider as it might be after some weeks: people, plans, apps, what failed, what was used, what was reported.

The same every time: pictures in docs/ are made of it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from allauth.account.models import EmailAddress
from django.core.mail import EmailMessage, get_connection
from django.utils import timezone

from apps_catalog.models import App, AppReport, Release, Revision
from tenants.addresses import new_host
from tenants.models import (
    Cell,
    Cloud,
    DeskDay,
    Instance,
    Operation,
    Plan,
    UsageCount,
    UsageHour,
    UsageMonth,
    User,
)
from tenants.services import figures, overrides, plan_changes, plans, support
from tenants.services.installation import prepare

DAYS = 30
MIB = 1024 * 1024
PEOPLE = """ada mina jonas priya tomas leila oskar noor felix ines kofi yuki marta emil zara bruno saga idris elin pavel
rosa henk amara milan greta luca aiko sofia anton nadia""".split()
APPS = {
    "notes": ("Notes", "Write things down, find them again", "emerald"),
    "ledger": ("Ledger", "Who owes whom what in a shared flat", "blue"),
    "recipes": ("Recipes", "Cook from what is in the house", "orange"),
    "habit-garden": ("Habit Garden", "A plant for everything you keep doing", "green"),
    "feeds": ("Feeds", "News of the sites you choose", "purple"),
    "photo-wall": ("Photo Wall", "Pictures for the family", "pink"),
    "timer": ("Timer", "What the day went into", "slate"),
}
PLANS: dict[str, dict[str, object]] = {
    "plus": {"name": "Plus", "price_minor": 500, "cpu_millis": 4000, "memory_mib": 8192, "storage_mib": 20480},
    "studio": {"name": "Studio", "price_minor": 1900, "cpu_millis": 12000, "memory_mib": 24576, "storage_mib": 102400},
    "school": {"name": "School", "price_minor": 0, "cpu_millis": 8000, "memory_mib": 16384, "storage_mib": 51200},
}
FAILURES = [
    ("install", "recipes", "The build needs pandas 0.24, of which there is no wheel for Python 3.11."),
    ("update", "ledger", "Version 2.1.0 ended with code 1: no such column: paid_at. The previous version runs again."),
    ("export", "", "The data server did not answer within 30 s; it is being tried again."),
    ("build", "feeds", "npm: this package needs more memory than a build may take (2 GiB)."),
]


@dataclass(frozen=True)
class Provider:
    """ada: somebody with a bit of everything. keeper: an operator of the role admin."""

    keeper: User
    ada: Cloud


def seed(mails: Path) -> Provider:
    prepare()
    luck, now = Random(7), timezone.now()
    keeper = User.objects.create_user(
        "keeper@freehold.example", "keeper", "Corr3ct-horse", is_staff=True, is_superuser=True
    )
    _plans(keeper)
    first = Cell.objects.get()
    cells = [first, Cell.objects.create(pk="north", apps_domain="north.apps.example")]
    clouds = [_cloud(handle, n, cells[n % 5 == 4], luck) for n, handle in enumerate([*PEOPLE, "keeper"])]
    releases = [_release(clouds[n + 3].owner, slug, now) for n, slug in enumerate(APPS)]
    for number, cloud in enumerate(clouds[:-1]):
        for release in luck.sample(releases, 1 + (number * 3) % 5 if number else 6):
            _install(cloud, release, luck, now)
    ada = clouds[0]
    _failures(clouds, now)
    _acts(keeper, clouds, now)
    _queue(clouds, releases)
    _usage(ada, luck, now)
    _days(luck)
    _mails(mails)
    return Provider(keeper, ada)


def _plans(keeper: User) -> None:
    for slug, terms in PLANS.items():
        more = {"currency": "eur", "instances": 40, "domains": 5, "backups_kept": 14, "is_visible": slug != "school"}
        plans.create_plan(keeper, slug, {**terms, **more})
    plans.edit_plan(keeper, "plus", {"trial_days": 14, "traffic_bytes": 200 * 10**9})
    plans.create_plan(keeper, "plus-yearly", {**PLANS["plus"], "name": "Plus, by the year", "price_minor": 5000,
                                              "currency": "eur", "interval": "year", "instances": 40})  # fmt: skip
    plans.create_plan(keeper, "early", {**PLANS["plus"], "name": "Early birds", "price_minor": 300, "currency": "eur",
                                        "instances": 25})  # fmt: skip
    plans.archive_plan(keeper, "early", archived=True)


def _cloud(handle: str, number: int, cell: Cell, luck: Random) -> Cloud:
    user = User.objects.filter(handle=handle).first()
    if user is None:
        user = User.objects.create_user(f"{handle}@mail.example", handle, "Corr3ct-horse")
    came = timezone.now() - timedelta(days=number * 0.8 + (number > 20) * 30, minutes=luck.randrange(2000))
    User.objects.filter(pk=user.pk).update(date_joined=came)
    EmailAddress.objects.create(user=user, email=user.email, verified=number not in (0, 5), primary=True)
    slug = ["studio", "plus", "household", "plus", "household", "plus-yearly", "household"][number % 7]
    cloud = Cloud.objects.create(
        owner=user, cell=cell, plan=Plan.objects.get(pk=slug), namespace=f"fh-{handle}-{luck.randrange(16**6):06x}",
        state="active", observed_generation=1,
    )  # fmt: skip
    Cloud.objects.filter(pk=cloud.pk).update(created_at=came)
    return cloud


def _release(developer: User, slug: str, now: datetime) -> Release:
    name, tagline, colour = APPS[slug]
    app = App.objects.create(
        slug=slug, developer=developer, name=name, title=name, tagline=tagline, listed=True, theme_color=colour,
        released_at=now - timedelta(days=40),
    )  # fmt: skip
    revision = Revision.objects.create(
        app=app, tag="heron-abcd", state="ready", source=f"sha256:{'a' * 64}", source_bytes=90_000, spacefile={},
        digest=f"sha256:{'b' * 64}", size_bytes=1_200_000,
    )  # fmt: skip
    return Release.objects.create(app=app, revision=revision, version="1.4.0", listed=True)


def _install(cloud: Cloud, release: Release, luck: Random, now: datetime) -> Instance:
    state = luck.choices(["running", "asleep", "failed", "updating"], [40, 50, 4, 2])[0]
    instance = Instance.objects.create(
        cloud=cloud, app=release.app, revision=release.revision, release=release, alias=release.app.slug,
        host=new_host(release.app.slug, cloud.cell), cpu_millis=200, memory_mib=256, storage_mib=500, state=state,
        state_reason="It ended with code 1 three times." if state == "failed" else "", observed_generation=1,
    )  # fmt: skip
    when = now - timedelta(days=luck.random() * 20)
    made = Operation.objects.create(
        kind="install", cloud=cloud, instance=instance, actor=cloud.owner, state="succeeded",
        started_at=when, finished_at=when + timedelta(seconds=3),
    )  # fmt: skip
    Operation.objects.filter(pk=made.pk).update(created_at=when)
    return instance


def _failures(clouds: list[Cloud], now: datetime) -> None:
    for number, (kind, slug, why) in enumerate(FAILURES):
        cloud = clouds[number * 2]
        instance = cloud.instances.filter(app__slug=slug).first() or cloud.instances.order_by("alias").first()
        about = {"instance": instance} if slug else {}
        row = Operation.objects.create(kind=kind, cloud=cloud, state="failed", error=why, attempts=number, **about)
        when = now - timedelta(hours=3 * number, minutes=17)
        Operation.objects.filter(pk=row.pk).update(created_at=when, finished_at=when + timedelta(minutes=2))
    stuck = Operation.objects.create(kind="wipe", cloud=clouds[9], state="running", attempts=3)
    Operation.objects.filter(pk=stuck.pk).update(created_at=now - timedelta(minutes=41))


def _acts(keeper: User, clouds: list[Cloud], now: datetime) -> None:
    support.suspend_cloud(keeper, clouds[11], "It sends unsolicited mail; abuse report 2291.")
    support.suspend_cloud(keeper, clouds[20], "Its owner asked for a pause over the summer.")
    support.suspend_cloud(keeper, clouds[4], "A miner was installed; waiting for an answer.")
    support.restore_cloud(keeper, clouds[4], "Its owner removed the miner and changed the password.")
    support.appoint(keeper, clouds[2].owner, "support", "Joined the support team.")
    support.appoint(keeper, clouds[7].owner, "billing", "Keeps the books from now on.")
    until = now + timedelta(days=45)
    overrides.grant_override(keeper, clouds[0], {"memory_mib": 32768}, reason="Her course, until the end of term")
    overrides.grant_override(keeper, clouds[0], {"backups_kept": 30}, reason="Asked for", ends_at=until)
    over = overrides.grant_override(keeper, clouds[0], {"instances": 60}, reason="For a workshop")
    overrides.end_override(keeper, over, reason="The workshop is over.")
    overrides.grant_override(keeper, clouds[6], {"storage_mib": 60000}, reason="Moves his archive", ends_at=until)
    plan_changes.change_plan(keeper, clouds[14], "school", by_operator=True, reason="Teaches with it")


def _queue(clouds: list[Cloud], releases: list[Release]) -> None:
    for release, version in ((releases[3], "2.0.0"), (releases[5], "0.9.1")):
        Release.objects.create(app=release.app, revision=release.revision, version=version, review="pending")
    words = "It opens pages that ask for a bank card, in the middle of writing."
    AppReport.objects.create(app=releases[4].app, reporter=clouds[1].owner, concern="deceptive", text=words)
    words = "Since yesterday it only shows an empty page.\nI tried two browsers."
    AppReport.objects.create(app=releases[1].app, reporter=clouds[12].owner, concern="broken", text=words)


def _usage(cloud: Cloud, luck: Random, now: datetime) -> None:
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    subjects = [*cloud.instances.values_list("pk", flat=True), "data", "builds"]
    rows = [
        UsageHour(cloud=cloud, subject=subject, since=hour - timedelta(hours=n), **_used(subject, hour, n, luck))
        for n in range(DAYS * 24)
        for subject in subjects
    ]
    UsageHour.objects.bulk_create(rows)
    month = hour.replace(day=1, hour=0)
    for subject in subjects:
        mine = [row for row in rows if row.subject == subject and row.since >= month]
        names = ("cpu_us", "memory_byte_s", "storage_byte_s", "requests", "bytes_in", "bytes_out")
        sums = {name: sum(getattr(row, name) for row in mine) for name in names}
        plan = {"plan": cloud.plan_id, "plan_since": month}
        UsageMonth.objects.create(cloud=cloud, subject=subject, since=month, **plan, **sums)
        UsageCount.objects.create(cloud=cloud, subject=subject, since=month, what="wake", count=luck.randrange(9, 90))


def _used(subject: str, hour: datetime, n: int, luck: Random) -> dict[str, int]:
    """More by day than by night, less at weekends, growing over the weeks."""
    at = hour - timedelta(hours=n)
    busy = (0.2 if at.hour < 7 else 1.0) * (0.6 if at.weekday() > 4 else 1.0) * (1 - n / (DAYS * 40)) * luck.random()
    requests = 0 if subject in ("data", "builds") else int(900 * busy)
    return {
        "cpu_us": int(40e6 * busy), "memory_byte_s": int(256 * MIB * 3600 * min(1, busy * 1.6)),
        "storage_byte_s": (1500 * MIB * 3600 if subject == "data" else 0), "requests": requests,
        "bytes_in": requests * 700, "bytes_out": requests * 21_000,
    }  # fmt: skip


def _days(luck: Random) -> None:
    """What was counted on each of the last days, up to what is counted now."""
    counted = figures.count()
    now = figures.as_json(counted)
    came = [moment.date() for moment in User.objects.values_list("date_joined", flat=True)]
    for n in range(1, DAYS):
        at = counted.at - timedelta(days=n)
        there = sum(day <= at.date() for day in came)
        part = there / len(came)
        told = now | {
            "people": there, "joined": came.count(at.date()), "failed": luck.choice([0, 0, 1, 1, 2, 5]),
            "succeeded": luck.randrange(60, 140),
            "clouds_by_state": [[state, round(number * part)] for state, number in now["clouds_by_state"]],
            "by_state": [[state, round(number * part * (0.85 + luck.random() * 0.3))] for state, number in now["by_state"]],
            "income": [one | {"minor": round(one["minor"] * part / 500) * 500} for one in now["income"]],
        }  # fmt: skip
        DeskDay.objects.create(day=at.date(), counted_at=at, took_ms=4, figures=told)


def _mails(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with get_connection("django.core.mail.backends.filebased.EmailBackend", file_path=folder) as connection:
        for subject, to in (
            ("Please confirm your address", "ada@mail.example"),
            ("Your cloud is suspended", "saga@mail.example"),
            ("You are invited to Photo Wall", "aunt@mail.example"),
        ):
            text = f"Hello,\n\n{subject.lower()}: https://freehold.example/\n"
            EmailMessage(subject, text, "Freehold <no-reply@freehold.example>", [to], connection=connection).send()
