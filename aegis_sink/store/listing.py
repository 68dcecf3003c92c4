"""Which incidents there are: pages of a list, what is open, what is open nearby, and how many."""

import base64
import binascii
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from aegis_sink.model import Incident, MuteKind, ObjectRef, State
from aegis_sink.store import history, incidents, statements, tables

MOST_PARENTS = 200
MOST_NEIGHBOURS = 200
CHUNK = 500
_ALONE = ("Node", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_WAITED_FOR = ("PersistentVolumeClaim", "StatefulSet")

_i = tables.incidents.c


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows. `query` is looked for in title, subject and error class."""

    state: str | None = None
    namespace: str | None = None
    query: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of incidents without evidence, newest first, and the cursor of the next."""

    incidents: tuple[Incident, ...]
    next_cursor: str | None


class BadCursor(ValueError):
    """The cursor is not one that a list gave out."""


def page(connection: Connection, wanted: Filter) -> Page:
    """A page of incidents, last seen first."""
    query = select(tables.incidents).where(_i.merged_into.is_(None))
    if wanted.state:
        query = query.where(_in_state(wanted.state))
    if wanted.namespace is not None:
        query = query.where(_i.subject_namespace == wanted.namespace)
    if wanted.query:
        text = wanted.query
        query = query.where(
            or_(
                *(
                    column.icontains(text, autoescape=True)
                    for column in (_i.title, _i.subject_name, _i.subject_kind, _i.failure_class)
                )
            )
        )
    if wanted.cursor:
        seen, last_id = _open_cursor(wanted.cursor)
        query = query.where(or_(_i.last_seen < seen, and_(_i.last_seen == seen, _i.id < last_id)))
    rows = connection.execute(
        query.order_by(_i.last_seen.desc(), _i.id.desc()).limit(wanted.limit + 1)
    ).all()
    shown = rows[: wanted.limit]
    by_incident = incidents.findings_by_incident(connection, [row.id for row in shown])
    found = tuple(incidents.from_row(row, by_incident[row.id]) for row in shown)
    more = len(rows) > wanted.limit and found
    return Page(found, _cursor(found[-1]) if more else None)


def open_ones(connection: Connection, *, parents_only: bool = False) -> tuple[Incident, ...]:
    """What is not over, without evidence, oldest first; with `parents_only` what may mute others,
    those that are the cause by their kind first.

    Of its history it has when it came back, so that `began_at` is right.
    Of parents hundreds are enough: whatever many of one kind mute is muted by the first of them.
    What follows from another incident is none, but a claim is what its pods wait for all the same.
    """
    query = select(tables.incidents).where(_i.merged_into.is_(None), _i.state != State.RESOLVED)
    if parents_only:
        follows = and_(_i.mute_kind.is_not(None), _i.mute_kind == MuteKind.INCIDENT)
        query = query.where(
            _i.may_mute.is_(True), or_(not_(follows), _i.subject_kind.in_(_WAITED_FOR))
        )
        query = query.order_by(_i.subject_kind.not_in(_ALONE)).limit(MOST_PARENTS)
    rows = connection.execute(query.order_by(_i.first_seen, _i.id)).all()
    found: list[Incident] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        ids = [row.id for row in chunk]
        by_incident = incidents.findings_by_incident(connection, ids)
        came_back = history.latest(connection, ids, "reopened")
        for row in chunk:
            entries = (came_back[row.id],) if row.id in came_back else ()
            found.append(incidents.from_row(row, by_incident.get(row.id, ()), history=entries))
    return tuple(found)


def open_in(
    connection: Connection,
    cluster: str,
    namespace: str,
    *,
    names: Collection[str],
    beside_kinds: Collection[str],
    evidence_of: Collection[str],
    shown_by: Collection[ObjectRef] = (),
) -> tuple[Incident, ...]:
    """What is not over in a namespace, oldest first: of subjects with one of the names, of all
    whose kind is none of `beside_kinds`, and what these objects show (`shown_by`). Evidence only
    of the kinds `evidence_of`.
    """
    wanted = [_i.subject_name.in_(names), _i.subject_kind.not_in(beside_kinds)]
    if shown_by:
        objects = [(ref.kind, ref.namespace, ref.name) for ref in shown_by]
        showing = select(tables.findings.c.incident_id).where(statements.one_of(objects))
        wanted.append(_i.id.in_(showing))
    query = select(tables.incidents).where(
        _i.subject_namespace == namespace,
        _i.cluster == cluster,
        _i.merged_into.is_(None),
        _i.state != State.RESOLVED,
        or_(*wanted),
    )
    rows = connection.execute(query.order_by(_i.first_seen, _i.id).limit(MOST_NEIGHBOURS)).all()
    by_incident = incidents.findings_by_incident(connection, [row.id for row in rows])
    return tuple(
        incidents.from_row(row, by_incident[row.id], whole=row.subject_kind in evidence_of)
        for row in rows
    )


def counts(connection: Connection) -> dict[str, int]:
    """State → how many incidents."""
    rows = connection.execute(
        select(_i.state, func.count()).where(_i.merged_into.is_(None)).group_by(_i.state)
    )
    return {row[0]: row[1] for row in rows}


def _in_state(state: str) -> ColumnElement[bool]:
    """As people see it: what a silence mutes is `silenced`, whatever it was."""
    silenced = and_(
        _i.mute_kind == MuteKind.SILENCE, _i.mute_kind.is_not(None), _i.state != State.RESOLVED
    )
    if state == State.SILENCED:
        return or_(_i.state == state, silenced)
    return and_(_i.state == state, or_(_i.mute_kind.is_(None), not_(silenced)))


def _cursor(incident: Incident) -> str:
    seen = tables.UtcTime().process_bind_param(incident.last_seen, None)  # type: ignore[arg-type]
    text = json.dumps([seen, incident.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        seen, last_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        at = tables.EPOCH + timedelta(microseconds=int(seen))
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise BadCursor("cursor is not one that a list gave out; leave it away to start") from error
    return at, str(last_id)
