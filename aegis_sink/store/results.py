"""The cluster's Results as they were last seen, and what their coming, changing and going means.

The table `results` mirrors the cluster: each list is compared with it, so that a Result which says
what it said is no new occurrence, whatever its resourceVersion. An incident whose every statement
is gone carries since when (`gone_at`) and how (`gone_how`): "" its Results were deleted, "hidden"
another object took its Result's name, "vanished:CR" with all other Results of that K8sGPT CR.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.model import Finding, ObjectRef, State
from aegis_sink.model.codec import finding_from_json, finding_to_json
from aegis_sink.store import history, jobs, merging, tables
from aegis_sink.store.accept import Arrival, accept
from aegis_sink.triage.fingerprint import failure_class

HIDDEN = "hidden"
VANISHED = "vanished:"
WEBHOOK = "webhook"
CHUNK = 300

T = TypeVar("T")

_f = tables.findings.c
_i = tables.incidents.c
_r = tables.results.c

Place = tuple[str, str]
"""Namespace and name of a Result."""


_FORGET = tables.results.delete().where(
    _r.cluster == bindparam("of"),
    _r.namespace == bindparam("within"),
    _r.name == bindparam("named"),
)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """One Result as it was last seen: what it says (`digest`) and of which object."""

    cluster: str
    namespace: str
    name: str
    uid: str
    digest: str
    k8sgpt: str
    object: ObjectRef
    container: str

    @property
    def place(self) -> Place:
        """Where it is kept. Not what it speaks of: names collide (facts/k8sgpt.md §0.10)."""
        return self.namespace, self.name

    @property
    def statement(self) -> "Statement":
        """Who says something of what."""
        return Statement(self.k8sgpt, self.object, self.container)


class Statement(NamedTuple):
    """A K8sGPT CR says something of an object (of one container of it: the Log analyzer)."""

    k8sgpt: str
    object: ObjectRef
    container: str


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


@dataclass(frozen=True, slots=True)
class Held:
    """Incidents of one K8sGPT CR that ended all at once, and since when they are held."""

    k8sgpt: str
    incidents: int
    since: datetime


class _Row(NamedTuple):
    """A finding of an incident that is not over."""

    id: int
    incident_id: str
    finding: Finding
    gone: bool


def mirror(connection: Connection, cluster: str) -> dict[Place, Mirrored]:
    """All Results as they were last seen. Without those of whose object nothing is kept: they are
    to be taken in anew."""
    kept = exists().where(
        _f.kind == _r.kind, _f.namespace == _r.object_namespace, _f.name == _r.object_name
    )
    rows = connection.execute(select(tables.results).where(_r.cluster == cluster, kept))
    return {(row.namespace, row.name): _mirrored(row) for row in rows}


def take_in(
    connection: Connection,
    seen: Sequence[Seen],
    before: Mapping[Place, Mirrored],
    *,
    now: datetime,
    hold: timedelta,
) -> Taken:
    """Make incidents of new Results, update those whose Result changed, revive what is back."""
    said = _said(connection, [one.result for one in seen])
    fresh: list[Seen] = []
    moved: list[tuple[int, list[_Row]]] = []
    known = changed = 0
    for one in seen:
        finding = one.arrival.sightings[0].finding
        rows = [row for row in said[one.result.statement.object] if _same(row, one.result)]
        what = failure_class(finding.object.kind, finding.errors)
        same = [row for row in rows if _class(row) == what]
        if same:
            known += 1
            _refresh(connection, same[0], finding)
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
    _store(connection, [one.result for one in seen])
    for one in seen:
        old = before.get(one.result.place)
        if old is not None and old.statement != one.result.statement:
            how = "" if old.object == one.result.object else HIDDEN
            _end(connection, old, now, hold, how, f"its Result speaks of {one.result.object} now")
    return Taken(len(fresh) - len(moved), known, changed)


def lose(
    connection: Connection, lost: Sequence[Mirrored], *, now: datetime, hold: timedelta
) -> None:
    """These Results are not in the cluster any more."""
    if lost:
        connection.execute(
            _FORGET,
            [{"of": one.cluster, "within": one.namespace, "named": one.name} for one in lost],
        )
    for one in lost:
        _end(connection, one, now, hold, "", "K8sGPT deleted its Result")
    for cluster, namespace, k8sgpt in {(x.cluster, x.namespace, x.k8sgpt) for x in lost}:
        mine = (_r.cluster == cluster, _r.namespace == namespace, _r.k8sgpt == k8sgpt)
        if connection.execute(select(_r.name).where(*mine).limit(1)).first() is None:
            _vanished(connection, cluster, k8sgpt, now, hold)


def end_posts_without_result(
    connection: Connection, cluster: str, *, before: datetime, now: datetime, hold: timedelta
) -> int:
    """What the operator posted `before` a list began, and has no Result in it, is gone.

    Only of K8sGPT CRs of this cluster: another cluster's may post here too. What a person posted
    stays, whether or not there is a Result.
    """
    d = tables.deliveries.c
    backed = exists().where(
        _r.cluster == cluster,
        _r.kind == _f.kind,
        _r.object_namespace == _f.namespace,
        _r.object_name == _f.name,
        or_(_r.k8sgpt == _f.k8sgpt, _f.k8sgpt == ""),
    )
    rows = connection.execute(
        select(_f.k8sgpt, _f.data)
        .join_from(tables.findings, tables.incidents, _f.incident_id == _i.id)
        .join(tables.deliveries, d.id == _f.delivery_id)
        .where(*_lives(cluster), _f.gone_at.is_(None), _f.last_seen < before)
        .where(d.door == WEBHOOK, ~backed)
    ).all()
    here = set(
        connection.execute(select(_r.k8sgpt).where(_r.cluster == cluster).distinct()).scalars()
    )
    ended = 0
    for row in rows:
        finding = finding_from_json(row.data)
        if finding.result is None and row.k8sgpt not in here:
            continue
        gone = Mirrored(cluster, "", "", "", "", row.k8sgpt, finding.object, finding.container)
        _end(connection, gone, now, hold, "", "its Result is not in the cluster")
        ended += 1
    return ended


def release(
    connection: Connection, cluster: str, k8sgpt: str, *, now: datetime, hold: timedelta
) -> int:
    """A K8sGPT CR whose Results had vanished reports again: what is not back is gone since now."""
    mine = (_i.merged_into.is_(None), _i.gone_how == VANISHED + k8sgpt)
    ids = (
        connection.execute(select(_i.id).where(*_lives(cluster), _i.gone_at.is_not(None), *mine))
        .scalars()
        .all()
    )
    for incident_id in ids:
        connection.execute(
            tables.incidents.update().where(_i.id == incident_id).values(gone_at=now, gone_how="")
        )
        what = f"K8sGPT CR {k8sgpt} reports again, but not this"
        history.note(connection, incident_id, now, "gone", what)
        jobs.enqueue(connection, incident_id, jobs.RESOLVE, now + hold)
    return len(ids)


def held(connection: Connection, cluster: str) -> tuple[Held, ...]:
    """K8sGPT CRs whose Results vanished at once, and what is held because of it."""
    rows = connection.execute(
        select(_i.gone_how, func.count(), func.min(_i.gone_at))
        .where(*_lives(cluster), _i.gone_at.is_not(None), _i.merged_into.is_(None))
        .where(_i.gone_how.startswith(VANISHED))
        .group_by(_i.gone_how)
    )
    return tuple(Held(how.removeprefix(VANISHED), count, since) for how, count, since in rows)


@dataclass(frozen=True, slots=True)
class Gone:
    """How an incident ended as far as Results tell.

    `falling`: how many incidents of its K8sGPT CRs ended within the hold. `elsewhere`: objects of
    which another open incident is told, so that their health says nothing of this one.
    """

    at: datetime
    how: str
    falling: int
    elsewhere: frozenset[ObjectRef]


def gone(connection: Connection, incident_id: str, *, since: datetime) -> Gone | None:
    """How an incident ended; None when it is still shown."""
    row = connection.execute(
        select(_i.gone_at, _i.gone_how, _i.cluster).where(_i.id == incident_id)
    ).first()
    if row is None or row.gone_at is None:
        return None
    mine = select(_f.k8sgpt).where(_f.incident_id == incident_id)
    falling = connection.execute(
        select(func.count(func.distinct(_i.id)))
        .join_from(tables.incidents, tables.findings, _f.incident_id == _i.id)
        .where(*_lives(row.cluster), _i.gone_at > since, _f.k8sgpt.in_(mine))
    ).scalar_one()
    objects = connection.execute(
        select(_f.kind, _f.namespace, _f.name).where(_f.incident_id == incident_id).distinct()
    ).all()
    elsewhere: set[ObjectRef] = set()
    for chunk in _chunks([(o.kind, o.namespace, o.name) for o in objects]):
        others = connection.execute(
            select(_f.kind, _f.namespace, _f.name)
            .join_from(tables.findings, tables.incidents, _f.incident_id == _i.id)
            .where(*_lives(row.cluster), _i.id != incident_id, _f.gone_at.is_(None))
            .where(_one_of(chunk))
        )
        elsewhere |= {ObjectRef(o.kind, o.name, o.namespace) for o in others}
    return Gone(row.gone_at, row.gone_how, falling, frozenset(elsewhere))


def _end(
    connection: Connection, one: Mirrored, now: datetime, hold: timedelta, how: str, said: str
) -> None:
    """Nobody says this any more; an incident that nothing shows now is gone."""
    if _said_elsewhere(connection, one):
        return
    rows = [row for row in _said(connection, [one])[one.object] if _same(row, one) and not row.gone]
    connection.execute(
        tables.findings.update().where(_f.id.in_([row.id for row in rows])).values(gone_at=now)
    )
    for incident_id in dict.fromkeys(row.incident_id for row in rows):
        _gone(connection, incident_id, now, hold, how, said, one.object)


def _gone(
    connection: Connection,
    incident_id: str,
    now: datetime,
    hold: timedelta,
    how: str,
    said: str,
    ref: ObjectRef,
) -> None:
    living = select(_f.id).where(_f.incident_id == incident_id, _f.gone_at.is_(None)).limit(1)
    if connection.execute(living).first() is not None:
        if how != HIDDEN:
            history.note(connection, incident_id, now, "object gone", f"{ref}: {said}")
        return
    connection.execute(
        tables.incidents.update().where(_i.id == incident_id).values(gone_at=now, gone_how=how)
    )
    # Two objects whose Results share a name take turns at each analysis: that is said once.
    if how != HIDDEN or not _noted(connection, incident_id, HIDDEN):
        history.note(connection, incident_id, now, how or "gone", said)
    jobs.enqueue(connection, incident_id, jobs.RESOLVE, now + hold)


def _vanished(
    connection: Connection, cluster: str, k8sgpt: str, now: datetime, hold: timedelta
) -> None:
    """The last Result of a K8sGPT CR is gone. Problems of several workloads do not end in one
    moment, but an analysis that failed, or the end of the CR, looks like it."""
    found = connection.execute(
        select(_i.id, _i.gone_at, _i.subject_kind, _i.subject_namespace, _i.subject_name)
        .join_from(tables.incidents, tables.findings, _f.incident_id == _i.id)
        .where(*_lives(cluster), _i.gone_at.is_not(None), _f.k8sgpt == k8sgpt)
        .distinct()
        .order_by(_i.gone_at.desc())
    )
    rows = []
    latest = now
    for row in found:  # the operator deletes one after the other: one fall has no long pause
        if row.gone_at < latest - hold:
            break
        latest = row.gone_at
        rows.append(row)
    if len({tuple(row)[2:] for row in rows}) < 2:
        return
    what = (
        f"all Results of K8sGPT CR {k8sgpt or '(no name)'} vanished at once, of {len(rows)} "
        "incidents: rather a failed analysis or a deleted CR than so many repairs"
    )
    for chunk in _chunks([row.id for row in rows]):
        connection.execute(
            tables.incidents.update().where(_i.id.in_(chunk)).values(gone_how=VANISHED + k8sgpt)
        )
    connection.execute(
        tables.history.insert(),
        [{"incident_id": row.id, "at": now, "what": "held", "reason": what} for row in rows],
    )


def _changes_in_place(connection: Connection, one: Seen, rows: Sequence[_Row], what: str) -> bool:
    """Whether a new text is told of the incident it is in: when nothing else there still fails in
    the old way, and it is not what another incident is about."""
    incident_id = _current(rows).incident_id
    k = tables.incident_keys.c
    key = one.arrival.sightings[0].key
    about = connection.execute(select(k.incident_id).where(k.key == key)).scalar()
    if about is not None:
        return bool(about == incident_id)
    others = connection.execute(
        select(_f.id, _f.incident_id, _f.data, _f.gone_at).where(
            _f.incident_id == incident_id,
            _f.gone_at.is_(None),
            _f.id.not_in([row.id for row in rows]),
        )
    )
    return all(not row.finding.errors or _class(row) == what for row in map(_row, others))


def _change(connection: Connection, one: Seen, rows: Sequence[_Row], now: datetime) -> None:
    sighting = one.arrival.sightings[0]
    current = _current(rows)
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
    connection: Connection, rows: Sequence[_Row], to: str, now: datetime, hold: timedelta
) -> None:
    """A Result says now what another incident is about. When nothing is left of the first one, it
    goes on under the id that people were told of."""
    left = [row for row in rows if row.incident_id != to and not row.gone]
    if not left:
        return
    connection.execute(
        tables.findings.update().where(_f.id.in_([row.id for row in left])).values(gone_at=now)
    )
    for incident_id in dict.fromkeys(row.incident_id for row in left):
        living = select(_f.id).where(_f.incident_id == incident_id, _f.gone_at.is_(None)).limit(1)
        alone = connection.execute(living).first() is None
        nonce = select(_i.root_nonce)
        told = connection.execute(nonce.where(_i.id == incident_id)).scalar() is not None
        other_told = connection.execute(nonce.where(_i.id == to)).scalar() is not None
        if alone and told and not other_told:
            merging.merge(connection, to, incident_id)
            jobs.enqueue(connection, incident_id, jobs.COLLECT, now)
        else:
            said = f"K8sGPT says something else of it now: incident {to}"
            _gone(connection, incident_id, now, hold, "", said, left[0].finding.object)


def _refresh(connection: Connection, row: _Row, finding: Finding) -> None:
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


def _revive(connection: Connection, row: _Row, now: datetime) -> None:
    connection.execute(
        tables.findings.update()
        .where(_f.id == row.id, _f.gone_at.is_not(None))
        .values(gone_at=None, last_seen=now)
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
    if was != HIDDEN:
        history.note(connection, row.incident_id, now, "back", "K8sGPT reports it again")


def _said(connection: Connection, wanted: Iterable[Mirrored]) -> Mapping[ObjectRef, Sequence[_Row]]:
    """What incidents that are not over hold of these objects, oldest first."""
    found: dict[ObjectRef, list[_Row]] = defaultdict(list)
    by_cluster: dict[str, set[ObjectRef]] = defaultdict(set)
    for one in wanted:
        by_cluster[one.cluster].add(one.object)
    for cluster, refs in by_cluster.items():
        for chunk in _chunks([(ref.kind, ref.namespace, ref.name) for ref in refs]):
            rows = connection.execute(
                select(_f.id, _f.incident_id, _f.data, _f.gone_at)
                .join_from(tables.findings, tables.incidents, _f.incident_id == _i.id)
                .where(*_lives(cluster), _one_of(chunk))
                .order_by(_f.id)
            )
            for row in map(_row, rows):
                found[row.finding.object].append(row)
    return found


def _said_elsewhere(connection: Connection, one: Mirrored) -> bool:
    """Whether another Result says something of the same by a CR of the same name."""
    query = select(_r.name).where(
        _r.cluster == one.cluster,
        _r.kind == one.object.kind,
        _r.object_namespace == one.object.namespace,
        _r.object_name == one.object.name,
        _r.container == one.container,
        _r.k8sgpt == one.k8sgpt,
    )
    return connection.execute(query.limit(1)).first() is not None


def _store(connection: Connection, results: Sequence[Mirrored]) -> None:
    into = insert(tables.results)
    names = ("uid", "digest", "k8sgpt", "kind", "object_namespace", "object_name", "container")
    upsert = into.on_conflict_do_update(
        index_elements=["cluster", "namespace", "name"],
        set_={name: into.excluded[name] for name in names},
    )
    if results:
        connection.execute(upsert, [_values(one) for one in results])


def _values(one: Mirrored) -> dict[str, str]:
    return {
        "cluster": one.cluster,
        "namespace": one.namespace,
        "name": one.name,
        "uid": one.uid,
        "digest": one.digest,
        "k8sgpt": one.k8sgpt,
        "kind": one.object.kind,
        "object_namespace": one.object.namespace,
        "object_name": one.object.name,
        "container": one.container,
    }


def _mirrored(row: Row[*tuple[Any, ...]]) -> Mirrored:
    return Mirrored(
        row.cluster,
        row.namespace,
        row.name,
        row.uid,
        row.digest,
        row.k8sgpt,
        ObjectRef(row.kind, row.object_name, row.object_namespace),
        row.container,
    )


def _row(row: Row[*tuple[Any, ...]]) -> _Row:
    return _Row(row.id, row.incident_id, finding_from_json(row.data), row.gone_at is not None)


def _same(row: _Row, one: Mirrored) -> bool:
    # Operators before v0.0.22 do not name the CR.
    return row.finding.container == one.container and row.finding.k8sgpt in (one.k8sgpt, "")


def _current(rows: Sequence[_Row]) -> _Row:
    """The newest that is still said, else the newest."""
    return max(rows, key=lambda row: (not row.gone, row.id))


def _class(row: _Row) -> str:
    return failure_class(row.finding.object.kind, row.finding.errors)


def _lives(cluster: str) -> tuple[ColumnElement[bool], ...]:
    # Findings of a merged incident move. Asking for `merged_into` beside them would have SQLite
    # go through all incidents by that index.
    return (_i.cluster == cluster, _i.state != State.RESOLVED)


def _one_of(objects: Sequence[tuple[str, str, str]]) -> ColumnElement[bool]:
    """Kind, namespace and name. SQLite takes the index for this, and goes through all rows for
    `(kind, namespace, name) IN (…)`."""
    return or_(
        *(
            and_(_f.kind == kind, _f.namespace == namespace, _f.name == name)
            for kind, namespace, name in objects
        )
    )


def _noted(connection: Connection, incident_id: str, what: str) -> bool:
    h = tables.history.c
    query = select(h.id).where(and_(h.incident_id == incident_id, h.what == what)).limit(1)
    return connection.execute(query).first() is not None


def _chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
