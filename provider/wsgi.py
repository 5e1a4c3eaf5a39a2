"""What the web process serves: the console and the REST API."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
