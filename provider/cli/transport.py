"""HTTP to names under `localhost`, which browsers and curl resolve to this machine and glibc does not."""

import ssl

import httpx


class LocalhostTransport(httpx.HTTPTransport):
    """Connects to 127.0.0.1 for `localhost` and every name under it; Host header and TLS name stay as they were."""

    def __init__(self, verify: ssl.SSLContext | bool = True) -> None:
        super().__init__(verify=verify)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host.rstrip(".").lower()
        if host != "localhost" and not host.endswith(".localhost"):
            return super().handle_request(request)
        # A request of its own: the caller's keeps the name, to which cookies and redirects belong.
        here = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1"),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return super().handle_request(here)
