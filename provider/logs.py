"""How a line of the log is written: `key=value`, or one JSON object, for whatever collects them in a cluster.

Messages are `what_happened key=value …`; the last value may have spaces. Ids of what is being worked on (tenants.logs)
are in every line, also in those of libraries.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from tenants import logs

_PAIR = re.compile(r"(?<!\S)([a-z_]+)=(.*?)(?=\s[a-z_]+=|$)", re.DOTALL)
_EVENT = re.compile(r"[a-z][a-z0-9_]*(?=\s|$)")


class Lines(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        missing = [f"{name}={value}" for name, value in logs.ids().items() if f" {name}=" not in line]
        return " ".join([line, *missing])


class Json(logging.Formatter):
    """at (RFC 3339, UTC), level, logger, message; what the message says as key=value, and `event`, its first word."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        event, said = _EVENT.match(message), dict(_PAIR.findall(message))
        told: dict[str, Any] = dict(logs.ids())
        if event and (said or event.end() == len(message)):
            told |= said | {"event": event[0]}
        told |= {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)
