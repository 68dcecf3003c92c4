"""What is answered is on disk, a commit serves all that wait, and a refusal stores nothing."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError

from aegis_sink.store import quarantine
from aegis_sink.store.database import BATCH_LIMIT, BUSY_TIMEOUT_MS, Bulk, Database, open_engine
from aegis_sink.store.errors import StoreBusy, StoreUnavailable, StoreUnusable
from tests.unit.store.conftest import NOW

WAL, FULL = "wal", 2


def keep(number: int, body: bytes = b"body") -> Callable[[Connection], None]:
    """A write of one row."""
    return lambda c: quarantine.put(
        c, id=f"q{number}", at=NOW, door="test", reason="why", body=body
    )


def stored(path: Path) -> set[str]:
    """What another process sees."""
    with closing(sqlite3.connect(path)) as other:
        return {row[0] for row in other.execute("SELECT id FROM quarantine")}


@asynccontextmanager
async def held(database: Database) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The writer is busy until the block ends, so that what is written meanwhile waits together."""
    go, busy = threading.Event(), threading.Event()

    def occupy(connection: Connection) -> None:
        busy.set()
        go.wait()

    waiting = [asyncio.create_task(database.write(occupy))]
    while not busy.is_set():  # noqa: ASYNC110 — set by another thread
        await asyncio.sleep(0)
    try:
        yield waiting
    finally:
        go.set()


async def until_waiting(database: Database, count: int) -> None:
    while database.waiting < count:  # noqa: ASYNC110 — a queue of another thread
        await asyncio.sleep(0)


async def test_the_writer_really_runs_in_wal_with_full_sync(database: Database) -> None:
    def pragmas(connection: Connection) -> tuple[object, ...]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return tuple(connection.execute(text(f"PRAGMA {name}")).scalar() for name in names)

    assert await database.write(pragmas) == (WAL, FULL, 1, BUSY_TIMEOUT_MS)


async def test_a_write_that_returned_is_seen_by_another_process(
    database: Database, database_file: Path
) -> None:
    await database.write(keep(1))
    assert stored(database_file) == {"q1"}


async def test_writes_that_wait_together_share_one_commit(database: Database) -> None:
    await database.write(keep(0))
    commits: list[str] = []
    event.listen(database.engine, "commit", lambda connection: commits.append("commit"))
    async with held(database) as tasks:
        tasks += [asyncio.create_task(database.write(keep(n))) for n in range(1, 41)]
        await until_waiting(database, 40)
    await asyncio.gather(*tasks)
    # One of the write that held the writer up, one of all that waited; never one for each.
    assert len(commits) <= 2


async def test_a_batch_is_bounded_and_nothing_beyond_it_is_lost(
    database: Database, database_file: Path
) -> None:
    count = BATCH_LIMIT + 50
    async with held(database) as tasks:
        tasks += [asyncio.create_task(database.write(keep(n))) for n in range(count)]
        await until_waiting(database, count)
    await asyncio.gather(*tasks)
    assert len(stored(database_file)) == count


async def test_a_write_that_fails_fails_alone(database: Database, database_file: Path) -> None:
    def broken(connection: Connection) -> None:
        keep(99)(connection)
        raise LookupError("mine alone")

    async with held(database) as tasks:
        tasks += [
            asyncio.create_task(database.write(run))
            for run in (keep(1), broken, keep(2), keep(1), keep(3))
        ]
        await until_waiting(database, 5)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in outcomes[1:]] == [
        type(None),
        LookupError,
        type(None),
        StoreUnavailable,  # q1 is there already
        type(None),
    ]
    assert isinstance(outcomes[4].__cause__, IntegrityError)  # type: ignore[union-attr]
    assert stored(database_file) == {"q1", "q2", "q3"}


async def test_what_an_error_says_holds_nothing_of_what_was_written(database: Database) -> None:
    await database.write(keep(1, b"secret"))
    with pytest.raises(StoreUnavailable) as caught:
        await database.write(
            lambda c: quarantine.put(
                c, id="q1", at=NOW, door="test", reason="hunter2", body=b"hunter2"
            )
        )
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_full_queue_refuses_and_stores_nothing(database_file: Path) -> None:
    database = Database(open_engine(f"sqlite:///{database_file}"), queue_limit=3)
    database.start()
    async with held(database) as tasks:
        tasks += [asyncio.create_task(database.write(keep(n))) for n in range(3)]
        await until_waiting(database, 3)
        with pytest.raises(StoreBusy, match="3 writes wait"):
            await database.write(keep(9))
    await asyncio.gather(*tasks)
    assert stored(database_file) == {"q0", "q1", "q2"}
    await database.write(keep(9))
    await database.close()


async def test_a_full_disk_refuses_and_the_next_write_works_when_there_is_room(
    database: Database, database_file: Path
) -> None:
    def limit(pages: str) -> Callable[[Connection], object]:
        return lambda c: c.execute(text(f"PRAGMA max_page_count={pages}")).scalar()

    full = await database.write(limit("1"))  # SQLite takes the present size where this is less
    big = bytes(range(256)) * 400 + b"".join(n.to_bytes(4, "big") for n in range(50_000))
    with pytest.raises(StoreUnavailable, match="full"):
        await database.write(keep(1, big))
    assert stored(database_file) == set()
    await database.write(limit(str(int(str(full)) + 10_000)))
    await database.write(keep(2, big))
    assert stored(database_file) == {"q2"}


async def test_a_read_only_database_refuses(database_file: Path) -> None:
    database = Database(open_engine(f"sqlite:///file:{database_file}?mode=ro&uri=true"))
    database.start()
    with pytest.raises(StoreUnavailable, match="readonly"):
        await database.write(keep(1))
    await database.close()
    assert stored(database_file) == set()


async def test_a_locked_database_refuses_all_that_wait_after_one_timeout(
    database_file: Path,
) -> None:
    database = Database(open_engine(f"sqlite:///{database_file}"), busy_timeout_ms=50)
    database.start()
    with closing(sqlite3.connect(database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(2):  # one by one it would be forty times 50 ms and more
            outcomes = await asyncio.gather(
                *(database.write(keep(n)) for n in range(40)), return_exceptions=True
            )
        other.execute("ROLLBACK")
    assert {type(one) for one in outcomes} == {StoreUnavailable}
    assert stored(database_file) == set()
    await database.write(keep(1))
    assert stored(database_file) == {"q1"}
    await database.close()


async def test_items_of_one_bulk_go_in_with_one_call_and_get_their_own_answers(
    database: Database,
) -> None:
    calls: list[int] = []

    def run(connection: DBAPIConnection, items: Sequence[Any]) -> list[str]:
        calls.append(len(items))
        return [f"answer {item}" for item in items]

    bulk = Bulk(run)
    async with held(database) as tasks:
        asked = [asyncio.create_task(database.write_one_of(bulk, n)) for n in range(5)]
        await until_waiting(database, 5)
    await asyncio.gather(*tasks)
    assert await asyncio.gather(*asked) == [f"answer {n}" for n in range(5)]
    assert calls == [5]


def naming(table: str = "names") -> Bulk[str]:
    """A bulk write of one row each; answers with the thread it ran on."""

    def run(connection: DBAPIConnection, items: Sequence[Any]) -> list[str]:
        cursor = connection.cursor()
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY)")
        cursor.executemany(f"INSERT INTO {table} VALUES (?)", [(item,) for item in items])  # noqa: S608
        cursor.close()
        return [threading.current_thread().name] * len(items)

    return Bulk(run)


def names(path: Path) -> set[str]:
    """What another process sees of the bulk writes."""
    with closing(sqlite3.connect(path)) as other:
        return {row[0] for row in other.execute("SELECT id FROM names")}


WRITER = "store-write"


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a commit takes on a busy machine, it counts as quick."""
    monkeypatch.setattr("aegis_sink.store.database.SLOW_COMMIT_SECONDS", 60.0)


async def until_the_loop_commits(database: Database, bulk: Bulk[str]) -> None:
    """The writer's thread has answered a moment before it is idle again."""
    async with asyncio.timeout(30):
        number = 0
        while await database.write_one_of(bulk, f"idle {number}") == WRITER:
            number += 1


@pytest.mark.usefixtures("quick_disk")
async def test_a_bulk_write_while_nothing_else_writes_is_committed_where_it_is_asked(
    database: Database, database_file: Path
) -> None:
    bulk = naming()
    await until_the_loop_commits(database, bulk)
    ran = await asyncio.gather(*(database.write_one_of(bulk, str(n)) for n in range(5)))
    assert set(ran) == {threading.current_thread().name}
    assert names(database_file) >= {"0", "1", "2", "3", "4"}


@pytest.mark.usefixtures("quick_disk")
async def test_a_bulk_write_that_is_alone_is_on_disk_before_anything_else_gets_its_turn(
    database: Database, database_file: Path
) -> None:
    bulk = naming()
    await until_the_loop_commits(database, bulk)
    database.alone = lambda: True
    others: list[None] = []
    asyncio.get_running_loop().call_soon(others.append, None)
    await database.write_one_of(bulk, "alone")
    assert not others
    assert "alone" in names(database_file)


@pytest.mark.usefixtures("quick_disk")
async def test_a_bulk_write_never_waits_on_the_event_loop_for_another_process(
    database: Database, database_file: Path
) -> None:
    bulk = naming()
    await until_the_loop_commits(database, bulk)
    with closing(sqlite3.connect(database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = asyncio.create_task(database.write_one_of(bulk, "meanwhile"))
        for _ in range(20):
            await asyncio.sleep(0)  # the loop goes on
        assert not asked.done()
        other.execute("ROLLBACK")
        assert await asked == WRITER
    assert "meanwhile" in names(database_file)


@pytest.mark.usefixtures("quick_disk")
async def test_a_disk_that_was_slow_is_left_to_the_thread(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = naming()
    await until_the_loop_commits(database, bulk)
    monkeypatch.setattr("aegis_sink.store.database.SLOW_COMMIT_SECONDS", -1.0)
    assert await database.write_one_of(bulk, "slow") != WRITER
    assert await database.write_one_of(bulk, "next") == WRITER


async def test_an_item_that_breaks_a_shared_commit_fails_alone(
    database: Database, database_file: Path
) -> None:
    bulk = naming()
    await database.write_one_of(bulk, "there")
    undone: list[None] = []
    database.when_undone(lambda: undone.append(None))
    outcomes = await asyncio.gather(
        *(database.write_one_of(bulk, name) for name in ("a", "there", "b")),
        return_exceptions=True,
    )
    assert [isinstance(one, StoreUnavailable) for one in outcomes] == [False, True, False]
    assert undone
    assert names(database_file) == {"there", "a", "b"}  # each once


async def test_whoever_hands_in_a_function_to_call_hears_of_each_rollback(
    database: Database,
) -> None:
    undone: list[None] = []
    database.when_undone(lambda: undone.append(None))
    await database.write(keep(1))
    assert undone == []
    with pytest.raises(StoreUnavailable):
        await database.write(keep(1))
    assert undone == [None]


async def test_close_finishes_what_waits_and_then_refuses(
    database: Database, database_file: Path
) -> None:
    tasks = [asyncio.create_task(database.write(keep(n))) for n in range(20)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*tasks)
    assert len(stored(database_file)) == 20
    with pytest.raises(StoreUnavailable, match="closing"):
        await database.write(keep(50))


@pytest.mark.parametrize("url", ["not a url", "mysql://host/db"])
def test_a_database_that_is_not_sqlite_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(StoreUnusable, match=r"sqlite:///aegis-sink\.db"):
        open_engine(url)
