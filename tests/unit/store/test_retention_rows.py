"""What is dropped when its time is over, and what stays however old it is."""

import random
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from aegis_sink.model import DigestKind, State
from aegis_sink.store import digests, incidents, quarantine, silences, tables
from aegis_sink.store.accept import accept
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.retention import Dropped, drop
from aegis_sink.triage.matchers import parse
from aegis_sink.triage.silence import Silence
from tests.unit.store.conftest import Arrive

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
AMPLE = 1 << 30


async def left(database: Database) -> set[str]:
    """The quarantined bodies that are still there."""
    items = await database.read(lambda c: quarantine.items(c, limit=1000))
    return {item.id for item in items}


def put(connection: Connection, item_id: str, *, age: timedelta, body: bytes = b"x") -> None:
    quarantine.put(connection, id=item_id, at=NOW - age, door="test", reason="?", body=body)


async def test_quarantine_older_than_the_retention_goes(database: Database) -> None:
    def fill(connection: Connection) -> None:
        put(connection, "old", age=15 * DAY)
        put(connection, "young", age=13 * DAY)

    await database.write(fill)
    dropped = await database.write(
        lambda c: drop(c, before=NOW - 14 * DAY, quarantine_max_bytes=AMPLE)
    )
    assert dropped.quarantined == 1
    assert await left(database) == {"young"}


async def test_quarantine_over_its_size_loses_the_oldest_first_and_no_more_than_needed(
    database: Database,
) -> None:
    noise = random.Random(1)  # noqa: S311 — what does not compress

    def fill(connection: Connection) -> int:
        for n in range(10):
            put(connection, f"q{n}", age=timedelta(hours=n), body=noise.randbytes(1000))
        return quarantine.size(connection)[1]

    stored = await database.write(fill)
    room = stored * 4 // 10 + 10
    await database.write(lambda c: drop(c, before=NOW - DAY, quarantine_max_bytes=room))
    assert await left(database) == {"q0", "q1", "q2", "q3"}
    assert (await database.read(quarantine.size))[1] <= room
    await database.write(lambda c: drop(c, before=NOW - DAY, quarantine_max_bytes=0))
    assert await left(database) == set()


async def test_bodies_answers_and_resolved_incidents_go_and_open_ones_stay(
    database: Database, arrive: Arrive
) -> None:
    [[over], [still]] = await database.write(
        lambda c: accept(c, [arrive("Pod shop/a-1"), arrive("Pod shop/b-1")])
    )

    def end(connection: Connection) -> None:
        incidents.set_state(
            connection, over.incident_id, State.RESOLVED, at=NOW, what="resolved", reason="x"
        )

    await database.write(end)
    before = NOW + timedelta(seconds=1)
    dropped = await database.write(lambda c: drop(c, before=before, quarantine_max_bytes=AMPLE))
    assert dropped == Dropped(deliveries=2, incidents=1, answers=0, quarantined=0)
    assert await database.read(lambda c: incidents.get(c, over.incident_id)) is None
    assert await database.read(lambda c: incidents.get(c, still.incident_id)) is not None
    orphans = await database.read(
        lambda c: c.execute(
            select(func.count())
            .select_from(tables.findings)
            .where(tables.findings.c.incident_id == over.incident_id)
        ).scalar_one()
    )
    assert orphans == 0


async def test_ended_silences_and_told_digests_go(database: Database) -> None:
    def fill(connection: Connection) -> None:
        for name, end in (("ended", NOW - DAY), ("active", NOW + DAY)):
            matchers = parse('namespace="dev"')
            silences.put(connection, Silence(name, matchers, NOW - 2 * DAY, end, "ada"))
        for name, told in (("told", NOW - DAY), ("waits", None)):
            connection.execute(
                tables.digests.insert().values(
                    intended_channel="",
                    id=name,
                    kind=DigestKind.HINTS,
                    opened_at=NOW - 2 * DAY,
                    due_at=NOW - DAY,
                    changed_at=NOW - 2 * DAY,
                    told_at=told,
                )
            )

    await database.write(fill)
    await database.write(lambda c: drop(c, before=NOW, quarantine_max_bytes=AMPLE))
    kept = await database.read(lambda c: silences.all_of_them(c, limit=10))
    assert [one.id for one in kept] == ["active"]
    waiting = await database.read(lambda c: digests.due(c, NOW))
    assert [one.id for one in waiting] == ["waits"]
