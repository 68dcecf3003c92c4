"""Digests are told: what is due is posted once, what changed is edited."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial

from aegis_sink.flow.worker import back_off
from aegis_sink.model import Digest, DigestKind, Posted, State
from aegis_sink.notify.errors import (
    MessageFrozen,
    MessageGone,
    NotifyError,
    NotifyRefused,
    NotifyUnavailable,
)
from aegis_sink.notify.notifier import Notifier
from aegis_sink.store import digests, history, incidents, jobs
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.digests import DigestRoot
from aegis_sink.store.errors import StoreError
from aegis_sink.triage.storm import WINDOW, Traffic

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
RETRY_SECONDS = 2.0
RETRY_ATTEMPTS = 5  # of the worker's back-off: half a minute or so
HINTS_WINDOW = timedelta(days=2)
NOT_ASKED = "many problems at once: the model was not asked"


_WITH_OTHERS = {
    DigestKind.HINTS: "a hint waits for the digest of the day",
    DigestKind.STORM: "many problems began at once",
}


@dataclass(frozen=True, slots=True)
class Digests:
    """Gathers incidents into digests and tells these. `at` is the time of day, UTC, for hints."""

    database: Database
    notifier: Notifier
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    new_id: Callable[[], str]
    wake: Callable[[], None]
    at: time
    storm_wait: timedelta
    repeat_interval: timedelta
    """After this what was told in a storm is looked at again."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> None:
        """An incident may have begun or ended."""
        self._changed.set()

    def join(
        self, connection: Connection, kind: DigestKind, incident_id: str, channel: str
    ) -> None:
        """Have an incident told with others of its channel."""
        now = self.clock()
        hints = kind is DigestKind.HINTS
        digests.join(
            connection,
            kind,
            incident_id,
            channel=channel,
            fresh_id=self.new_id(),
            now=now,
            due_at=self._next_day(now) if hints else now + self.storm_wait,
            since=now - (HINTS_WINDOW if hints else WINDOW),
            editable=self.notifier.can_edit,
        )
        what = f"told in a digest of {kind}"
        history.note_once(connection, incident_id, now, what, _WITH_OTHERS[kind])
        if not hints:
            spare_the_model(connection, incident_id)

    async def run(self) -> None:
        """Tell what is due, until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self.tell_due()
                wait = await self._until_next()
            except StoreError as error:
                log.error("digests cannot reach the store, trying again: %s", error)
                wait = RETRY_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _until_next(self) -> float:
        due_at = await self.database.read(digests.next_due)
        if due_at is None:
            return LOOK_SECONDS
        return min(max((due_at - self.clock()).total_seconds(), 0.0), LOOK_SECONDS)

    async def tell_due(self) -> None:
        """Post or edit each digest that is due now."""
        for root in await self.database.read(lambda c: digests.due(c, self.clock())):
            try:
                await self._tell(root)
            except NotifyError as error:
                wait = back_off(RETRY_ATTEMPTS, jitter=self.jitter())
                if isinstance(error, NotifyUnavailable) and error.retry_after is not None:
                    wait = max(wait, timedelta(seconds=error.retry_after))
                log.warning("a digest is not told yet: %s", error)
                why = str(error) if isinstance(error, NotifyRefused) else ""
                await self.database.write(partial(self._again, root.id, wait, why))

    def _again(self, digest_id: str, wait: timedelta, why: str, connection: Connection) -> None:
        now = self.clock()
        digests.postpone(connection, digest_id, now + wait)
        if why:
            _note(connection, digests.get(connection, digest_id), now, "not told", why)

    async def _tell(self, root: DigestRoot) -> None:
        nonce = root.nonce
        if nonce is None:
            digest = await self.database.read(lambda c: digests.get(c, root.id))
            if all(line.state is State.RESOLVED for line in digest.lines):
                await self.database.write(lambda c: digests.drop(c, root.id))
                return
            nonce, now = self.new_id(), self.clock()
            await self.database.write(
                partial(digests.intend, digest_id=root.id, nonce=nonce, now=now)
            )
        # Read after the intent: where nothing can be edited, nobody joins from then on, and
        # whoever is a member stands in the message.
        read_at = self.clock()
        digest = await self.database.read(lambda c: digests.get(c, root.id))
        if root.told_at is None:
            posted = await self._post(root, nonce, digest)
        elif self.notifier.can_edit:
            posted = Posted(root.channel, root.ts)
            try:
                await self.notifier.edit_digest(digest, posted)
            except (MessageFrozen, MessageGone) as error:
                log.warning("a digest: %s; not posted again", error)
        else:
            await self.database.write(lambda c: digests.left_as_it_is(c, root.id, read_at))
            return
        await self.database.write(lambda c: self._told(c, digest, posted, read_at))
        self.wake()

    async def _post(self, root: DigestRoot, nonce: str, digest: Digest) -> Posted:
        """Found where a crash left it unknown, else posted: at most once."""
        if root.intended_at is not None:
            found = await self.notifier.find(
                nonce, since=root.intended_at, channel=root.intended_channel
            )
            if found is not None:
                return found
        return await self.notifier.post_digest(digest, nonce=nonce, channel=root.intended_channel)

    def _told(
        self, connection: Connection, digest: Digest, posted: Posted, read_at: datetime
    ) -> None:
        """What changed after `read_at`, while it was on its way, is told by the next edit."""
        now = self.clock()
        told = digests.told(connection, digest, posted, read_at=read_at, now=now)
        if posted.refusal:
            _note(connection, digest, now, "told as plain text", posted.refusal)
        if digest.kind is DigestKind.STORM:
            again = now + self.repeat_interval
            jobs.enqueue_many(connection, dict.fromkeys(((one, jobs.TELL) for one in told), again))

    def _next_day(self, now: datetime) -> datetime:
        today = datetime.combine(now.date(), self.at, now.tzinfo)
        return today if now < today else today + timedelta(days=1)


def _note(connection: Connection, digest: Digest, now: datetime, what: str, why: str) -> None:
    """Part of the story of each incident in it."""
    for line in digest.lines:
        history.note_once(connection, line.id, now, what, why)


def spare_the_model(connection: Connection, incident_id: str) -> None:
    """It is told with many others, and nobody is asked about it."""
    if incidents.end_question(connection, incident_id, NOT_ASKED):
        jobs.drop(connection, incident_id, jobs.DIAGNOSE)


def traffic(connection: Connection, now: datetime) -> Traffic:
    """What happened within the window of a storm."""
    return Traffic(*digests.traffic(connection, now - WINDOW))
