"""What was forwarded of an incident: written down before it is sent, so that a crash changes no id."""

from datetime import datetime

from sqlalchemy import Connection, select

from aegis_sink.model import Notice
from aegis_sink.model.codec import notice_from_json, notice_to_json
from aegis_sink.store import tables

_f = tables.forwarded.c


def forwarded(connection: Connection, incident_id: str) -> tuple[Notice, ...]:
    """What was said of an incident, or is about to be, oldest first."""
    rows = connection.execute(
        select(_f.data).where(_f.incident_id == incident_id).order_by(_f.number)
    )
    return tuple(notice_from_json(data) for data in rows.scalars())


def unsent(connection: Connection, incident_id: str) -> tuple[str, Notice] | None:
    """The event (its id, what it says) that was written down and is not known to have arrived."""
    row = connection.execute(
        select(_f.event_id, _f.data)
        .where(_f.incident_id == incident_id, _f.sent_at.is_(None))
        .order_by(_f.number)
    ).first()
    return None if row is None else (row.event_id, notice_from_json(row.data))


def intend(connection: Connection, incident_id: str, event_id: str, notice: Notice) -> None:
    """Write down that an event is about to be sent."""
    connection.execute(
        tables.forwarded.insert().values(
            event_id=event_id, incident_id=incident_id, data=notice_to_json(notice)
        )
    )


def sent(connection: Connection, event_id: str, *, at: datetime) -> None:
    """The other side took it."""
    connection.execute(tables.forwarded.update().where(_f.event_id == event_id).values(sent_at=at))
