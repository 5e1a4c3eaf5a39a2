from django.db import migrations, models


class Migration(migrations.Migration):
    """Keys of people who have no account yet. Kept answers live for a day, so old ones are simply dropped."""

    dependencies = [("tenants", "0002_events_are_append_only")]

    operations = [
        migrations.RunSQL("DELETE FROM tenants_idempotencyrecord", migrations.RunSQL.noop),
        migrations.RemoveConstraint("idempotencyrecord", "idempotency_key_once"),
        migrations.RemoveField("idempotencyrecord", "user"),
        migrations.AddField(
            "idempotencyrecord", "scope", models.CharField(default="", max_length=80), preserve_default=False
        ),
        migrations.AddConstraint(
            "idempotencyrecord", models.UniqueConstraint(fields=("scope", "key"), name="idempotency_key_once")
        ),
    ]
