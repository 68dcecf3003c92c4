"""Durable jobs: which incident needs which stage, when, and who works on it.

One row per incident and stage. Enqueueing again while a job runs raises its generation, so that
finishing it leaves it due once more: nothing that arrives in between is missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, func, literal, or_, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.store.tables import UtcTime, jobs

COLLECT = "collect"
RECHECK = "recheck"
DIAGNOSE = "diagnose"
TELL = "tell"
RESOLVE = "resolve"
PRESS = "press"
FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was claimed. `attempts` counts failed runs before this one."""

    incident_id: str
    kind: str
    generation: int
    attempts: int


_insert = insert(jobs)
_ENQUEUE = _insert.on_conflict_do_update(
    index_elements=["incident_id", "kind"],
    set_={
        "due_at": case(
            (jobs.c.due_at < _insert.excluded.due_at, jobs.c.due_at),
            else_=_insert.excluded.due_at,
        ),
        "generation": jobs.c.generation + 1,
    },
)


def enqueue_many(connection: Connection, due: Mapping[tuple[str, str], datetime]) -> None:
    """Make (incident, stage) due; the earlier time wins when it is due already."""
    if due:
        connection.execute(
            _ENQUEUE,
            [
                {"incident_id": incident_id, "kind": kind, "due_at": at}
                for (incident_id, kind), at in due.items()
            ],
        )


def enqueue(connection: Connection, incident_id: str, kind: str, due_at: datetime) -> None:
    """Make one stage of one incident due."""
    enqueue_many(connection, {(incident_id, kind): due_at})


def claim(
    connection: Connection,
    kind: str,
    *,
    limit: int,
    owner: str,
    now: datetime,
    lease: timedelta,
) -> tuple[Job, ...]:
    """Take up to `limit` due jobs of one stage, oldest first, and lease them to `owner`."""
    free = or_(jobs.c.leased_until.is_(None), jobs.c.leased_until < now)
    due = (
        select(jobs.c.incident_id)
        .where(jobs.c.kind == kind, jobs.c.due_at <= now, free)
        .order_by(jobs.c.due_at)
        .limit(limit)
    )
    taken = connection.execute(
        jobs.update()
        .where(jobs.c.kind == kind, jobs.c.incident_id.in_(due), free)
        .values(lease_owner=owner, leased_until=now + lease)
        .returning(jobs.c.incident_id, jobs.c.kind, jobs.c.generation, jobs.c.attempts)
    )
    return tuple(Job(*row) for row in taken)


def finish(connection: Connection, job: Job, *, now: datetime) -> None:
    """Done: the job goes, unless it was enqueued again meanwhile; then it is due at once."""
    mine = and_(jobs.c.incident_id == job.incident_id, jobs.c.kind == job.kind)
    connection.execute(jobs.delete().where(mine, jobs.c.generation == job.generation))
    connection.execute(
        jobs.update()
        .where(mine)
        .values(due_at=now, attempts=0, lease_owner=None, leased_until=None, last_error=None)
    )


def drop(connection: Connection, incident_id: str, kind: str) -> None:
    """Nobody needs it any more; what runs already ends by itself."""
    connection.execute(
        jobs.delete().where(
            jobs.c.incident_id == incident_id, jobs.c.kind == kind, jobs.c.leased_until.is_(None)
        )
    )


def postpone(
    connection: Connection, job: Job, *, due_at: datetime, error: str | None = None
) -> None:
    """Not done: due again at `due_at`. With `error` it counts as one more failure in a row.

    What was enqueued meanwhile keeps its own, earlier time.
    """
    connection.execute(
        jobs.update()
        .where(jobs.c.incident_id == job.incident_id, jobs.c.kind == job.kind)
        .values(
            due_at=case(
                (jobs.c.generation == job.generation, literal(due_at, UtcTime())),
                else_=jobs.c.due_at,
            ),
            attempts=0 if error is None else job.attempts + 1,
            lease_owner=None,
            leased_until=None,
            last_error=error,
        )
    )


def extend(connection: Connection, running: Sequence[Job], *, owner: str, until: datetime) -> None:
    """Renew the leases of jobs that still run."""
    for job in running:
        connection.execute(
            jobs.update()
            .where(
                jobs.c.incident_id == job.incident_id,
                jobs.c.kind == job.kind,
                jobs.c.lease_owner == owner,
            )
            .values(leased_until=until)
        )


def release_all(connection: Connection) -> None:
    """Free every lease. Right only while no other process works on this database."""
    connection.execute(jobs.update().values(lease_owner=None, leased_until=None))


def hurry_failed(connection: Connection, kinds: Sequence[str], *, now: datetime) -> None:
    """Make what failed and waits due at once: somebody may have set right what refused it."""
    connection.execute(
        jobs.update()
        .where(jobs.c.kind.in_(kinds), jobs.c.last_error.is_not(None), jobs.c.due_at > now)
        .values(due_at=now, attempts=0)
    )


def next_due(connection: Connection, kinds: Sequence[str], *, now: datetime) -> datetime | None:
    """When the next job of these stages that nobody works on is due; None when there is none."""
    free = or_(jobs.c.leased_until.is_(None), jobs.c.leased_until < now)
    at: datetime | None = connection.execute(
        select(func.min(jobs.c.due_at)).where(jobs.c.kind.in_(kinds), free)
    ).scalar()
    return at


def pending(connection: Connection, incident_id: str) -> frozenset[str]:
    """The stages an incident still waits for."""
    rows = connection.execute(select(jobs.c.kind).where(jobs.c.incident_id == incident_id))
    return frozenset(rows.scalars())


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stage that an incident waits for; `last_error` is why it failed the last time."""

    kind: str
    due_at: datetime
    attempts: int
    last_error: str


def waiting(connection: Connection, incident_id: str) -> tuple[Waiting, ...]:
    """What an incident waits for, the next first."""
    rows = connection.execute(
        select(jobs.c.kind, jobs.c.due_at, jobs.c.attempts, jobs.c.last_error)
        .where(jobs.c.incident_id == incident_id)
        .order_by(jobs.c.due_at)
    )
    return tuple(Waiting(row.kind, row.due_at, row.attempts, row.last_error or "") for row in rows)


def counts(connection: Connection) -> dict[str, int]:
    """Stage → jobs that wait or run."""
    rows = connection.execute(select(jobs.c.kind, func.count()).group_by(jobs.c.kind))
    return {row[0]: row[1] for row in rows}


def failing(connection: Connection) -> dict[str, int]:
    """Stage → jobs that failed the last time; 0 where none did."""
    rows = connection.execute(
        select(jobs.c.kind, func.count(jobs.c.last_error)).group_by(jobs.c.kind)
    )
    return {row[0]: row[1] for row in rows}
