"""From the inbox to incidents: what was written down before the answer is made into incidents.

It waits for a quiet moment: while the operator posts one finding after the other, acknowledging
comes first. Whoever reads incidents settles the inbox before, so that nobody sees it lag.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from aegis_sink.store import quarantine
from aegis_sink.store.accept import Arrival, accept
from aegis_sink.store.database import Bulk, Connection, Database, refused
from aegis_sink.store.errors import StoreError
from aegis_sink.store.inbox import Inbox, Noted, Post, Waiting, count

log = logging.getLogger(__name__)

QUIET_SECONDS = 0.02
LATEST_SECONDS = 5.0  # half of the time a first message waits anyway (AEGIS_GROUP_WAIT)
CHUNK = 32
BUSY_CHUNK = 8  # short enough that a post behind it hardly waits
BACKLOG = 20_000
SHARE = 9  # while posts come, nine tenths of the time are theirs
RETRY_SECONDS = 1.0


@dataclass(slots=True)
class Sorting:
    """Notes posts and makes incidents of them. `arrival` reads a body again, with its ids."""

    database: Database
    arrival: Callable[[Waiting], Arrival]
    sorted: Callable[[], None]
    """Told whenever incidents were made: the worker's wake."""
    new_id: Callable[[], str]
    _inbox: Inbox = field(default_factory=Inbox)
    _note: Bulk[Noted] = field(init=False)
    _posts: int = 0
    _left: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._note = Bulk(self._inbox.note)
        self.database.when_undone(self._inbox.forget)

    async def note(self, post: Post) -> Noted:
        """Write a post down; it is on disk when this returns."""
        # Counted when it comes: a door whose posts all wait for the disk is not a quiet one.
        self._posts += 1
        noted = await self.database.write_one_of(self._note, post)
        self._left += 1
        self._arrived.set()
        return noted

    @property
    def posts(self) -> int:
        """How many posts there were since the start: two looks tell whether the door is busy."""
        return self._posts

    def drain(self, connection: Connection, *, limit: int | None = None) -> int:
        """Make incidents of what waits, at most `limit` bodies; how many posts that were."""
        bodies = posts = 0
        while rows := self._inbox.waiting(connection, limit=min(CHUNK, limit or CHUNK)):
            self._make(connection, rows)
            self._inbox.done(connection, up_to=rows[-1].id)
            bodies += len(rows)
            posts += sum(row.times for row in rows)
            if limit is not None and bodies >= limit:
                break
        return posts

    def _make(self, connection: Connection, rows: Sequence[Waiting]) -> None:
        try:
            with connection.begin_nested():
                accept(connection, [self.arrival(row) for row in rows])
        except Exception as error:
            if refused(error):
                raise  # nothing is wrong with the bodies: they are tried again later
            if len(rows) > 1:
                for row in rows:
                    self._make(connection, [row])
                return
            log.exception("a body of the inbox could not be made into an incident: quarantined")
            quarantine.put(
                connection,
                id=self.new_id(),  # a row's own would come again after a restart
                at=rows[0].received_at,
                door="inbox",
                reason=f"no incident could be made of it: {type(error).__name__}, see the log",
                body=rows[0].body,
            )

    async def settle(self) -> None:
        """Make incidents of all that waits now; posts that come meanwhile go in between."""
        wanted = self._left
        while wanted > 0 and self._left > 0:
            made = await self.database.write(partial(self.drain, limit=CHUNK))
            self.made(made)
            if made == 0:  # somebody else made them, and tells of it in a moment
                return
            wanted -= made

    def made(self, posts: int) -> None:
        """A write that drained the inbox is on disk: so many posts became incidents."""
        # May go below zero for a moment: who posted may hear of it after who drained.
        self._left -= posts
        if posts:
            self.sorted()

    async def start(self) -> None:
        """Take up what an earlier run was told and could not finish."""
        self._left = await self.database.read(count)
        await self.settle()

    async def run(self) -> None:
        """Make incidents whenever the door is quiet, or bodies have waited long enough."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._quiet()
            loop, before = asyncio.get_running_loop(), self._posts
            while True:
                chunk = CHUNK if self._posts == before else BUSY_CHUNK
                before, started = self._posts, loop.time()
                try:
                    made = await self.database.write(partial(self.drain, limit=chunk))
                except StoreError as error:
                    log.error("posts wait in the inbox, trying again: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                except Exception:  # a task that ends would make no incidents any more
                    log.exception("posts wait in the inbox, trying again")
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if made == 0:
                    break  # it is empty; whatever is posted from here on sets `_arrived`
                self.made(made)
                if self._posts != before and self._left < BACKLOG:
                    await asyncio.sleep(max(QUIET_SECONDS, SHARE * (loop.time() - started)))

    async def _quiet(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() + LATEST_SECONDS
        while loop.time() < latest:
            before = self._posts
            await asyncio.sleep(QUIET_SECONDS)
            if self._posts == before:
                return
