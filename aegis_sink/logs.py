"""Logging: to standard error, as text for people or JSON for clusters; secrets are cut out of both."""

import logging
import sys
from collections.abc import Callable

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"


class Redacting(logging.Formatter):
    """Redacts what another formatter wrote, with its traceback: a log line leaves the program."""

    def __init__(self, inner: logging.Formatter, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return self._redact(self._inner.format(record))


def set_up(*, form: str, level: str, redact: Callable[[str], str]) -> None:
    """Send all logs to standard error."""
    inner: logging.Formatter
    if form == "json":
        inner = JsonFormatter(
            JSON,
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
        )
    else:
        inner = logging.Formatter(TEXT, datefmt="%H:%M:%S")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting(inner, redact))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # Their information is every request; ours says what matters. uvicorn's access log would write
    # down tokens that stand in paths.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "alembic", "slack_sdk", "kubernetes", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
