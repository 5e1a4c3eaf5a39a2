"""HTTP to names under `localhost`, which browsers and curl resolve to this machine and glibc does not."""

import ssl

import httpx


class LocalhostTransport(httpx.HTTPTransport):
    """Connects to 127.0.0.1 for `localhost` and every name under it; Host header and TLS name stay as they were."""

    def __init__(self, verify: ssl.SSLContext | bool = True) -> None:
        super().__init__(verify=verify)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host.rstrip(".").lower()
        if host == "localhost" or host.endswith(".localhost"):
            request.extensions = {**request.extensions, "sni_hostname": request.url.host}
            request.url = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(request)
