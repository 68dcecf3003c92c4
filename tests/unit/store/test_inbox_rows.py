"""The inbox: which incident a post belongs to, also after a transaction that came to nothing."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from aegis_sink.store.database import Bulk, Database, open_engine
from aegis_sink.store.errors import StoreUnavailable
from aegis_sink.store.inbox import Inbox, Noted, Post, count

AT = datetime(2026, 3, 1, tzinfo=UTC)
INCOMPRESSIBLE = b"".join(n.to_bytes(4, "big") for n in range(50_000))


class Noting:
    """An inbox on a database, as the flow uses it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.inbox = Inbox()
        self._bulk = Bulk(self.inbox.note)
        database.when_undone(self.inbox.forget)

    async def note(self, key: str, fresh_id: str, body: bytes = b"{}", at: int = 0) -> Noted:
        post = Post(AT + timedelta(seconds=at), key, fresh_id, body)
        return await self.database.write_one_of(self._bulk, post)


async def test_posts_of_one_problem_name_one_incident(database: Database) -> None:
    noting = Noting(database)
    assert await noting.note("key", "first") == Noted("first", duplicate=False)
    assert await noting.note("key", "second") == Noted("first", duplicate=True)
    assert await noting.note("other", "third") == Noted("third", duplicate=False)
    assert await database.read(count) == 3


async def test_the_same_body_again_is_counted_and_another_is_kept_beside_it(
    database: Database,
) -> None:
    noting = Noting(database)
    for body, at in ((b"a", 0), (b"a", 1), (b"b", 2), (b"b", 5), (b"b", 4)):
        await noting.note("key", "first", body, at=at)
    rows = await database.write(lambda c: noting.inbox.waiting(c, limit=10))
    assert [(row.body, row.times, row.incident_id) for row in rows] == [
        (b"a", 2, "first"),
        (b"b", 3, "first"),
    ]
    assert rows[1].received_at == AT + timedelta(seconds=2)
    assert rows[1].last_received_at == AT + timedelta(seconds=5)
    assert await database.read(count) == 5
    # The first row is made into an incident; the second goes on counting.
    await database.write(lambda c: noting.inbox.done(c, up_to=rows[0].id))
    await noting.note("key", "other", b"b")
    [left] = await database.write(lambda c: noting.inbox.waiting(c, limit=10))
    assert (left.id, left.times) == (rows[1].id, 4)


async def test_a_burst_of_the_same_body_in_one_commit_is_counted_in_full(
    database: Database,
) -> None:
    noting = Noting(database)
    posts = [Post(AT, "key", "first", b"a")] * 5
    bulk = Bulk(lambda c, batches: [noting.inbox.note(c, batch) for batch in batches])
    await database.write_one_of(bulk, posts)
    await database.write_one_of(bulk, posts)
    [row] = await database.write(lambda c: noting.inbox.waiting(c, limit=10))
    assert row.times == 10


async def test_posts_that_wait_through_a_restart_still_name_their_incident(
    database: Database, database_file: Path
) -> None:
    await Noting(database).note("key", "first")
    again = Database(open_engine(f"sqlite:///{database_file}"))
    again.start()
    assert await Noting(again).note("key", "second") == Noted("first", duplicate=True)
    await again.close()


async def test_a_post_that_was_refused_is_not_taken_for_a_duplicate_when_it_comes_again(
    database: Database,
) -> None:
    noting = Noting(database)
    pages = await database.write(lambda c: c.execute(text("PRAGMA max_page_count=1")).scalar())
    with pytest.raises(StoreUnavailable, match="full"):
        await noting.note("key", "first", INCOMPRESSIBLE)
    assert await database.read(count) == 0
    more = int(str(pages)) + 1000
    await database.write(lambda c: c.execute(text(f"PRAGMA max_page_count={more}")))
    assert await noting.note("key", "second", INCOMPRESSIBLE) == Noted("second", duplicate=False)


async def test_what_was_made_into_incidents_is_forgotten_with_its_rows(database: Database) -> None:
    noting = Noting(database)
    await noting.note("key", "first")

    def made(connection: Connection) -> None:
        rows = noting.inbox.waiting(connection, limit=10)
        noting.inbox.done(connection, up_to=rows[-1].id)

    await database.write(made)
    assert await database.read(count) == 0
    assert await noting.note("key", "second") == Noted("second", duplicate=False)


async def test_requests_that_follow_each_other_share_a_commit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_sink.store.database.GATHER_SECONDS", 60)
    noting = Noting(database)
    sizes: list[int] = []
    write = noting.inbox.note

    def note(connection: DBAPIConnection, posts: Sequence[Post]) -> list[Noted]:
        sizes.append(len(posts))
        return write(connection, posts)

    noting._bulk = Bulk(note)
    await asyncio.gather(*(noting.note(f"key {n}", f"id {n}") for n in range(3)))

    async def late() -> None:
        await asyncio.sleep(0)  # a request whose bytes are read a turn of the loop later
        await noting.note("late", "late")

    await asyncio.gather(noting.note("first", "first"), noting.note("second", "second"), late())
    assert sizes == [3, 3]
