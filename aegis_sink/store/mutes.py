"""What keeps an incident from being told, and what it keeps from being told itself."""

from datetime import datetime

from sqlalchemy import Connection, exists, or_, select

from aegis_sink.model import Follower, Mute, State
from aegis_sink.store import tables

MOST_FOLLOWERS = 200

_h = tables.history.c
_i = tables.incidents.c


def may_mute(connection: Connection, incident_id: str) -> bool:
    """Whether others may follow from it."""
    found = connection.execute(select(_i.may_mute).where(_i.id == incident_id)).scalar()
    return bool(found)


def store_mute(connection: Connection, incident_id: str, mute: Mute | None) -> None:
    """What keeps it from being told from now on; None: nothing."""
    connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id)
        .values(
            mute_kind=mute.kind if mute else None,
            mute_by=mute.by if mute else None,
            mute_because=mute.because if mute else None,
            mute_until=mute.until if mute else None,
        )
    )


def muted_by(connection: Connection, by: str) -> tuple[str, ...]:
    """The ids of what is open and muted by a silence, a setting or an incident."""
    rows = connection.execute(
        select(_i.id).where(_i.mute_by == by, _i.merged_into.is_(None), _i.state != State.RESOLVED)
    )
    return tuple(rows.scalars())


def not_muted(connection: Connection, cluster: str, *, since: datetime) -> tuple[str, ...]:
    """The ids of what is open, unmuted and was first seen, or came back, at or after `since`."""
    came_back = exists().where(_h.incident_id == _i.id, _h.what == "reopened", _h.at >= since)
    rows = connection.execute(
        select(_i.id).where(
            _i.cluster == cluster,
            or_(_i.first_seen >= since, came_back),
            _i.mute_by.is_(None),
            _i.merged_into.is_(None),
            _i.state != State.RESOLVED,
        )
    )
    return tuple(rows.scalars())


def followers_of(connection: Connection, incident_id: str) -> tuple[Follower, ...]:
    """What an incident mutes, oldest first."""
    rows = connection.execute(
        select(_i.id, _i.title)
        .where(_i.mute_by == incident_id, _i.merged_into.is_(None), _i.state != State.RESOLVED)
        .order_by(_i.first_seen, _i.id)
        .limit(MOST_FOLLOWERS)
    )
    return tuple(Follower(*row) for row in rows)
