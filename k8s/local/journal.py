"""The agent's own log: `key=value` lines on standard error."""

import logging

log = logging.getLogger("freehold.node")
