"""How often strangers may try. By the client's address, which the gate sets; without the cache everybody may."""

import logging

import redis
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

log = logging.getLogger(__name__)


class _Polite(SimpleRateThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except redis.RedisError as error:
            log.warning("throttle_skipped scope=%s error=%s", self.scope, error)
            return True

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return None
        return f"throttle:{self.scope}:{self.get_ident(request)}"


class SignUps(_Polite):
    """Per address."""

    scope = "accounts"
    rate = "120/min"


class Transfers(_Polite):
    """Per address: each reads or writes a whole collection."""

    scope = "transfers"
    rate = "120/min"


class SignIns(_Polite):
    """Per address."""

    scope = "tokens"
    rate = "240/min"
