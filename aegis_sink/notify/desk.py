"""Where pressed buttons arrive, over HTTP or Socket Mode, and are answered in private."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from aegis_sink.notify.actions import Action, NotAnAction, actions_of

# Slack shows the person an error when no answer comes within three seconds.
ANSWER_SECONDS = 2.5
RESPONSE_TIMEOUT_SECONDS = 10.0

log = logging.getLogger(__name__)

Handler = Callable[[Action], Awaitable[str]]
"""Makes the action durable and says in one line, for the person only, what became of it; "" for
nothing. A stale action (the incident is gone, is resolved already) is such a line, no error."""


class ActionDesk:
    """Takes payloads, checks who pressed, runs the handler, answers by `response_url`.

    `allowed_users` are Slack user ids; empty means everybody who sees the channel.
    """

    def __init__(self, handler: Handler, *, allowed_users: frozenset[str] = frozenset()) -> None:
        self._handler = handler
        self._allowed = allowed_users
        self._running: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def take(self, payload: Mapping[str, object]) -> None:
        """Work on a payload; returns when it is done, or after 2.5 s while the work goes on.

        The caller then answers Slack with an empty 200 or an acknowledgement, whatever happened.
        """
        task = asyncio.create_task(self._work(payload))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait({task}, timeout=ANSWER_SECONDS)

    async def close(self) -> None:
        """Wait for work under way, then let go of connections."""
        if self._running:
            await asyncio.wait(self._running, timeout=RESPONSE_TIMEOUT_SECONDS)
        if self._session is not None:
            await self._session.close()

    async def _work(self, payload: Mapping[str, object]) -> None:
        try:
            actions = actions_of(payload)
        except NotAnAction as unknown:
            log.warning("a Slack interaction was not understood: %s", unknown)
            await self._tell(
                unknown.response_url,
                "AEGIS Sink does not know this button: the message may be from another version.",
            )
            return
        for action in actions:
            await self._tell(action.response_url, await self._handle(action))

    async def _handle(self, action: Action) -> str:
        if self._allowed and action.user_id not in self._allowed:
            log.warning("%s may not press %s", action.user_id, action.kind)
            return "You are not on the list of people who may do this (AEGIS_SLACK_ALLOWED_USERS)."
        try:
            return await self._handler(action)
        except Exception:
            # Whatever went wrong in the handler, the person must hear that nothing happened.
            log.exception("the button %s of incident %s failed", action.kind, action.incident_id)
            return "That did not work: AEGIS Sink could not store it. Try again in a minute."

    async def _tell(self, response_url: str, text: str) -> None:
        if not response_url or not text:
            return
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=RESPONSE_TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        answer = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            async with self._session.post(
                response_url, json=answer, allow_redirects=False
            ) as response:
                if response.status != 200:
                    log.warning("Slack did not take the answer to a button: %s", response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            # The URL is a secret for half an hour: only the kind of error is logged.
            log.warning("Slack could not be told the answer: %s", type(error).__name__)
