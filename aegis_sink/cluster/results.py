"""Results: the cluster's Results as one endless stream: a list, then what changes, then a list.

Three layers: one list (in pages), one watch (until the server ends it), and both without end.
What is told is level-triggered: whoever reads the stream compares each list with what it knows, so
that nothing hangs on a single event. Why not the kubernetes package's Watch: docs/dependencies.md.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from aegis_sink.cluster.connection import Connection, Request, Stream
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import (
    ClusterError,
    ClusterRefused,
    ClusterUnavailable,
    ObjectGone,
)
from aegis_sink.cluster.resources import KNOWN

log = logging.getLogger(__name__)

RESULT = KNOWN["Result"]
PAGE = 250
PAGE_BYTES = 8 * 1024 * 1024  # posts wait while one is parsed: a tenth of a second
LINE_BYTES = 16 * 1024 * 1024  # etcd holds objects of 1.5 MB at most
LIST_SECONDS = 30.0
GONE = 410

Object = Mapping[str, object]


class Hindrance(StrEnum):
    """Why Results cannot be read at the moment."""

    MISSING = "missing"
    REFUSED = "refused"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Began:
    """A list begins; what an unfinished one told stays true."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Some Results of the list."""

    objects: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Complete:
    """The list is whole: what was not in it is not there."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A watch stands behind the list: what changes is told as it happens."""


@dataclass(frozen=True, slots=True)
class Change:
    """A Result was added or changed, or is `gone`."""

    object: Object
    gone: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """What changed, in the order it did; what came together stands together. `version` is the
    one behind it, "" for as before."""

    changes: tuple[Change, ...]
    version: str = ""


@dataclass(frozen=True, slots=True)
class Hindered:
    """Results cannot be read, or those `listed` may not be watched, so that one list follows the
    other. `why` is for a person, with what would help; it is tried again."""

    hindrance: Hindrance
    why: str
    listed: bool = False


News = Began | Listed | Complete | Watched | Changed | Hindered


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `silence`: the API server sends a bookmark about every minute, so that a
    connection that is silent for longer is dead. `first_wait` doubles up to `longest_wait`."""

    resync: float = 600.0
    silence: float = 150.0
    watch: float = 300.0
    first_wait: float = 0.5
    longest_wait: float = 30.0

    @property
    def longest_resync(self) -> float:
        """`resync` with the most jitter."""
        return self.resync * 1.1


@dataclass(slots=True)
class Results:
    """The Results of one namespace, or of all. `restarted` hears why a list or watch began anew:
    "resync", "expired", "cut", "silent", "ended", or a Hindrance."""

    connection: Connection
    namespace: str
    pace: Pace
    jitter: Callable[[], float]
    """0 … 1"""
    restarted: Callable[[str], None]
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _failures: int = 0
    _version: str = ""
    """From where to watch on."""

    def list_now(self) -> None:
        """Begin a list at once, whatever is being waited for."""
        self._asked.set()

    async def follow(self) -> AsyncGenerator[News, None]:
        """List, watch, and begin anew, without end. Raises nothing of `errors.py`."""
        while True:
            self._asked.clear()
            listed = False
            try:
                async for news in self._list():
                    yield news
                listed = True
                async for told in self._watch():
                    yield told
                self.restarted("resync")
            except _Expired as expired:
                log.info("the list of Results is taken anew: %s", expired)
                self.restarted("expired")
                await self._wait()
            except ClusterError as error:
                hindered = _hindered(error, listed=listed)
                self.restarted(hindered.hindrance)
                yield hindered
                await self._wait(getattr(error, "retry_after", 0.0))

    async def _list(self) -> AsyncIterator[Began | Listed | Complete]:
        """One list."""
        yield Began()
        size, token = PAGE, ""
        while True:
            query = {"limit": str(size)} | ({"continue": token} if token else {})
            request = Request(RESULT, self.namespace, query=query)
            try:
                body = await self.connection.read(
                    request, most_bytes=PAGE_BYTES, seconds=LIST_SECONDS
                )
            except ClusterRefused as refused:
                if refused.status == GONE:
                    # The server keeps a list's snapshot for some minutes only.
                    raise _Expired("it took longer than the server keeps it") from refused
                if refused.status == 200 and size > 1:
                    size //= 2
                    continue
                raise
            answer = body.document()
            if not isinstance(answer.at("items").value, list):
                # What stands between answers 200 too, and an empty list would end every incident.
                raise ClusterUnavailable("the API server's answer is no list; is a proxy between?")
            yield Listed(tuple(_objects(answer)))
            token = answer.text("metadata", "continue")
            if not token:
                self._version = answer.text("metadata", "resourceVersion")
                yield Complete()
                return

    async def _watch(self) -> AsyncIterator[Watched | Changed]:
        """What changes after the list, until a new one is due or asked for."""
        loop = asyncio.get_running_loop()
        spread = self.pace.longest_resync - self.pace.resync
        resync_at = loop.time() + self.pace.resync + spread * self.jitter()
        while not self._asked.is_set() and loop.time() < resync_at:
            opened = loop.time()
            try:
                async for told in self._watch_once(resync_at):
                    if isinstance(told, Changed):
                        self._failures = 0
                        if not told.changes:
                            continue
                    yield told
                if self._asked.is_set() or loop.time() >= resync_at:
                    return
                self.restarted("ended")
                if loop.time() - opened < self.pace.first_wait:
                    await self._wait(most=resync_at - loop.time())
            except _Cut as cut:
                # Nothing is missed: the next watch goes on behind the last event.
                log.info("the watch of Results goes on with a new connection: %s", cut)
                self.restarted(cut.reason)
                await self._wait(most=resync_at - loop.time())

    async def _watch_once(self, until: float) -> AsyncIterator[Watched | Changed]:
        """One request. It ends when the server ends it, when a list was asked for, or at `until`
        (the loop's time)."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(round(self.pace.watch * (1 + self.jitter()))),
        }
        request = Request(RESULT, self.namespace, query=query)
        asked = asyncio.create_task(self._asked.wait())
        try:
            async with self.connection.watch(request) as stream:
                yield Watched()
                rest = b""
                while chunk := await self._next(stream, asked, until):
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > LINE_BYTES:
                        raise _Cut("cut", f"an event of more than {LINE_BYTES} bytes")
                    for changed in _read(lines):
                        yield changed
                        self._version = changed.version or self._version
        except ClusterRefused as refused:
            if refused.status == GONE:
                raise _Expired(str(refused)) from refused
            raise
        finally:
            asked.cancel()

    async def _next(self, stream: Stream, asked: asyncio.Task[bool], until: float) -> bytes:
        """The next bytes; b"" when it is time to stop."""
        left = until - asyncio.get_running_loop().time()
        reading = asyncio.create_task(stream.read())
        try:
            await asyncio.wait(
                {reading, asked},
                timeout=max(0.0, min(left, self.pace.silence)),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if reading.done():
                try:
                    return reading.result()
                except ClusterUnavailable as error:
                    raise _Cut("cut", str(error)) from error
            if asked.done() or left <= self.pace.silence:
                return b""
            raise _Cut("silent", f"nothing came for {self.pace.silence:g} s, not even a bookmark")
        finally:
            reading.cancel()

    async def _wait(self, asked_for: float = 0.0, *, most: float = float("inf")) -> None:
        """Back off: doubled at each failure, with jitter, never less than the server asks for."""
        doubled = self.pace.first_wait * 2 ** min(self._failures, 16)
        self._failures += 1
        seconds = min(doubled, self.pace.longest_wait) * (0.5 + self.jitter() / 2)
        try:
            async with asyncio.timeout(max(0.0, min(max(seconds, asked_for), most))):
                await self._asked.wait()
        except TimeoutError:
            pass


class _Expired(Exception):
    """410 Gone: the version is older than what the server remembers; only a list helps."""


class _Cut(Exception):
    """The connection of a watch ended before its time."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _read(lines: Iterable[bytes]) -> Iterator[Changed]:
    """The events of some lines. What stands before an error is told before it is raised."""
    changes: list[Change] = []
    version = ""
    for line in filter(None, lines):
        try:
            event = Document(json.loads(line))
        except ValueError as error:
            yield Changed(tuple(changes), version)
            raise _Cut("cut", f"an event that is no JSON ({error})") from error
        if event.text("type") == "ERROR":
            yield Changed(tuple(changes), version)
            _fail(event.at("object"))
        version = event.at("object").text("metadata", "resourceVersion") or version
        changes += _changes(event)
    yield Changed(tuple(changes), version)


def _fail(status: Document) -> NoReturn:
    """An error comes inside the stream, with the answer's status 200 long sent."""
    code, said = status.number("code") or 0, status.text("message")
    if code == GONE:
        raise _Expired(said or "the watch's version is too old")
    if code == 429 or code >= 500 or not code:
        retry_after = status.number("details", "retryAfterSeconds") or 0
        raise ClusterUnavailable(
            f"the API server ended the watch of Results: {said} ({code})", retry_after=retry_after
        )
    raise ClusterRefused(f"the API server ended the watch of Results: {said}", status=code)


def _changes(event: Document) -> list[Change]:
    kind, value = event.text("type"), event.at("object").value
    if kind not in ("ADDED", "MODIFIED", "DELETED") or not isinstance(value, dict):
        return []  # BOOKMARK carries nothing but a version
    return [Change(value, gone=kind == "DELETED")]


def _objects(answer: Document) -> list[Object]:
    return [item.value for item in answer.items("items") if isinstance(item.value, dict)]


def _hindered(error: ClusterError, *, listed: bool) -> Hindered:
    if isinstance(error, ObjectGone):
        return Hindered(
            Hindrance.MISSING,
            "the API server knows no Results: K8sGPT's operator (its CustomResourceDefinition "
            f"{RESULT.plural}.{RESULT.group}) is not installed",
        )
    if isinstance(error, ClusterRefused):
        return Hindered(Hindrance.REFUSED, str(error), listed)
    return Hindered(Hindrance.AWAY, str(error))
