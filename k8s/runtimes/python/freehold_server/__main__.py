"""Load `module:name` from the working directory and serve it, whichever of ASGI and WSGI it speaks, on $PORT.

Imports only the server that is needed, which is a good part of the start-up time.
"""

import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

_THREADS = 16
_GRACE_S = 8


def main() -> int:
    target = sys.argv[1] if len(sys.argv) > 1 else "main:app"
    port = int(os.environ.get("PORT", "8080"))
    app = load(target)
    if app is None:
        return 1
    interface = interface_of(app)
    if interface == "wsgi":
        serve_wsgi(app, port)
    else:
        serve_asgi(app, port, interface)
    return 0


def load(target: str) -> Any:
    """The application, or None after saying why not. An exception of the app's own code passes through."""
    module_name, _, attribute = target.partition(":")
    app: Any = importlib.import_module(module_name)
    for part in (attribute or "app").split("."):
        app = getattr(app, part, None)
    if not callable(app):
        sys.stderr.write(f"{module_name} has no {attribute or 'app'} that can be called\n")
        return None
    return app


def interface_of(app: Callable[..., Any]) -> Literal["asgi3", "asgi2", "wsgi"]:
    """Coroutine callables are ASGI 3; else the number of required arguments decides, WSGI taking two."""
    call = type(app).__call__ if not inspect.isroutine(app) and not inspect.isclass(app) else app
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call):
        return "asgi3"
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return "wsgi"
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [item for item in parameters if item.kind in positional and item.default is inspect.Parameter.empty]
    if len(required) == 1:
        return "asgi2"
    return "asgi3" if len(required) == 3 else "wsgi"


def serve_asgi(app: Any, port: int, interface: Literal["asgi3", "asgi2"]) -> None:
    import uvicorn

    # The address only says where to listen inside the sandbox; who reaches it is decided outside.
    host = "0.0.0.0"  # noqa: S104
    uvicorn.run(
        app,
        host=host,
        port=port,
        interface=interface,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_S,
    )


def serve_wsgi(app: Any, port: int) -> None:
    import waitress

    signal.signal(signal.SIGTERM, _leave)
    waitress.serve(
        app, listen=f"0.0.0.0:{port}", threads=_THREADS, ident=None, clear_untrusted_proxy_headers=False, _quiet=True
    )


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)  # the server catches it, lets running requests end, and returns


if __name__ == "__main__":
    sys.exit(main())
