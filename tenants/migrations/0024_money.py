"""Rows that name something at the payment provider say of which of its two modes that is.

Those that are there belong to the mode of the key that this runs with; without one, to the mode for trying.
"""

from django.conf import settings
from django.db import migrations, models


def of_this_mode(apps, schema_editor):
    if settings.STRIPE_LIVE:
        for name in ("BillingAccount", "EventCursor", "PlanPrice"):
            apps.get_model("tenants", name).objects.update(livemode=True)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0023_alerts"),
    ]

    operations = [
        migrations.AddField(model_name="billingaccount", name="livemode", field=models.BooleanField(default=False)),
        migrations.AddField(
            model_name="eventcursor", name="livemode", field=models.BooleanField(default=False, unique=True)
        ),
        migrations.AddField(model_name="planprice", name="livemode", field=models.BooleanField(default=False)),
        migrations.AddField(
            model_name="planprice", name="tax_behavior", field=models.CharField(default="unset", max_length=10)
        ),
        migrations.AddField(
            model_name="billingaccount", name="trial_told", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="billingaccount", name="price", field=models.CharField(blank=True, max_length=80)
        ),
        migrations.CreateModel(
            name="PaymentEventCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(blank=True, max_length=80)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("heard", "Heard"),
                            ("known", "Known"),
                            ("fetched", "Fetched"),
                            ("wrong_mode", "Wrong Mode"),
                            ("refused", "Refused"),
                        ],
                        max_length=10,
                    ),
                ),
                ("count", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("kind", "outcome"), name="payment_event_count_once")],
            },
        ),
        migrations.RunPython(of_this_mode, migrations.RunPython.noop, elidable=True),
    ]
