"""Visit: what a collector is handed. It reads, says what it found, and what it could not read."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import ClusterError, ObjectGone
from aegis_sink.cluster.reader import Listing, Reader
from aegis_sink.model import Finding, ObjectRef, OwnerChain
from aegis_sink.model.facts import Facts

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Draft:
    """Evidence before it is packed: whole text, not yet redacted, no id.

    `worth` 0..100: how much it discriminates between causes. `keep` says which end matters when it
    must be cut: a log's last lines, a description's first.
    """

    source: str
    text: str
    worth: int
    facts: Facts | None = None
    object: ObjectRef | None = None
    keep: Literal["start", "end"] = "start"
    cut: int = 0


@dataclass(slots=True)
class Visit:
    """One collection in progress: it grows until the collector returns or its time is up.

    `now` is the API server's clock. `drafts` and `missing` hold what there is so far.
    """

    finding: Finding
    owners: OwnerChain
    reader: Reader
    redact: Callable[[str], str]
    now: datetime
    drafts: list[Draft] = field(default_factory=list)
    missing: dict[str, None] = field(default_factory=dict)
    waiting: dict[str, None] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    healthy: bool | None = None

    @property
    def ref(self) -> ObjectRef:
        """The object of the finding."""
        return self.finding.object

    def add(
        self,
        source: str,
        text: str,
        worth: int,
        facts: Facts | None = None,
        about: ObjectRef | None = None,
        *,
        keep: Literal["start", "end"] = "start",
        cut: int = 0,
    ) -> None:
        """Add evidence. `about` is the object it speaks of, the finding's own by default."""
        self.drafts.append(Draft(source, text, worth, facts, about or self.ref, keep, cut))

    def lacks(self, what: str) -> None:
        """Name something a person would have looked at and this visit could not."""
        self.missing[what] = None

    def shortened(self, text: str, most: int) -> str:
        """At most so many characters, cut after redaction: half a secret cannot be recognised."""
        return text if len(text) <= most else self.redact(text)[:most]

    def age(self, at: datetime | None) -> int | None:
        """Seconds since `at` by the API server's clock, never negative (clocks differ)."""
        return max(0, int((self.now - at).total_seconds())) if at else None

    async def attempt(self, what: str, read: Awaitable[Value]) -> Value | None:
        """What `read` gives; None with a line in `missing` when it may not or cannot be read.

        Raises ObjectGone: what absence means, the collector knows.
        """
        self.waiting[what] = None
        try:
            value = await read
        except ObjectGone:
            self.waiting.pop(what, None)
            raise
        except ClusterError as error:
            self.waiting.pop(what, None)
            self.lacks(str(error))
            return None
        # A cancelled read stays in `waiting`: the time ran out on it.
        self.waiting.pop(what, None)
        return value

    async def get(self, ref: ObjectRef) -> Document | None:
        """One object. None: may not be read (in `missing`). An empty Document: it is not there."""
        try:
            return await self.attempt(str(ref), self.reader.get(ref))
        except ObjectGone:
            return Document()

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", most: int = 500
    ) -> tuple[Document, ...] | None:
        """Objects of a kind. None: may not be read. A kind the server does not know has none.

        Where there are more than were read, `missing` says so.
        """
        listing = await self.listing(kind, namespace, labels=labels, fields=fields, most=most)
        return None if listing is None else listing.found

    async def listing(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", most: int = 500
    ) -> Listing | None:
        """Like `list`, and whether that is all: only then what is not in it does not exist."""
        where = f"{kind} objects" + (f" in namespace {namespace}" if namespace else "")
        read = self.reader.listing(kind, namespace, labels=labels, fields=fields, most=most)
        try:
            listing = await self.attempt(where, read)
        except ObjectGone:
            return Listing((), whole=True)
        if listing is None:
            return None
        if not listing.whole:
            said = ", ".join(filter(None, (labels, fields)))
            which = f"{where} ({said})" if said else where
            self.lacks(f"{which}: only the first {len(listing.found)} were read")
        return listing

    async def exists(self, ref: ObjectRef) -> bool | None:
        """Is it there? None when it may not be read."""
        try:
            found = await self.attempt(str(ref), self.reader.get(ref, metadata_only=True))
        except ObjectGone:
            return False
        return None if found is None else True


async def together(*reads: Awaitable[None]) -> None:
    """Run parts of a collector in parallel; when one raises, the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        for read in reads:
            group.create_task(_as_coroutine(read))


async def _as_coroutine(read: Awaitable[None]) -> None:
    await read
