"""Taking in Results: new ones, those that say something else than before, and those that are back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.model import Finding, Severity
from aegis_sink.model.codec import finding_to_json
from aegis_sink.store import endings, history, jobs, merging, mirror, statements, tables
from aegis_sink.store.accept import Arrival, accept
from aegis_sink.store.mirror import Mirrored, Place
from aegis_sink.store.statements import Stored
from aegis_sink.triage.fingerprint import failure_class
from aegis_sink.triage.grouping import is_symptom
from aegis_sink.triage.severity import severity

_f = tables.findings.c
_i = tables.incidents.c


@dataclass(frozen=True, slots=True)
class Seen:
    """A Result that is new or says something else than before, as it is to be taken in."""

    result: Mirrored
    arrival: Arrival


@dataclass(frozen=True, slots=True)
class Taken:
    """How many Results were new problems, said what was known already, or changed their text."""

    new: int = 0
    known: int = 0
    changed: int = 0


def take_in(
    connection: Connection,
    seen: Sequence[Seen],
    before: Mapping[Place, Mirrored],
    *,
    now: datetime,
    hold: timedelta,
) -> Taken:
    """Make incidents of new Results, update those whose Result changed, revive what is back."""
    said = statements.stored_of(connection, [one.result for one in seen])
    fresh: list[Seen] = []
    moved: list[tuple[int, list[Stored]]] = []
    known = changed = 0
    for one in seen:
        finding = one.arrival.sightings[0].finding
        rows = [
            row for row in said[one.result.statement.object] if statements.same(row, one.result)
        ]
        what = failure_class(finding.object.kind, finding.errors)
        same = [row for row in rows if statements.class_of(row) == what]
        if same:
            known += 1
            _refresh(connection, same[0], finding)
            if _how_bad(same[0].finding) is not _how_bad(finding):
                jobs.enqueue(connection, same[0].incident_id, jobs.COLLECT, now)
            _revive(connection, same[0], now)
        elif not rows:
            fresh.append(one)
        elif _changes_in_place(connection, one, rows, what):
            changed += 1
            _change(connection, one, rows, now)
        else:
            changed += 1
            moved.append((len(fresh), rows))
            fresh.append(one)
    made = accept(connection, [one.arrival for one in fresh])
    for number, rows in moved:
        _move(connection, rows, made[number][0].incident_id, now, hold)
    mirror.keep(connection, [one.result for one in seen])
    for one in seen:
        old = before.get(one.result.place)
        if old is not None and old.statement != one.result.statement:
            how = "" if old.object == one.result.object else endings.HIDDEN
            endings.end(
                connection, old, now, hold, how, f"its Result speaks of {one.result.object} now"
            )
    return Taken(len(fresh) - len(moved), known, changed)


def _changes_in_place(connection: Connection, one: Seen, rows: Sequence[Stored], what: str) -> bool:
    """Whether a new text is told of the incident it is in: when nothing else there still fails in
    the old way, and it is not what another incident is about. Symptoms go with any cause."""
    incident_id = statements.current(rows).incident_id
    k = tables.incident_keys.c
    key = one.arrival.sightings[0].key
    about = connection.execute(select(k.incident_id).where(k.key == key)).scalar()
    if about is not None:
        return bool(about == incident_id)
    if is_symptom(one.arrival.sightings[0].finding.errors):
        return True
    others = connection.execute(
        select(_f.id, _f.incident_id, _f.data, _f.gone_at).where(
            _f.incident_id == incident_id,
            _f.gone_at.is_(None),
            _f.id.not_in([row.id for row in rows]),
        )
    )
    return all(
        not row.finding.errors or is_symptom(row.finding.errors) or statements.class_of(row) == what
        for row in map(statements.stored, others)
    )


def _change(connection: Connection, one: Seen, rows: Sequence[Stored], now: datetime) -> None:
    sighting = one.arrival.sightings[0]
    current = statements.current(rows)
    _refresh(connection, current, sighting.finding)
    stale = [r.id for r in rows if r.id != current.id and r.incident_id == current.incident_id]
    if stale:  # it is the same statement in older words
        connection.execute(tables.findings.delete().where(_f.id.in_(stale)))
    if not current.finding.needs_completion:
        connection.execute(
            tables.findings.update()
            .where(_f.id == current.id)
            .values(content_key=sighting.content_key)
        )
    key = insert(tables.incident_keys).values(key=sighting.key, incident_id=current.incident_id)
    connection.execute(key.on_conflict_do_nothing())
    if current.finding.errors:
        said = "; ".join(sighting.finding.errors)[:300]
        history.note(connection, current.incident_id, now, "text changed", said)
    _revive(connection, current, now)
    jobs.enqueue(connection, current.incident_id, jobs.COLLECT, now)


def _move(
    connection: Connection, rows: Sequence[Stored], to: str, now: datetime, hold: timedelta
) -> None:
    """A Result says now what another incident is about. When nothing but symptoms is left of the
    first one, it goes on under the id that people were told of."""
    left = [row for row in rows if row.incident_id != to and not row.gone]
    if not left:
        return
    connection.execute(
        tables.findings.update().where(_f.id.in_([row.id for row in left])).values(gone_at=now)
    )
    for incident_id in dict.fromkeys(row.incident_id for row in left):
        living = connection.execute(
            select(_f.id, _f.incident_id, _f.data, _f.gone_at).where(
                _f.incident_id == incident_id, _f.gone_at.is_(None)
            )
        )
        alone = all(is_symptom(row.finding.errors) for row in map(statements.stored, living))
        nonce = select(_i.root_nonce)
        told = connection.execute(nonce.where(_i.id == incident_id)).scalar() is not None
        other_told = connection.execute(nonce.where(_i.id == to)).scalar() is not None
        if alone and told and not other_told:
            merging.merge(connection, to, incident_id)
            jobs.enqueue(connection, incident_id, jobs.COLLECT, now)
        else:
            said = f"K8sGPT says something else of it now: incident {to}"
            endings.object_gone(
                connection, incident_id, now, hold, "", said, left[0].finding.object
            )


def _refresh(connection: Connection, row: Stored, finding: Finding) -> None:
    """The statement in its newest words."""
    told = row.finding
    fresh = replace(
        told,
        errors=finding.errors,
        details=finding.details or told.details,
        parent=finding.parent or told.parent,
        result=finding.result,
        completed=told.needs_completion,
    )
    if fresh != told:
        connection.execute(
            tables.findings.update().where(_f.id == row.id).values(data=finding_to_json(fresh))
        )


def _how_bad(finding: Finding) -> Severity:
    return severity(finding.object, finding.errors)


def _revive(connection: Connection, row: Stored, now: datetime) -> None:
    connection.execute(
        tables.findings.update()
        .where(_f.id == row.id, _f.gone_at.is_not(None))
        .values(gone_at=None, hidden_at=None, last_seen=now)
    )
    was = connection.execute(
        select(_i.gone_how).where(_i.id == row.incident_id, _i.gone_at.is_not(None))
    ).scalar()
    if was is None:
        return
    connection.execute(
        tables.incidents.update()
        .where(_i.id == row.incident_id)
        .values(gone_at=None, gone_how="", last_seen=now)
    )
    if was != endings.HIDDEN:
        history.note(connection, row.incident_id, now, "back", "K8sGPT reports it again")
