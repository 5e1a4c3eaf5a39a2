"""`manage.py plans`, and what becomes of quotas that operators set before there were overrides."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tenants.models import Cloud, Override, Plan
from tests.offers import offer


def plans(*arguments: str) -> str:
    out = StringIO()
    call_command("plans", *arguments, stdout=out)
    return out.getvalue()


def test_plans_go_to_a_file_and_come_back(db: None, tmp_path: Path) -> None:
    offer(price_minor=500)
    file = tmp_path / "plans.json"
    plans("export", str(file))
    assert plans("export", "-") == file.read_text()
    assert plans("import", str(file)) == "household: as it was\nsmall: as it was\n"
    file.write_text(file.read_text().replace('"price_minor": 500', '"price_minor": 700'))
    assert plans("import", str(file), "--dry-run") == "small: changed\nhousehold: as it was\n"
    assert Plan.objects.get(pk="small").price_minor == 500
    plans("import", str(file))
    assert Plan.objects.get(pk="small").price_minor == 700


@pytest.mark.parametrize("text", ["{", '{"freehold_plans": 1, "plans": [{"slug": "a", "name": "A", "instances": -1}]}'])
def test_a_file_with_a_mistake_stops_with_a_sentence(db: None, tmp_path: Path, text: str) -> None:
    (tmp_path / "plans.json").write_text(text)
    with pytest.raises(CommandError, match=r"file: |plans\[0\]\."):
        plans("import", str(tmp_path / "plans.json"))
    with pytest.raises(CommandError, match="No such file"):
        plans("import", str(tmp_path / "nothing.json"))
    assert not Plan.objects.filter(pk="a").exists()


def test_the_example_in_the_docs_can_be_brought_in(db: None) -> None:
    example = Path(__file__).resolve().parent.parent.parent / "docs/operators/plans.example.json"
    slugs = [plan["slug"] for plan in json.loads(example.read_text())["plans"]]
    assert plans("import", str(example)).splitlines() == [f"{slug}: made" for slug in slugs]
    plans("import", str(example))


def test_quotas_set_before_overrides_had_reasons_are_kept(races: None) -> None:
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    own = ("tenants", "0013_plans")
    newest = graph.leaf_nodes()
    executor.migrate([node.key for node in graph.node_map[own].parents if node.key[0] == "tenants"])
    try:
        _rows_as_they_were(executor)
    finally:
        MigrationExecutor(connection).migrate(newest)
    quota = Cloud.objects.select_related("plan").get(pk="cld1").quota
    assert (quota.instances, quota.memory_mib, quota.storage_mib) == (0, 8192, 2048)
    (override,) = Override.objects.all()
    assert (override.cloud_id, override.figures, override.ends_at) == (
        "cld1",
        {"instances": 0, "memory_mib": 8192},
        None,
    )
    plan = Plan.objects.get()
    assert (plan.price_minor, plan.is_visible, plan.sleep_after_s, plan.traffic_bytes) == (0, True, None, None)


def _rows_as_they_were(executor: MigrationExecutor) -> None:
    parents = [
        node for node in executor.loader.graph.node_map[("tenants", "0013_plans")].parents if node.key[0] == "tenants"
    ]
    apps: Any = executor.loader.project_state([parent.key for parent in parents]).apps
    user, cloud = apps.get_model("tenants", "User"), apps.get_model("tenants", "Cloud")
    cell = apps.get_model("tenants", "Cell").objects.create(name="c", apps_domain="apps.localhost")
    quotas = {"cpu_millis": 1000, "memory_mib": 1024, "storage_mib": 2048, "instances": 5}
    plan = apps.get_model("tenants", "Plan").objects.create(slug="household", name="Household", **quotas)
    for number, figures in enumerate(({}, {"instances_limit": 0, "memory_mib": 8192})):
        owner = user.objects.create(email=f"p{number}@example.org", handle=f"p{number}")
        cloud.objects.create(pk=f"cld{number}", owner=owner, cell=cell, plan=plan, namespace=f"fh-{number}", **figures)
