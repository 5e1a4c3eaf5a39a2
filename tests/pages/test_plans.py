"""`/billing/` and the operator's pages about plans and clouds."""

import json
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps_catalog.models import Release
from tenants.models import Event, Instance, Operation, Override, Plan
from tenants.services.overrides import grant_override
from tenants.services.plans import archive_plan
from tenants.templatetags.plans import idle, money, price, traffic
from tests.offers import TERMS, offer
from tests.pages.conftest import Person, install


def words(browser: Client, path: str) -> str:
    return str(browser.get(path).content.decode())


def text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_plan_page_shows_what_one_has_what_it_costs_and_what_else_there_is(ada: Person) -> None:
    offer(price_minor=500, trial_days=14, description="For <two> apps", sleep_after_s=900)
    offer("hidden", is_visible=False, name="Secret")
    grant_override(None, ada.cloud, {"instances": 30}, reason="A friend of the house")
    page = words(ada.browser, "/billing/")
    assert "Your plan: Household" in page and "It costs: <strong>free</strong>" in page
    assert "A friend of the house" in page and "0 of 30" in page
    assert "Billing is off here: nothing is charged" in page
    row = text(page[page.index('data-plan="small"') :])
    assert "5.00 EUR a month" in row and "14 days for trial" in row and "after 15 min" in row
    assert "For &lt;two&gt; apps" in row and "Secret" not in page
    assert 'href="/billing/plans/small/"' in page and 'href="/billing/plans/household/"' not in page
    assert 'href="/billing/"' in words(ada.browser, "/cloud/")


def test_one_sees_what_a_change_means_and_makes_it_with_one_click(ada: Person, notes: Release) -> None:
    offer(price_minor=500)
    install(ada, notes, "mine")
    page = words(ada.browser, "/billing/plans/small/")
    assert "It costs 5.00 EUR a month in place of free." in page and "must-go" not in page
    assert re.search(r"Apps 20 2 1 1 .* Memory 20 GiB 1 GiB 512 MiB 512 MiB", text(page)), (
        "what is in use, and then left"
    )
    key = re.search(r'name="idempotency_key" value="([^"]+)"', page)
    assert key is not None
    answers = [ada.browser.post("/billing/plans/small/", {"idempotency_key": key[1]}) for _ in range(2)]
    operation = Operation.objects.get(kind="change_plan")
    assert [answer["Location"] for answer in answers] == [f"/operations/{operation.pk}/"] * 2
    assert "Changing your plan" in words(ada.browser, f"/operations/{operation.pk}/")
    assert "Changing your plan" in words(ada.browser, "/cloud/")
    ada.cloud.refresh_from_db()
    assert ada.cloud.plan_id == "small"
    assert "Your plan: Small" in words(ada.browser, "/billing/")


def test_one_that_is_too_small_shows_what_must_go_and_offers_no_button(ada: Person, notes: Release) -> None:
    offer(memory_mib=8000, storage_mib=8000)
    copies = [install(ada, notes, f"copy-{n}") for n in range(3)]
    page = words(ada.browser, "/billing/plans/small/")
    assert "Small is too small for what is in your cloud." in page and "<h3>1 app</h3>" in page
    assert all(f'href="/instances/{copy.pk}/"' in page for copy in copies)
    assert 'type="submit">Change to' not in page
    answer = ada.browser.post("/billing/plans/small/", {"idempotency_key": "k"})
    assert answer.status_code == 422 and "Must go first: 1 app." in answer.content.decode()
    ada.cloud.refresh_from_db()
    assert ada.cloud.plan_id == "household" and not Operation.objects.filter(kind="change_plan").exists()


@pytest.mark.parametrize("slug", ["nothing", "hidden", "old"])
def test_what_is_not_offered_has_no_page(ada: Person, slug: str) -> None:
    offer("hidden", is_visible=False)
    offer("old")
    archive_plan(None, "old", archived=True)
    assert ada.browser.get(f"/billing/plans/{slug}/").status_code == 404
    assert ada.browser.post(f"/billing/plans/{slug}/", {"idempotency_key": "k"}).status_code == 404


def test_before_the_install_one_sees_what_it_takes(ada: Person, notes: Release) -> None:
    page = words(ada.browser, "/apps/notes/")
    takes = text(page[page.index('id="takes"') : page.index("</p>", page.index('id="takes"'))])
    assert "Takes 512 MiB of your 20 GiB of memory" in takes and "one of 20 apps" in takes
    assert "it costs nothing more" in takes and 'id="lacking"' not in page
    grant_override(None, ada.cloud, {"memory_mib": 100}, reason="r")
    page = words(ada.browser, "/apps/notes/")
    assert "It does not fit." in page and "not enough memory: 0 of 100 MiB are taken, 512 more needed" in page
    assert 'type="submit" disabled' in page and "it costs nothing more" not in page
    assert ada.browser.post("/apps/notes/install/", {"idempotency_key": "k"}).status_code == 422
    assert not Instance.objects.exists()


def plan_form(**changes: object) -> dict[str, object]:
    columns = {
        **TERMS,
        "slug": "small",
        "description": "",
        "price_minor": 0,
        "currency": "eur",
        "interval": "month",
        "trial_days": 0,
        "builds": 2,
        "sleep_after_s": "",
        "domains": 1,
        "backups_kept": 3,
        "traffic_bytes": "",
        "rate_class": "small",
        "is_visible": "on",
    }
    return {**columns, **changes}


def test_an_operator_makes_changes_and_archives_plans(operator: Person, ada: Person) -> None:
    made = operator.browser.post("/operator/plan-new/", plan_form(price_minor=500))
    assert made.status_code == 302 and Plan.objects.get(pk="small").price_minor == 500
    page = operator.browser.post("/operator/plan-new/", plan_form())
    assert page.status_code == 422 and "already" in page.content.decode()
    assert "5.00 EUR a month" in words(operator.browser, "/operator/plans/")
    one = "/operator/plans/small/"
    assert operator.browser.post(one, plan_form(price_minor=700, sleep_after_s=900, do="save")).status_code == 302
    plan = Plan.objects.get(pk="small")
    assert (plan.price_minor, plan.sleep_after_s, plan.traffic_bytes) == (700, 900, None)
    for field, value in (("memory_mib", -1), ("memory_mib", 10**12), ("price_minor", "4.99"), ("currency", "EUR")):
        refused = operator.browser.post(one, plan_form(**{field: value}))
        assert refused.status_code == 422 and 'class="errorlist"' in refused.content.decode(), field
    operator.browser.post(one, {"do": "archive"})
    assert Plan.objects.get(pk="small").archived_at is not None
    operator.browser.post(one, {"do": "offer"})
    assert Plan.objects.get(pk="small").archived_at is None
    assert operator.browser.post(one, {"do": "delete"}).status_code == 302
    assert not Plan.objects.filter(pk="small").exists()
    kept = operator.browser.post("/operator/plans/household/", {"do": "delete"}, follow=True).content.decode()
    assert "Newcomers get this plan: it cannot be deleted." in kept and Plan.objects.filter(pk="household").exists()
    assert Event.objects.filter(subject="small", kind="plan", actor=operator.user.pk).count() == 5


def test_plans_are_downloaded_and_brought_in_as_a_file(operator: Person) -> None:
    offer(price_minor=500)
    answer = operator.browser.get("/operator/plan-file/")
    assert "plans.json" in answer["Content-Disposition"]
    document = json.loads(answer.content)
    document["plans"][1]["price_minor"] = 700

    def send(data: bytes) -> str:
        file = SimpleUploadedFile("plans.json", data)
        return operator.browser.post("/operator/plan-file/", {"file": file}, follow=True).content.decode()

    assert "0 made, 1 changed, 1 as they were." in send(json.dumps(document).encode())
    assert Plan.objects.get(pk="small").price_minor == 700
    document["plans"][1]["memory_mib"] = -5
    assert "plans[1].memory_mib" in send(json.dumps(document).encode())
    assert "it is no JSON" in send(b"{")
    assert Plan.objects.get(pk="small").memory_mib == 1024


def test_an_operator_finds_a_cloud_and_gives_it_more_for_a_while(operator: Person, ada: Person) -> None:
    path = f"/operator/clouds/{ada.cloud.pk}/"
    assert path not in words(operator.browser, "/operator/clouds/?show=exceptions")
    assert path in words(operator.browser, "/operator/clouds/?q=AD")
    assert operator.browser.get("/operator/clouds/?q=%00x").status_code == 200
    until = timezone.now() + timedelta(days=30)
    form = {"instances": "30", "reason": "A friend", "ends_at": f"{until:%Y-%m-%dT%H:%M}", "idempotency_key": "k"}
    for _ in range(2):
        assert operator.browser.post(path, form).status_code == 302
    override = Override.objects.get()
    assert (override.figures, override.granted_by) == ({"instances": 30}, operator.user)
    assert override.ends_at is not None and abs(override.ends_at - until) < timedelta(minutes=1)
    page = words(operator.browser, path)
    assert "Apps: 30" in page and "0 of 30" in page and "A friend" in page
    assert path in words(operator.browser, "/operator/clouds/?show=exceptions")
    for wrong, words_of in (
        ({"instances": "-1"}, "greater than or equal to 0"),
        ({"reason": ""}, "required"),
        ({"instances": "", "memory_mib": ""}, "at least one figure"),
        ({"ends_at": "2020-01-01T00:00"}, "ended already"),
    ):
        refused = operator.browser.post(path, {**form, "idempotency_key": "other", **wrong})
        assert refused.status_code == 422 and words_of in refused.content.decode(), wrong
    operator.browser.post(f"{path}overrides/{override.pk}/end/", {"reason": "It is over."})
    override.refresh_from_db()
    assert override.ended_at is not None and "0 of 20" in words(operator.browser, path)


def test_an_operator_changes_a_clouds_plan_or_sees_what_is_in_the_way(
    operator: Person, ada: Person, notes: Release
) -> None:
    offer("hidden", is_visible=False, memory_mib=8000, storage_mib=8000)
    for n in range(3):
        install(ada, notes, f"copy-{n}")
    path, form = f"/operator/clouds/{ada.cloud.pk}/plan/", {"plan": "hidden", "why": "Agreed", "idempotency_key": "k"}
    refused = operator.browser.post(path, form)
    assert refused.status_code == 422 and "<h3>1 app</h3>" in refused.content.decode()
    Instance.objects.filter(alias="copy-0").update(state="removed")
    assert operator.browser.post(path, form).status_code == 302
    ada.cloud.refresh_from_db()
    assert ada.cloud.plan_id == "hidden"


def test_the_admin_shows_plans_and_refuses_what_cannot_be(operator: Person, ada: Person) -> None:
    change = "/operator/admin/tenants/plan/household/change/"
    assert operator.browser.get("/operator/admin/tenants/plan/").status_code == 200
    refused = operator.browser.post(change, plan_form(price_minor=500))
    assert refused.status_code == 200 and "it is free" in refused.content.decode()
    generation = ada.cloud.generation
    assert operator.browser.post(change, plan_form(instances=9)).status_code == 302
    ada.cloud.refresh_from_db()
    assert (ada.cloud.quota.instances, ada.cloud.generation) == (9, generation + 1)
    assert operator.browser.post("/operator/admin/tenants/plan/add/", plan_form()).status_code == 302
    assert Plan.objects.filter(pk="small").exists()


def test_amounts_are_told_exactly(db: None) -> None:
    assert [money(*pair) for pair in ((500, "eur"), (5, "usd"), (-5, "eur"), (500, "jpy"), (1230, "kwd"))] == [
        *("5.00 EUR", "0.05 USD", "-0.05 EUR", "500 JPY", "1.230 KWD")
    ]
    assert money(99_999_999, "eur") == "999999.99 EUR"
    assert price(Plan(price_minor=0)) == "free" and price(Plan(price_minor=990, interval="year")) == "9.90 EUR a year"
    assert [idle(s) for s in (None, 61, 900, 7200, 172_800)] == [
        *("never by themselves", "after 61 s", "after 15 min", "after 2 h", "after 2 d")
    ]
    assert [traffic(size) for size in (None, 0, 5 * 10**8, 10**11, 25 * 10**11)] == [
        *("no limit", "0 B a month", "500 MB a month", "100 GB a month", "2.5 TB a month")
    ]
