"""Digests: which incidents are told together, and where that message stands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.model import (
    Digest,
    DigestKind,
    DigestLine,
    Notice,
    NoticeReason,
    ObjectRef,
    Posted,
    Severity,
    State,
)
from aegis_sink.model.codec import notice_to_json
from aegis_sink.store import tables

# While a digest grows and its incidents end, its message is edited once for many changes.
EDIT_DELAY = timedelta(seconds=10)
KEPT_TRUE = timedelta(days=1)

_d = tables.digests.c
_m = tables.digest_incidents.c
_i = tables.incidents.c

_UNTOLD = or_(_d.told_at.is_(None), _d.changed_at > _d.told_at)


@dataclass(frozen=True, slots=True)
class DigestRoot:
    """The message of a digest: intended (`nonce`), posted (`ts`), told as it stood at `told_at`."""

    id: str
    kind: DigestKind
    nonce: str | None
    intended_at: datetime | None
    told_at: datetime | None
    intended_channel: str
    channel: str
    ts: str


def join(
    connection: Connection,
    kind: DigestKind,
    incident_id: str,
    *,
    channel: str,
    fresh_id: str,
    now: datetime,
    due_at: datetime,
    since: datetime,
    editable: bool,
) -> None:
    """Put an incident into the digest of its kind and channel that was opened after `since`, else
    into a new one. One that is back joins again, to be told again.

    Where messages cannot be edited, a digest that was told takes no more.
    """
    query = select(_d.id, _d.told_at).where(
        _d.kind == kind, _d.intended_channel == channel, _d.opened_at > since
    )
    if kind is DigestKind.HINTS or not editable:
        query = query.where(_d.told_at.is_(None), _d.intended_at.is_(None))
    row = connection.execute(query.order_by(_d.opened_at.desc()).limit(1)).first()
    if row is None:
        digest_id = fresh_id
        connection.execute(
            tables.digests.insert().values(
                id=digest_id,
                kind=kind,
                intended_channel=channel,
                opened_at=now,
                due_at=due_at,
                changed_at=now,
            )
        )
    else:
        digest_id = row.id
        _changed(connection, digest_id, now, due_at if row.told_at is None else now + EDIT_DELAY)
    connection.execute(
        insert(tables.digest_incidents)
        .values(digest_id=digest_id, incident_id=incident_id, joined_at=now)
        .on_conflict_do_update(set_={"joined_at": now})
    )


def is_member(connection: Connection, incident_id: str) -> bool:
    """Whether it is told, or will be, together with others."""
    query = select(_m.digest_id).where(_m.incident_id == incident_id).limit(1)
    return connection.execute(query).first() is not None


def incident_changed(connection: Connection, incident_id: str, *, now: datetime) -> None:
    """It began or ended: the messages of the last day that list it are edited."""
    rows = connection.execute(
        select(_d.id)
        .join_from(tables.digest_incidents, tables.digests, _m.digest_id == _d.id)
        .where(_m.incident_id == incident_id, _d.told_at > now - KEPT_TRUE)
    )
    for digest_id in rows.scalars().all():
        _changed(connection, digest_id, now, now + EDIT_DELAY)


def due(connection: Connection, now: datetime) -> tuple[DigestRoot, ...]:
    """Those to be told, or edited because something in them changed."""
    rows = connection.execute(
        select(tables.digests).where(_d.due_at <= now, _UNTOLD).order_by(_d.due_at)
    )
    return tuple(_root(row) for row in rows)


def next_due(connection: Connection) -> datetime | None:
    """When the next one is to be told or edited; None: nothing waits."""
    at: datetime | None = connection.execute(select(func.min(_d.due_at)).where(_UNTOLD)).scalar()
    return at


def get(connection: Connection, digest_id: str) -> Digest:
    """The digest with all its incidents as they stand, those that are muted only counted."""
    row = connection.execute(select(tables.digests).where(_d.id == digest_id)).one()
    members = connection.execute(
        select(
            _i.id,
            _i.cluster,
            _i.title,
            _i.severity,
            _i.state,
            _i.subject_kind,
            _i.subject_namespace,
            _i.subject_name,
            _i.mute_kind,
        )
        .join_from(tables.digest_incidents, tables.incidents, _m.incident_id == _i.id)
        .where(_m.digest_id == digest_id, _i.merged_into.is_(None))
        .order_by(_i.first_seen, _i.id)
    ).all()
    lines = tuple(
        DigestLine(
            one.id,
            one.title,
            Severity(one.severity),
            State(one.state),
            ObjectRef(one.subject_kind, one.subject_name, one.subject_namespace),
        )
        for one in members
        if one.mute_kind is None and one.state != State.SILENCED
    )
    clusters = ", ".join(dict.fromkeys(one.cluster for one in members))
    silenced = len(members) - len(lines)
    return Digest(row.id, DigestKind(row.kind), clusters, row.opened_at, lines, silenced)


def intend(connection: Connection, digest_id: str, nonce: str, *, now: datetime) -> None:
    """Write down that the message is about to be posted, before it is."""
    connection.execute(
        tables.digests.update().where(_d.id == digest_id).values(nonce=nonce, intended_at=now)
    )


def left_as_it_is(connection: Connection, digest_id: str, at: datetime) -> None:
    """What changed until `at` cannot be shown: a message that was posted is not edited there."""
    connection.execute(tables.digests.update().where(_d.id == digest_id).values(told_at=at))


def told(
    connection: Connection, digest: Digest, posted: Posted, *, read_at: datetime, now: datetime
) -> tuple[str, ...]:
    """It was posted or edited as it stood at `read_at`; the ids of the incidents that joined since
    it was told before, and are told by it now."""
    connection.execute(
        tables.digests.update()
        .where(_d.id == digest.id)
        .values(told_at=read_at, channel=posted.channel, ts=posted.ts)
    )
    n = tables.notices.c
    known = set(
        connection.execute(
            select(n.incident_id)
            .join_from(tables.notices, tables.digest_incidents, n.incident_id == _m.incident_id)
            .where(
                _m.digest_id == digest.id,
                n.reason == NoticeReason.DIGEST,
                n.at >= _m.joined_at,
            )
        ).scalars()
    )
    fresh = [
        line for line in digest.lines if line.id not in known and line.state is not State.RESOLVED
    ]
    if fresh:
        connection.execute(
            tables.notices.insert(),
            [
                {
                    "incident_id": line.id,
                    "reason": NoticeReason.DIGEST,
                    "at": now,
                    "data": notice_to_json(
                        Notice(
                            NoticeReason.DIGEST,
                            now,
                            posted.channel,
                            posted.ts,
                            severity=line.severity,
                        )
                    ),
                }
                for line in fresh
            ],
        )
    return tuple(line.id for line in fresh)


def postpone(connection: Connection, digest_id: str, due_at: datetime) -> None:
    """It could not be told; again at `due_at`."""
    connection.execute(tables.digests.update().where(_d.id == digest_id).values(due_at=due_at))


def drop(connection: Connection, digest_id: str) -> None:
    """All that was in it is over before it was told."""
    connection.execute(tables.digests.delete().where(_d.id == digest_id))


def traffic(connection: Connection, since: datetime) -> tuple[int, int, int]:
    """Since then: incidents opened, root messages intended, questions the model answered."""

    def counted(table: Any, condition: Any) -> int:
        query = select(func.count()).select_from(table).where(condition)
        return int(connection.execute(query).scalar_one())

    return (
        counted(tables.incidents, _i.first_seen > since),
        counted(tables.incidents, _i.root_intended_at > since),
        counted(tables.answers, tables.answers.c.at > since),
    )


def _changed(connection: Connection, digest_id: str, now: datetime, due_at: datetime) -> None:
    """A change that waits for its edit already does not wait longer for the next."""
    waits = _d.due_at > now
    connection.execute(tables.digests.update().where(_d.id == digest_id).values(changed_at=now))
    connection.execute(
        tables.digests.update().where(_d.id == digest_id, ~waits).values(due_at=due_at)
    )


def _root(row: Row[*tuple[Any, ...]]) -> DigestRoot:
    return DigestRoot(
        row.id,
        DigestKind(row.kind),
        row.nonce,
        row.intended_at,
        row.told_at,
        row.intended_channel,
        row.channel or "",
        row.ts or "",
    )
