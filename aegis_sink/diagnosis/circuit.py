"""A circuit breaker: after some failures nothing is tried for a while, then one probe is."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aegis_sink.diagnosis.errors import (
    AnswerInvalid,
    CircuitOpen,
    ModelRefused,
    ModelUnavailable,
)
from aegis_sink.unreached import SILENT

FAILURES_TO_OPEN = 3
REST_SECONDS = 60.0


class Circuit:
    """Closed: all pass. Open: none pass until the rest is over. Half open: one probe passes.

    Only ModelUnavailable and a passed deadline count as failures: a server that refuses or answers
    nonsense is there.
    """

    def __init__(
        self,
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        rest_seconds: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures_to_open
        self._rest = rest_seconds
        self._clock = clock
        self._failures = 0
        self._why = ""
        self._opened_at = 0.0
        self._probing = False

    @property
    def state(self) -> str:
        """ "closed", "open" or "half-open"."""
        if self._failures < self._limit:
            return "closed"
        return "half-open" if self._clock() - self._opened_at >= self._rest else "open"

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Pass, and report how it went. Raises CircuitOpen when nothing may pass."""
        if self.state == "open" or (self.state == "half-open" and self._probing):
            # It stays in a message for hours: the reason, and nothing that is true for a moment.
            raise CircuitOpen(
                f"{self._why}; it failed {self._failures} times, the next try is after a rest"
            )
        probe = self._probing = self.state == "half-open"
        try:
            yield
        except (ModelUnavailable, asyncio.CancelledError) as error:
            # The overall deadline cancels: a server that drips on until then has failed too.
            self._why = str(error) or SILENT
            self._failures += 1
            self._opened_at = self._clock()
            raise
        except (ModelRefused, AnswerInvalid):
            self._failures = 0
            raise
        else:
            self._failures = 0
        finally:
            if probe:
                self._probing = False
