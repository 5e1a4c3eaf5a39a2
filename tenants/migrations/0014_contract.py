from django.db import migrations, models


class Migration(migrations.Migration):
    """What is installed already has run: nothing of it is to be migrated."""

    dependencies = [("tenants", "0013_plans")]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="migration",
            field=models.CharField(blank=True, default="", max_length=40),
            preserve_default=False,
        ),
    ]
