"""Where pressed buttons arrive, over HTTP or Socket Mode: stored, then acknowledged."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from aegis_sink.notify.actions import Action, NotAnAction, action_of
from aegis_sink.notify.answers import PrivateAnswers
from aegis_sink.notify.errors import NotifyError

# Slack shows the person an error when no answer comes within three seconds.
ANSWER_SECONDS = 2.5

UNKNOWN = "AEGIS Sink does not know this button: the message may be from another version."
NOT_STORED = "That did not work: AEGIS Sink could not store it. Try again in a minute."

log = logging.getLogger(__name__)

Keep = Callable[[Action], Awaitable[str]]
"""Makes the press durable; what is to be said to the person at once, "" for nothing. Raises when
it could not be stored."""


class ActionDesk:
    """Takes payloads and has them kept. What follows from a press is not done here."""

    def __init__(self, keep: Keep, answers: PrivateAnswers) -> None:
        self._keep = keep
        self._answers = answers
        self._running: set[asyncio.Task[object]] = set()

    async def take(self, payload: Mapping[str, object]) -> bool:
        """Whether Slack may hear that it arrived: it is on disk, or there is nothing to keep.

        False when it is not stored within 2.5 s; it may be a moment later.
        """
        task = self._start(self._work(payload))
        done, _ = await asyncio.wait({task}, timeout=ANSWER_SECONDS)
        return bool(done) and task.result()

    async def close(self) -> None:
        """Wait for work under way."""
        while self._running:
            await asyncio.wait(self._running)

    def _start(self, work: Awaitable[bool]) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _work(self, payload: Mapping[str, object]) -> bool:
        try:
            action = action_of(payload)
        except NotAnAction as unknown:
            log.warning("a Slack interaction was not understood: %s", unknown)
            self._start(self._tell(unknown.response_url, UNKNOWN))
            return True
        try:
            words = await self._keep(action)
        except Exception:
            # Whatever went wrong, the person must hear that nothing happened.
            log.exception("the button %s of incident %s failed", action.kind, action.incident_id)
            self._start(self._tell(action.response_url, NOT_STORED))
            return False
        self._start(self._tell(action.response_url, words))
        return True

    async def _tell(self, response_url: str, text: str) -> bool:
        if not response_url or not text:
            return False
        try:
            await self._answers.tell(response_url, text)
        except NotifyError as error:
            log.warning("a person could not be told %r: %s", text, error)
            return False
        return True
