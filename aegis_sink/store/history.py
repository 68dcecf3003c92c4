"""What happened to an incident, line by line."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from aegis_sink.model import HistoryEntry
from aegis_sink.store import tables


def note(
    connection: Connection, incident_id: str, at: datetime, what: str, reason: str = ""
) -> None:
    """Add to an incident's history."""
    connection.execute(
        tables.history.insert().values(incident_id=incident_id, at=at, what=what, reason=reason)
    )


def note_once(
    connection: Connection, incident_id: str, at: datetime, what: str, reason: str
) -> None:
    """Add to an incident's history what did not stand there last for the same reason."""
    h = tables.history.c
    last = connection.execute(
        select(h.reason)
        .where(h.incident_id == incident_id, h.what == what)
        .order_by(h.id.desc())
        .limit(1)
    ).scalar()
    if last != reason:
        note(connection, incident_id, at, what, reason)


def history_of(connection: Connection, incident_id: str) -> tuple[HistoryEntry, ...]:
    """All lines of an incident, oldest first."""
    h = tables.history.c
    rows = connection.execute(
        select(h.at, h.what, h.reason).where(h.incident_id == incident_id).order_by(h.id)
    )
    return tuple(HistoryEntry(*row) for row in rows)


def latest(
    connection: Connection, incident_ids: Sequence[str], what: str
) -> Mapping[str, HistoryEntry]:
    """The last line of its kind of each incident that has one, without its reason."""
    h = tables.history.c
    rows = connection.execute(
        select(h.incident_id, func.max(h.at))
        .where(h.incident_id.in_(incident_ids), h.what == what)
        .group_by(h.incident_id)
    )
    return {incident_id: HistoryEntry(at, what) for incident_id, at in rows}
