"""Settings of apps become encrypted. Going back writes them in the clear again."""

from typing import Any

from django.db import migrations, models

import tenants.models.instances
import tenants.models.sealed


def seal(apps: Any, _schema_editor: Any) -> None:
    for instance in apps.get_model("tenants", "Instance").objects.exclude(plain_config={}).iterator():
        instance.config = instance.plain_config
        instance.save(update_fields=["config"])


def unseal(apps: Any, _schema_editor: Any) -> None:
    for instance in apps.get_model("tenants", "Instance").objects.iterator():
        instance.plain_config = instance.config
        instance.save(update_fields=["plain_config"])


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_publishing")]

    operations = [
        migrations.RenameField("instance", "config", "plain_config"),
        migrations.AddField(
            "instance",
            "config",
            tenants.models.sealed.SealedField(blank=True, default=tenants.models.instances.no_config),
        ),
        migrations.RunPython(seal, unseal),
        # With a default, so that going back can make the column again.
        migrations.AlterField("instance", "plain_config", models.JSONField(default=dict)),
        migrations.RemoveField("instance", "plain_config"),
    ]
