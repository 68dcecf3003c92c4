"""The reconciler: what the cluster's Results say is what the store holds.

Its input is level-triggered: each list is compared with what was last seen, so that a lost post, a
cut watch or a stop of this program loses nothing, and a Result that says the same is not told again.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aegis_sink.cluster.results import (
    Began,
    Change,
    Changed,
    Complete,
    Hindered,
    Listed,
    News,
    Object,
    Results,
    Watched,
)
from aegis_sink.dialects.errors import DialectError
from aegis_sink.dialects.table import read_document
from aegis_sink.flow.door import sighting
from aegis_sink.flow.resolving import HIDDEN_LIMIT
from aegis_sink.model import Finding
from aegis_sink.store import endings, mirror, results
from aegis_sink.store.accept import Arrival
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.endings import Held
from aegis_sink.store.errors import StoreError
from aegis_sink.store.mirror import Mirrored, Place
from aegis_sink.store.results import Seen, Taken

log = logging.getLogger(__name__)

DOOR = "reconciler"
DIALECT = "result"
BATCH = 200
"""Results in one transaction: some tens of milliseconds, in which posts wait for the disk."""
AT_ONCE = 20
"""Results that are read before others get their turn."""
RETRY_SECONDS = 2.0
LIST_GRACE = timedelta(minutes=5)
"""How long the next list may be on its way: with very many Results it takes a while."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one list held against what was known: Results of `new` problems, of `changed` text,
    `known` already, and `gone` since the last look. `unreadable` could not be understood."""

    new: int = 0
    changed: int = 0
    known: int = 0
    gone: int = 0
    unreadable: int = 0


class NotListed(Exception):
    """The Results could not be listed; the text says why and what would help."""


@dataclass(slots=True)
class Reconciler:
    """Takes Results in, and notices when they go."""

    database: Database
    results: Results
    redact: Callable[[str], str]
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    wake: Callable[[], None]
    cluster: str
    hold: timedelta
    leads: Callable[[], bool] = lambda: True
    """Whether what is read may still be taken in: no other replica can read."""
    listed_at: datetime | None = None
    """When the last whole list was taken in."""
    hindered: str = ""
    """Why Results are not read at the moment, or not watched."""
    unwatched: bool = False
    """They are listed again and again, since that is all that works."""
    held: tuple[Held, ...] = ()
    _mirror: dict[Place, Mirrored] = field(default_factory=dict)
    _listed: set[Place] = field(default_factory=set)
    _unreadable: dict[Place, str] = field(default_factory=dict)
    _began_at: datetime | None = None
    _counts: dict[str, int] = field(default_factory=dict)
    _asked: list[asyncio.Future[Report]] = field(default_factory=list)
    _due: list[asyncio.Future[Report]] = field(default_factory=list)
    """Who asked before this list began."""

    @property
    def seen(self) -> int:
        """How many Results there are."""
        return len(self._mirror)

    @property
    def reads(self) -> bool:
        """Whether what is known of the Results is what they say now."""
        return self._listed_lately and (self.unwatched or not self.hindered)

    @property
    def _listed_lately(self) -> bool:
        if self.listed_at is None:
            return False
        due = self.listed_at + timedelta(seconds=self.results.pace.longest_resync)
        return self.clock() < due + LIST_GRACE

    async def run(self) -> None:
        """Follow the Results as long as this replica `leads`."""
        try:
            while True:
                try:
                    async with aclosing(self.results.follow()) as stream:
                        async for news in stream:
                            if not self.leads():
                                return
                            await self._take(news)
                except StoreError as error:
                    # Nothing is lost: it begins with a list again.
                    log.error("Results wait, the store cannot be written: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._disappoint("another replica reads the Results now, or this one stops")

    async def once(self) -> Report:
        """Have a list taken now, by whoever runs; NotListed when that cannot be."""
        asked: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self.results.list_now()
        return await asked

    async def look(self) -> Report:
        """Take one list in and stop. NotListed when that cannot be; StoreError."""
        asked: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        async with aclosing(self.results.follow()) as stream:
            async for news in stream:
                await self._take(news)
                if asked.done():
                    break
        return asked.result()

    async def _take(self, news: News) -> None:
        match news:
            case Began():
                self._began_at = self.clock()
                self._listed, self._counts = set(), {}
                self._due, self._asked = [*self._due, *self._asked], []
                self._mirror = await self.database.read(lambda c: mirror.read(c, self.cluster))
                self.held = await self.database.read(lambda c: endings.held(c, self.cluster))
            case Listed(objects):
                await self._present(objects)
            case Complete():
                await self._complete()
            case Changed(changes):
                await self._changed(changes)
            case Watched():
                self._read_again()
            case Hindered():
                self._hinder(news)

    async def _present(self, objects: Sequence[Object]) -> None:
        """Take in those that are new or say something else than before."""
        for start in range(0, len(objects), BATCH):
            seen: list[Seen] = []
            for number, one in enumerate(objects[start : start + BATCH], 1):
                if taken := self._read(one):
                    seen.append(taken)
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)
            await self._store(seen)

    def _read(self, one: Object) -> Seen | None:
        """A Result as the store takes it; None when it says what it said, or nothing readable."""
        place, version = _place(one)
        self._listed.add(place)
        if self._unreadable.get(place) == version:
            self._count("unreadable")
            return None
        try:
            # Through the schema: a field of another type than the CRD gives it stops no other Result.
            [finding] = read_document(one, cluster=self.cluster).findings
        except DialectError as error:
            log.warning("Result %s/%s cannot be understood: %s", *place, error)
            self._unreadable[place] = version
            self._count("unreadable")
            return None
        self._unreadable.pop(place, None)
        result = _mirrored(finding, self.cluster)
        if result == self._mirror.get(place):
            self._count("known")
            return None
        now = self.clock()
        arrival = Arrival(
            delivery_id=self.new_id(),
            received_at=now,
            door=DOOR,
            dialect=DIALECT,
            body=json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "replace"
            ),
            sightings=(sighting(finding, redact=self.redact, now=now, incident_id=self.new_id()),),
            hold=self.hold,
        )
        return Seen(result, arrival)

    async def _store(self, seen: list[Seen]) -> None:
        if not seen:
            return
        now = self.clock()
        here = {(one.result.namespace, one.result.k8sgpt) for one in seen}
        back = [held for held in self.held if (held.namespace, held.k8sgpt) in here]
        before = self._mirror

        def write(connection: Connection) -> tuple[Taken, tuple[Held, ...]]:
            taken = results.take_in(connection, seen, before, now=now, hold=self.hold)
            for one in back:
                endings.release(connection, self.cluster, one, now=now, hold=self.hold)
            # What was held may be shown again by a CR of another name.
            return taken, endings.held(connection, self.cluster) if self.held else ()

        taken, self.held = await self.database.write(write)
        before.update((one.result.place, one.result) for one in seen)
        for name in ("new", "known", "changed"):
            self._count(name, getattr(taken, name))
        self.wake()

    async def _lose(self, lost: Sequence[Mirrored]) -> None:
        for start in range(0, len(lost), BATCH):
            batch, now = lost[start : start + BATCH], self.clock()

            def write(
                connection: Connection, batch: Sequence[Mirrored] = batch, now: datetime = now
            ) -> tuple[Held, ...]:
                endings.lose(connection, batch, now=now, hold=self.hold)
                return endings.held(connection, self.cluster)

            before, self.held = self.held, await self.database.write(write)
            for held in self.held:
                if held not in before:
                    log.warning(
                        "all Results of K8sGPT CR %s in namespace %s vanished at once: "
                        "%d incidents are held open",
                        held.k8sgpt,
                        held.namespace,
                        held.incidents,
                    )
            for one in batch:
                self._mirror.pop(one.place, None)
            self._count("gone", len(batch))
            self.wake()

    async def _complete(self) -> None:
        """The list is whole: what it does not hold is gone."""
        await self._lose(
            [
                one
                for place, one in self._mirror.items()
                if place not in self._listed and self.results.namespace in ("", place[0])
            ]
        )
        began, now = self._began_at, self.clock()
        assert began is not None

        def write(connection: Connection) -> None:
            endings.end_posts_without_result(
                connection,
                self.cluster,
                self.results.namespace,
                before=began,
                now=now,
                hold=self.hold,
            )
            endings.give_up_hidden(connection, self.cluster, before=now - HIDDEN_LIMIT, now=now)

        await self.database.write(write)
        self.wake()
        if not self.unwatched:
            self._read_again()
        self.listed_at = self.clock()
        self._unreadable = {p: v for p, v in self._unreadable.items() if p in self._listed}
        report = Report(**self._counts)
        log.debug("Results listed: %s", report)
        for asked in self._due:
            if not asked.done():
                asked.set_result(report)
        self._due = []

    async def _changed(self, changes: Iterable[Change]) -> None:
        """What a watch told, in its order: neighbours of one sort share transactions."""
        present: dict[Place, Object] = {}
        lost: dict[Place, Mirrored] = {}
        for change in changes:
            place, _ = _place(change.object)
            if not change.gone:
                if lost:
                    await self._lose(list(lost.values()))
                    lost = {}
                present[place] = change.object
                continue
            if present:
                await self._present(list(present.values()))
                present = {}
            known = self._mirror.get(place)
            # A later one of the same name has another uid.
            if known is not None and known.uid == _uid(change.object):
                lost[place] = known
        await self._present(list(present.values()))
        await self._lose(list(lost.values()))

    def _hinder(self, hindered: Hindered) -> None:
        if hindered.why != self.hindered:
            how = "listed now and then, not watched" if hindered.listed else "not read"
            log.warning("Results are %s: %s", how, hindered.why)
        self.hindered, self.unwatched = hindered.why, hindered.listed
        if not hindered.listed:
            self._disappoint(hindered.why)

    def _read_again(self) -> None:
        if self.hindered:
            log.info("Results are read again")
        self.hindered, self.unwatched = "", False

    def _disappoint(self, why: str) -> None:
        for asked in (*self._due, *self._asked):
            if not asked.done():
                asked.set_exception(NotListed(why))
        self._due, self._asked = [], []

    def _count(self, name: str, times: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + times

    def status(self) -> str:
        """One line for people: what is read, or why not, and what is held."""
        parts = [f"not read: {self.hindered}" if self.hindered else "not listed yet"]
        if self.listed_at is not None and (self.unwatched or not self.hindered):
            age = max(0, round((self.clock() - self.listed_at).total_seconds()))
            how = f"not watched: {self.hindered}" if self.unwatched else "watched"
            since = "" if self._listed_lately else ", and not whole since: the log says why"
            parts = [f"{how}, {self.seen} Results, listed {age} s ago{since}"]
        parts += [
            f"all Results of K8sGPT CR {held.k8sgpt or '(no name)'} vanished at once, "
            f"{held.incidents} incidents are held open (the CR's namespace: {held.namespace})"
            for held in self.held
        ]
        return "; ".join(parts)


def _place(one: Object) -> tuple[Place, str]:
    metadata = one.get("metadata")
    read = metadata if isinstance(metadata, dict) else {}
    place = str(read.get("namespace") or ""), str(read.get("name") or "")
    return place, str(read.get("resourceVersion") or "")


def _uid(one: Object) -> str:
    metadata = one.get("metadata")
    return str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""


def _mirrored(finding: Finding, cluster: str) -> Mirrored:
    assert finding.result is not None  # the API server gives every object a name
    words = (finding.errors, finding.details, finding.parent)
    return Mirrored(
        cluster=cluster,
        namespace=finding.result.namespace,
        name=finding.result.name,
        uid=finding.result.uid,
        # Not the resourceVersion: the operator writes the status of a Result after each post.
        digest=hashlib.sha256(json.dumps(words).encode()).hexdigest(),
        k8sgpt=finding.k8sgpt,
        object=finding.object,
        container=finding.container,
    )
