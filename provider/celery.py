"""The Celery application; tasks live in tenants.tasks and carry ids only."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")

app = Celery("freehold")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["tenants"])

import provider.pulse  # noqa: E402, F401 - its task and signal handlers, in the worker
