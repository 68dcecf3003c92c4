"""The pace of messages: one a second and channel, and silence for as long as the other side asks."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aegis_sink.notify.errors import NotifyUnavailable

# Slack counts arrivals, one a second (docs.slack.dev, "Rate limits"); the tenth is for a message
# that travels longer than the next one, as the first on a new connection does.
SECONDS_BETWEEN_MESSAGES = 1.1
LONGEST_WAIT_SECONDS = 30.0


class Pacer:
    """Lets one message a second and channel through. The clock is monotonic and in seconds."""

    def __init__(
        self,
        *,
        interval: float = SECONDS_BETWEEN_MESSAGES,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        self._free_at: dict[str, float] = {}
        self._left_at: dict[str, float] = {}
        self._held_until = clock()

    async def turn(self, channel: str = "") -> None:
        """Wait for the turn of a message to `channel`.

        Raises NotifyUnavailable instead of waiting longer than half a minute: the caller's job is
        durable and may do something else meanwhile.
        """
        now = self._clock()
        free_at = max(self._free_at.get(channel, now), self._held_until)
        wait = free_at - now
        if wait > LONGEST_WAIT_SECONDS:
            raise NotifyUnavailable(
                f"too many messages: the next one may go in {wait:.0f} s", retry_after=wait
            )
        # Taken before the wait, so that callers queue up instead of waking together.
        self._free_at[channel] = max(free_at, now) + self._interval
        while wait > 0:
            await self._sleep(wait)
            # Who woke late because the machine was busy does not go on the heels of the one before.
            wait = self._left_at.get(channel, now) + self._interval - self._clock()
        self._left_at[channel] = self._clock()
        held = self._held_until - self._clock()
        if held > 0:
            # Another message was told to wait while this one queued.
            raise NotifyUnavailable(f"asked to wait {held:.0f} s more", retry_after=held)

    def known_as(self, name: str, id: str) -> None:
        """A channel that was posted to by its name is the one with this id."""
        for times in (self._free_at, self._left_at):
            times[id] = max(times.get(name, 0.0), times.get(id, 0.0))

    def hold(self, seconds: float) -> None:
        """Let nothing through for so long: the other side said Retry-After."""
        self._held_until = max(self._held_until, self._clock() + seconds)
