"""Progress: wakes those who wait for an incident to get further, without asking the store often."""

import asyncio

POLL_SECONDS = 1.0  # another process may do the work; then nothing here is told of it


class Progress:
    """A counter that grows with each step of the flow, and a way to wait for it to grow."""

    def __init__(self) -> None:
        self._steps = 0
        self._moved = asyncio.Event()

    def mark(self) -> int:
        """Where things stand."""
        return self._steps

    def step(self) -> None:
        """Something got further."""
        self._steps += 1
        self._moved.set()
        self._moved = asyncio.Event()

    async def beyond(self, mark: int, *, seconds: float) -> None:
        """Wait until a step after `mark`, at most `seconds` and at most a poll interval."""
        if self._steps > mark:
            return
        moved = self._moved
        try:
            async with asyncio.timeout(min(seconds, POLL_SECONDS)):
                await moved.wait()
        except TimeoutError:
            return
