"""Jobs: leased while they run, never lost, and what comes in between is not missed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from aegis_sink.store import jobs
from aegis_sink.store.accept import Arrival, accept
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.jobs import Job

LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def incident(database: Database, arrive: Callable[..., Arrival]) -> str:
    """An incident whose `collect` is due; these tests use its `tell`."""
    [[one]] = await database.write(lambda c: accept(c, [arrive("Pod shop/api-1")]))
    return one.incident_id


async def claim(database: Database, now: datetime, owner: str = "me") -> tuple[Job, ...]:
    return await database.write(
        lambda c: jobs.claim(c, jobs.TELL, limit=5, owner=owner, now=now, lease=LEASE)
    )


async def enqueue(database: Database, incident: str, at: datetime) -> None:
    await database.write(lambda c: jobs.enqueue(c, incident, jobs.TELL, at))


async def due(database: Database, now: datetime) -> datetime | None:
    return await database.read(lambda c: jobs.next_due(c, [jobs.TELL], now=now))


async def test_a_job_runs_when_it_is_due_and_only_once(
    database: Database, incident: str, now: datetime
) -> None:
    await enqueue(database, incident, now)
    assert await claim(database, now - SECOND) == ()
    [job] = await claim(database, now)
    assert await claim(database, now, "another") == ()
    await database.write(lambda c: jobs.finish(c, job, now=now))
    assert await due(database, now) is None


async def test_the_job_of_a_dead_owner_is_taken_after_its_lease(
    database: Database, incident: str, now: datetime
) -> None:
    await enqueue(database, incident, now)
    [job] = await claim(database, now, "dead")
    assert await claim(database, now + LEASE) == ()
    assert await claim(database, now + LEASE + SECOND) == (job,)


async def test_a_renewed_lease_keeps_a_long_job(
    database: Database, incident: str, now: datetime
) -> None:
    await enqueue(database, incident, now)
    running = await claim(database, now)
    until = now + 2 * LEASE
    await database.write(lambda c: jobs.extend(c, running, owner="me", until=until))
    assert await claim(database, now + LEASE + SECOND, "another") == ()


async def test_a_restart_frees_all_leases(database: Database, incident: str, now: datetime) -> None:
    await enqueue(database, incident, now)
    [job] = await claim(database, now, "before")
    await database.write(jobs.release_all)
    assert await claim(database, now, "after") == (job,)


async def test_what_is_enqueued_while_the_job_runs_runs_after_it(
    database: Database, incident: str, now: datetime
) -> None:
    await enqueue(database, incident, now)
    [job] = await claim(database, now)
    await enqueue(database, incident, now + 5 * SECOND)
    await database.write(lambda c: jobs.finish(c, job, now=now + SECOND))
    assert await due(database, now) == now + SECOND
    [again] = await claim(database, now + SECOND)
    assert again.generation == job.generation + 1


async def test_a_postponed_job_keeps_an_earlier_time_that_came_meanwhile(
    database: Database, incident: str, now: datetime
) -> None:
    def later(connection: Connection, job: Job, minutes: int) -> None:
        jobs.postpone(connection, job, due_at=now + timedelta(minutes=minutes))

    await enqueue(database, incident, now)
    [job] = await claim(database, now)
    await database.write(lambda c: later(c, job, 60))
    assert await due(database, now) == now + timedelta(minutes=60)
    await enqueue(database, incident, now + timedelta(minutes=30))
    assert await due(database, now) == now + timedelta(minutes=30)
    await enqueue(database, incident, now + timedelta(minutes=90))
    assert await due(database, now) == now + timedelta(minutes=30)
    [job] = await claim(database, now + timedelta(minutes=30))
    await enqueue(database, incident, now + timedelta(minutes=31))
    await database.write(lambda c: later(c, job, 240))
    assert await due(database, now) == now + timedelta(minutes=30)


async def test_failures_in_a_row_are_counted_and_forgotten_after_a_success(
    database: Database, incident: str, now: datetime
) -> None:
    await enqueue(database, incident, now)
    for failures in range(30):
        [job] = await claim(database, now)
        assert job.attempts == failures
        await database.write(
            lambda c, job=job: jobs.postpone(c, job, due_at=now, error="Slack is away")  # type: ignore[misc]
        )
    [job] = await claim(database, now)
    await database.write(lambda c: jobs.postpone(c, job, due_at=now))
    [job] = await claim(database, now)
    assert job.attempts == 0


async def test_what_failed_is_due_at_once_after_a_restart_and_what_only_waits_is_not(
    database: Database, incident: str, now: datetime
) -> None:
    async def restart() -> datetime | None:
        await database.write(lambda c: jobs.hurry_failed(c, [jobs.TELL], now=now))
        return await due(database, now)

    hour = timedelta(hours=1)
    await enqueue(database, incident, now)
    [job] = await claim(database, now)
    await database.write(lambda c: jobs.postpone(c, job, due_at=now + hour))
    assert await restart() == now + hour
    await database.write(lambda c: jobs.postpone(c, job, due_at=now + hour, error="invalid_auth"))
    assert await restart() == now
    [job] = await claim(database, now)
    assert job.attempts == 0
