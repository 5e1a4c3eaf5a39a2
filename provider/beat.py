"""The Celery application of beat: the broker and the schedule, which names tasks and imports none.

Without Celery's Django fixup no model is loaded: beat never looks at one, and takes half the memory of a worker so.
"""

import os

from celery import Celery

import provider.pulse  # noqa: F401 - its signal handlers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")

app = Celery("freehold", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
