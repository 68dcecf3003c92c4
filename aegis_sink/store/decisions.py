"""What the service decided of an incident, with its own settings, so that `why` need not guess."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from aegis_sink.store import jobs, tables

HELD = "held"
MAY_COME_BACK = "K8sGPT no longer reports it; it may come back"

_d = tables.decisions.c
_i = tables.incidents.c


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision of a stage: `what` by name, `because` for people, `wait_until` when it is looked
    at again although nothing happens. `route` is the one it would be told by, "" where none is asked.
    """

    at: datetime
    stage: str
    what: str
    because: str
    wait_until: datetime | None = None
    route: str = ""


def keep(connection: Connection, incident_id: str, decided: Decided) -> None:
    """Add a decision; one like the stage's last changes only when that is looked at again."""
    last = connection.execute(
        select(_d.id, _d.what, _d.because, _d.route)
        .where(_d.incident_id == incident_id, _d.stage == decided.stage)
        .order_by(_d.id.desc())
        .limit(1)
    ).first()
    if last is not None and (last.what, last.because) == (decided.what, decided.because):
        connection.execute(
            tables.decisions.update()
            .where(_d.id == last.id)
            .values(wait_until=decided.wait_until, route=decided.route or last.route)
        )
        return
    if connection.execute(select(_i.id).where(_i.id == incident_id)).first() is None:
        return  # it was dropped, being old, while the stage ran
    _add(connection, incident_id, decided)


def hold(connection: Connection, incident_id: str, *, at: datetime, until: datetime) -> None:
    """What nothing shows any more is not over yet: a new hold, also where there was one before."""
    _add(connection, incident_id, Decided(at, jobs.RESOLVE, HELD, MAY_COME_BACK, until))


def decisions_of(connection: Connection, incident_id: str) -> tuple[Decided, ...]:
    """All decisions of an incident, oldest first."""
    rows = connection.execute(
        select(_d.at, _d.stage, _d.what, _d.because, _d.wait_until, _d.route)
        .where(_d.incident_id == incident_id)
        .order_by(_d.id)
    )
    return tuple(Decided(*row) for row in rows)


def _add(connection: Connection, incident_id: str, decided: Decided) -> None:
    connection.execute(
        tables.decisions.insert().values(
            incident_id=incident_id,
            at=decided.at,
            stage=decided.stage,
            what=decided.what,
            because=decided.because,
            wait_until=decided.wait_until,
            route=decided.route,
        )
    )
