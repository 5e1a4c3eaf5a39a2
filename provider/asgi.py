"""What the live process serves: streams, through Django, and the gate's decisions and metrics, apart from it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provider.settings")

from django.core.asgi import get_asgi_application

_django = get_asgi_application()

# Models can be imported only now.
from provider import metrics  # noqa: E402
from provider.gate import decide  # noqa: E402
from provider.gate.decide import Receive, Scope, Send  # noqa: E402


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http" and scope["path"] in decide.PATHS:
        await metrics.counted(decide.endpoint, scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == metrics.PATH:
        await metrics.endpoint(send)
    else:
        await _django(scope, receive, send)
