"""Shared: many who ask the same at about the same time get one answer.

100 pods of one Deployment fail together: their owner is looked up once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MOST_ENTRIES = 1024


class Shared(Generic[Key, Value]):
    """Answers by key, kept for `seconds` after they came. Failures are not kept.

    Whoever asks while the answer is being fetched waits for it; when the first to ask is
    cancelled, the fetch goes on for the others.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._entries: dict[Key, tuple[asyncio.Task[Value], float]] = {}

    async def get(self, key: Key, fetch: Callable[[], Awaitable[Value]]) -> Value:
        """The answer for `key`; raises what `fetch` raises."""
        entry = self._entries.get(key)
        if entry and (not entry[0].done() or self._clock() < entry[1]):
            return await asyncio.shield(entry[0])
        self._sweep()
        task = asyncio.ensure_future(self._run(key, fetch))
        self._entries[key] = (task, float("inf"))
        return await asyncio.shield(task)

    async def _run(self, key: Key, fetch: Callable[[], Awaitable[Value]]) -> Value:
        task = asyncio.current_task()
        try:
            value = await fetch()
        except BaseException:
            self._entries.pop(key, None)
            raise
        if task is not None and key in self._entries:
            self._entries[key] = (task, self._clock() + self._seconds)
        return value

    async def close(self) -> None:
        """End what is still being fetched."""
        tasks = [task for task, _ in self._entries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _sweep(self) -> None:
        now = self._clock()
        for key in [k for k, (task, until) in self._entries.items() if task.done() and until < now]:
            del self._entries[key]
        while len(self._entries) >= MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]
