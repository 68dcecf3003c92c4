"""One database: reads on a few threads, writes one transaction at a time, commits shared.

Writers hand in a function; those that wait at the same moment run in one transaction and all hear
of it after the one commit. With `synchronous=FULL` a commit is one fsync, so 32 waiting requests
cost one instead of 32.

Writes run on a thread of their own, but for the few statements of a bulk write: a commit takes a
good disk less time than waking a thread twice, so these run where they are asked, while nothing
else writes and the disk is quick. What cannot be done at once there goes to the thread.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy import Connection as Connection  # what the functions handed to write() get
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from aegis_sink.store.errors import StoreBusy, StoreUnavailable, StoreUnusable

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE_LIMIT = 2048
BATCH_LIMIT = 256
READERS = 2
BUSY_TIMEOUT_MS = 5000
GATHER_LIMIT = 64
GATHER_SECONDS = 0.002
QUIET_TURNS = 2
SLOW_COMMIT_SECONDS = 0.02
SLOW_DISK_SECONDS = 10.0

# The driver's own errors come bare from its cursors and from the pragmas of a new connection.
DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error)


@dataclass(slots=True, eq=False)
class _Write(Generic[T]):
    """One waiting write: the answer goes to `future` after the commit."""

    run: Callable[[Connection], T]
    future: asyncio.Future[T]
    loop: asyncio.AbstractEventLoop
    result: T | None = None
    error: Exception | None = None


class Bulk(Generic[T]):
    """A kind of write of which many are done with one call: `run(connection, items) -> results`.

    The items of one kind that wait at the same moment go in together. `run` gets the driver's
    connection inside a transaction; it must be short, since it may run on the event loop.
    """

    def __init__(self, run: Callable[[DBAPIConnection, Sequence[Any]], Sequence[T]]) -> None:
        self.run = run


@dataclass(slots=True, eq=False)
class _BulkItem(Generic[T]):
    bulk: Bulk[T]
    item: Any
    future: asyncio.Future[T]
    loop: asyncio.AbstractEventLoop
    result: T | None = None
    error: Exception | None = None


_Pending = _Write[Any] | _BulkItem[Any]


def open_engine(url: str) -> Engine:
    """An engine with the durability the promises need. StoreUnusable names what is wrong."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreUnusable(
            "AEGIS_DATABASE_URL is not a database URL; write it like sqlite:///aegis-sink.db"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        raise StoreUnusable(
            f"AEGIS_DATABASE_URL names {parsed.get_backend_name()}; this version keeps its data in "
            "SQLite: write sqlite:///aegis-sink.db"
        )
    return _sqlite(parsed)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,  # an error's text must not carry what people posted
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
        pool_size=READERS + 2,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        # The driver's own transaction handling is switched off, so that BEGIN stands where it
        # is written (SQLAlchemy: "Serializable isolation / Savepoints" of the SQLite dialect).
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("aegis_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


class Database:
    """Reads and writes. Start with `start()`, end with `close()`; both may be awaited once."""

    def __init__(
        self,
        engine: Engine,
        *,
        queue_limit: int = QUEUE_LIMIT,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self.engine = engine
        self._busy_timeout_ms = busy_timeout_ms
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._limit = queue_limit
        self._closing = False
        self._undone: list[Callable[[], None]] = []
        self._connection: Connection | None = None
        self._turn = threading.Lock()
        """Held by whoever uses the writing connection: the writer's thread, or the event loop."""
        self._thread_at_work = False
        self.refuses = False
        """Whether the last write was refused by the database itself (full, locked, unreadable)."""
        self._gathered: list[_BulkItem[Any]] = []
        self.alone: Callable[[], bool] = lambda: False
        """Whether nobody else is on the way to a bulk write; set by who sees the requests."""
        self._slow_until = 0.0
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writer = threading.Thread(target=self._write_loop, name="store-write", daemon=True)

    @property
    def waiting(self) -> int:
        """How many writes wait for a commit."""
        return self._queue.qsize() + len(self._gathered)

    def when_undone(self, forget: Callable[[], None]) -> None:
        """Have `forget` called, before anything else is written, whenever a transaction was rolled back."""
        self._undone.append(forget)

    def start(self) -> None:
        """Start the writer."""
        self._writer.start()

    async def close(self) -> None:
        """Finish what waits, then let go of the files."""
        self._closing = True
        self._commit_gathered()
        if self._writer.is_alive():
            self._queue.put(None)
            await asyncio.to_thread(self._writer.join)
        self._readers.shutdown(wait=True)
        self.engine.dispose()

    async def read(self, run: Callable[[Connection], T]) -> T:
        """Run `run` in a read transaction. StoreUnavailable when the database refuses."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, run)

    async def write(self, run: Callable[[Connection], T]) -> T:
        """Run `run` in a transaction; returns after the commit is on disk.

        Raises StoreBusy when the queue is full, StoreUnavailable when the database refuses, and
        what `run` raises; in each case nothing of `run` was stored.
        """
        loop = asyncio.get_running_loop()
        write = _Write(run, loop.create_future(), loop)
        return await self._enqueue(write)

    async def write_one_of(self, bulk: Bulk[T], item: object) -> T:
        """Like `write`, for one item of a bulk write."""
        self._refuse_or_go_on()
        loop = asyncio.get_running_loop()
        pending: _BulkItem[T] = _BulkItem(bulk, item, loop.create_future(), loop)
        self._gathered.append(pending)
        if len(self._gathered) == 1:
            if self.alone():
                self._commit_gathered()
            else:
                loop.call_soon(self._gather, loop, 0, 0, loop.time() + GATHER_SECONDS)
        return await pending.future

    async def _enqueue(self, pending: _Write[T]) -> T:
        self._refuse_or_go_on()
        self._queue.put(pending)
        # A caller that is cancelled undoes nothing: what is on its way to the disk gets there.
        return await pending.future

    def _refuse_or_go_on(self) -> None:
        if self._closing:
            raise StoreUnavailable("the store is closing; nothing was stored")
        if self.waiting >= self._limit:
            raise StoreBusy(f"{self._limit} writes wait for the disk; try again in a moment")

    def _gather(
        self, loop: asyncio.AbstractEventLoop, seen: int, quiet: int, latest: float
    ) -> None:
        """Commit once nobody else is on the way: requests that come together share one commit.

        Where several came together others follow; the event loop is given some turns to read them.
        """
        count = len(self._gathered)
        quiet = 0 if count > seen else quiet + 1
        if quiet >= QUIET_TURNS or count >= GATHER_LIMIT or loop.time() > latest:
            self._commit_gathered()
        else:
            loop.call_soon(self._gather, loop, count, quiet, latest)

    def _commit_gathered(self) -> None:
        """Commit what was gathered, here when that is quick, else on the writer's thread."""
        gathered, self._gathered = self._gathered, []
        if gathered and not self._commit_here(gathered):
            for item in gathered:
                self._queue.put(item)

    def _commit_here(self, gathered: Sequence[_BulkItem[Any]]) -> bool:
        """Whether all of it was committed and answered on the event loop."""
        if (
            self._connection is None
            or self._thread_at_work
            or not self._queue.empty()
            or time.monotonic() < self._slow_until
            or not self._turn.acquire(blocking=False)
        ):
            return False
        try:
            started = time.monotonic()
            committed = self._try_to_commit(self._connection, gathered)
            if time.monotonic() - started > SLOW_COMMIT_SECONDS:
                self._slow_until = time.monotonic() + SLOW_DISK_SECONDS
        finally:
            self._turn.release()
        if committed:
            _resolve(gathered)
        return committed

    def _try_to_commit(self, connection: Connection, gathered: Sequence[_BulkItem[Any]]) -> bool:
        """One attempt that waits for nobody; the thread finds out what is wrong if it fails."""
        try:
            driver_connection = _driver_connection(connection)
            cursor = driver_connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                _run_bulk(driver_connection, gathered)
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.close()
        except Exception as error:  # noqa: BLE001 — tried again on the thread, whose errors are heard
            for forget in self._undone:
                forget()
            log.debug("a commit on the event loop failed: %s", _cause(error))
            return False
        return True

    def _read(self, run: Callable[[Connection], T]) -> T:
        try:
            with self.engine.connect() as connection, connection.begin():
                return run(connection)
        except DATABASE_ERRORS as error:
            raise StoreUnavailable(f"the database refused to read: {_cause(error)}") from error

    def _write_loop(self) -> None:
        last = False
        while not last:
            self._thread_at_work = False
            first = self._queue.get()
            self._thread_at_work = True
            batch: list[_Pending] = []
            if first is None:
                last = True
            else:
                batch.append(first)
            while len(batch) < BATCH_LIMIT:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    last = True
                else:
                    batch.append(item)
            if batch:
                with self._turn:
                    self._wait_for_others(self._busy_timeout_ms)
                    self._commit(batch)
                    self._wait_for_others(0)
                _answer(batch)
        if self._connection is not None:
            self._connection.close()

    def _commit(self, batch: Sequence[_Pending]) -> None:
        """One transaction for all. If it fails, one for each: what one write raises is its
        caller's to hear, never its neighbours'."""
        begun = False
        try:
            with self._writing().begin():
                begun = True
                _run(self._writing(), batch)
            self.refuses = False
        except Exception as error:  # noqa: BLE001 — handed to the caller, who waits for it
            self.refuses = isinstance(error, DATABASE_ERRORS)
            for forget in self._undone:
                forget()
            if len(batch) == 1 or not begun:
                # A database that lets nobody begin (locked, read-only) refuses all alike; asking
                # for each would keep the last one waiting for hundreds of busy timeouts.
                for item in batch:
                    item.error = _as_store_error(error)
                return
            log.warning("a shared commit failed, trying one by one: %s", _cause(error))
            for item in batch:
                self._commit([item])

    def _wait_for_others(self, milliseconds: int) -> None:
        """How long a transaction waits for another process; on the event loop it never does."""
        try:
            cursor = self._writing().connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={milliseconds}")
            cursor.close()
        except DATABASE_ERRORS as error:
            log.debug("busy_timeout was not set: %s", _cause(error))

    def _writing(self) -> Connection:
        """The writer's connection, opened once: a check-out costs more than an insert."""
        if self._connection is None or self._connection.closed:
            self._connection = self.engine.connect().execution_options(aegis_write=True)
        return self._connection


def _run(connection: Connection, batch: Sequence[_Pending]) -> None:
    gathered: list[_BulkItem[Any]] = []
    for item in batch:
        if isinstance(item, _BulkItem):
            gathered.append(item)
        else:
            item.result = item.run(connection)
    if gathered:
        _run_bulk(_driver_connection(connection), gathered)


def _driver_connection(connection: Connection) -> DBAPIConnection:
    driver_connection: DBAPIConnection | None = connection.connection.driver_connection
    assert driver_connection is not None
    return driver_connection


def _run_bulk(connection: DBAPIConnection, gathered: Sequence[_BulkItem[Any]]) -> None:
    together: dict[Bulk[Any], list[_BulkItem[Any]]] = {}
    for item in gathered:
        together.setdefault(item.bulk, []).append(item)
    for bulk, items in together.items():
        results = bulk.run(connection, [item.item for item in items])
        for item, result in zip(items, results, strict=True):
            item.result = result


def refused(error: Exception) -> bool:
    """Whether the database itself refused (full, locked, unreadable), whatever was asked of it."""
    return isinstance(error, OperationalError | sqlite3.OperationalError)


def _as_store_error(error: Exception) -> Exception:
    if not isinstance(error, DATABASE_ERRORS):
        return error
    unavailable = StoreUnavailable(f"the database refused to write: {_cause(error)}")
    unavailable.__cause__ = error
    return unavailable


def _answer(batch: list[_Pending]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
    for item in batch:
        by_loop.setdefault(item.loop, []).append(item)
    for loop, items in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, items)
        except RuntimeError:  # the loop is closed: nobody waits any more, the data is on disk
            log.debug("%d writes were committed after their caller had gone", len(items))


def _resolve(items: Sequence[_Pending]) -> None:
    for item in items:
        if item.future.done():
            continue
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)


def _cause(error: Exception) -> str:
    """The driver's words without the SQL and its parameters, which may hold what people posted."""
    driver_error = getattr(error, "orig", None) or error
    return str(driver_error) if isinstance(driver_error, sqlite3.Error) else type(error).__name__
