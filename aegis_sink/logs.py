"""Logging: to standard error, as text for people or JSON for clusters; secrets are cut out of both."""

import logging
import re
import sys
import time
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import quote

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
CUT_OUT = "[secret]"
SHORTEST_SECRET = 4  # cutting out shorter ones would leave no word whole

# What others post must not look like lines of ours, nor command the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

Redact = Callable[[str], str]


class TextLines(logging.Formatter):
    """For people: one line a record, local time, then the traceback when there is one."""

    def __init__(self, redact: Redact) -> None:
        super().__init__(TEXT, datefmt="%H:%M:%S")
        self._redact = redact

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line."""
        line = super().formatMessage(record)
        return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], line)

    def format(self, record: logging.LogRecord) -> str:
        """The line and the traceback, redacted: a log leaves the program."""
        return self._redact(super().format(record))


class JsonLines(JsonFormatter):
    """For clusters: one JSON object a record, UTC."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, redact: Redact) -> None:
        super().__init__(
            JSON,
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
        )
        self._redact = redact

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Redacts before quoting: a redaction must not break the JSON, nor quoting hide a secret."""
        return {
            key: self._redact(value) if isinstance(value, str) else value
            for key, value in super().process_log_record(log_data).items()
            if key != "color_message"  # uvicorn's second copy, for terminals
        }


def set_up(*, form: str, level: str, redact: Redact, secrets: Collection[str]) -> None:
    """Send all logs to standard error. `secrets` never appear in them, whatever `redact` knows."""
    cut = cutting(secrets)

    def clean(text: str) -> str:
        return redact(cut(text))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(clean) if form == "json" else TextLines(clean))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # Their information is every request; ours says what matters. uvicorn's access log would write
    # down tokens that stand in paths.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "alembic", "slack_sdk", "kubernetes", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def cutting(secrets: Collection[str]) -> Redact:
    """Takes these secrets out of a text, whatever they look like."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    longest_first = sorted((f for f in forms if len(f) >= SHORTEST_SECRET), key=len, reverse=True)
    if not longest_first:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    return lambda text: pattern.sub(CUT_OUT, text)
