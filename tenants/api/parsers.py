"""Request bodies from strangers."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.utils.json import strict_constant

FORM_OVERHEAD_BYTES = 64 * 1024


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request is too large."
    default_code = "too_large"


def check_length(request: HttpRequest, limit_bytes: int, what: str) -> None:
    """Before a byte of an upload is read. Raises TooLarge."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit_bytes + FORM_OVERHEAD_BYTES:
        raise TooLarge(f"{what} has at most {limit_bytes // 1024**2} MiB.")


class JSONParser(BaseParser):
    """JSON of bounded size and depth, in real UTF-8: nothing that a database or another program would choke on."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge
        try:
            data = json.loads(body.decode(), parse_constant=strict_constant)
            # Half a surrogate pair can be written in JSON, but is no text.
            json.dumps(data, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise ParseError("The body is not valid JSON.") from error
        return data
