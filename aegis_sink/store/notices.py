"""What was told where: the one root message of an incident, and its log of notices."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from aegis_sink.model import Notice, Posted
from aegis_sink.model.codec import notice_from_json, notice_to_json
from aegis_sink.store import tables

_i = tables.incidents.c


@dataclass(frozen=True, slots=True)
class Root:
    """The one root message of an incident: intended for a channel (`ts` is None), or posted."""

    nonce: str
    channel: str | None
    ts: str | None
    intended_at: datetime | None = None


def root_of(connection: Connection, incident_id: str) -> Root | None:
    """The root message: None when none was ever intended."""
    row = connection.execute(
        select(_i.root_nonce, _i.root_channel, _i.root_ts, _i.root_intended_at).where(
            _i.id == incident_id
        )
    ).one()
    if row.root_nonce is None:
        return None
    return Root(row.root_nonce, row.root_channel, row.root_ts, row.root_intended_at)


def intend_root(
    connection: Connection, incident_id: str, nonce: str, *, channel: str, now: datetime
) -> bool:
    """Write down that a root message is about to be posted to `channel`, before it is.

    False, and nothing may be posted, when the incident was merged into another one meanwhile.
    """
    intended = connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id, _i.merged_into.is_(None))
        .values(root_nonce=nonce, root_channel=channel, root_ts=None, root_intended_at=now)
    )
    return intended.rowcount == 1


def root_posted(connection: Connection, incident_id: str, posted: Posted) -> None:
    """Write down where the root message stands."""
    connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id)
        .values(root_channel=posted.channel, root_ts=posted.ts)
    )


def told(connection: Connection, incident_id: str, notice: Notice, *, root: bool) -> None:
    """A notice went out; with `root` it is the incident's root message."""
    connection.execute(
        tables.notices.insert().values(
            incident_id=incident_id,
            reason=notice.reason,
            at=notice.at,
            data=notice_to_json(notice),
        )
    )
    if root:
        root_posted(connection, incident_id, Posted(notice.channel, notice.ts))


def notices_of(connection: Connection, incident_id: str) -> tuple[Notice, ...]:
    """All notices of an incident, oldest first."""
    n = tables.notices.c
    rows = connection.execute(
        select(tables.notices).where(n.incident_id == incident_id).order_by(n.id)
    )
    return tuple(notice_from_json(row.data) for row in rows)
