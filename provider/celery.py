"""The Celery application; tasks live in tenants.tasks and tenants.followups and carry ids only."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")

app = Celery("freehold")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["tenants"])
app.autodiscover_tasks(["tenants"], related_name="followups")
app.autodiscover_tasks(["provider.billing"])

import provider.pulse  # noqa: E402, F401 - its task and signal handlers, in the worker
