"""The end of incidents as Results tell it.

An incident whose every statement is gone carries since when (`gone_at`) and how (`gone_how`): ""
its Results were deleted, "hidden" another object took its Result's name, "vanished:NAMESPACE/CR"
with all other Results of that K8sGPT CR.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, exists, func, or_, select

from aegis_sink.model import ObjectRef
from aegis_sink.model.codec import finding_from_json
from aegis_sink.store import decisions, history, jobs, mirror, statements, tables
from aegis_sink.store.mirror import Mirrored

HIDDEN = "hidden"
VANISHED = "vanished:"
WEBHOOK = "webhook"

_f = tables.findings.c
_i = tables.incidents.c
_r = tables.results.c


@dataclass(frozen=True, slots=True)
class Held:
    """Incidents of one K8sGPT CR that ended all at once, and since when they are held."""

    namespace: str
    """Where the CR is: two may have one name."""
    k8sgpt: str
    incidents: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Gone:
    """How an incident ended as far as Results tell.

    `falling`: how many incidents of its K8sGPT CRs ended within the hold. `objects`: all that ever
    showed it, the newest first, but those of which another open incident is told, so that their
    health says nothing of this one.
    """

    at: datetime
    how: str
    falling: int
    objects: tuple[ObjectRef, ...]


def lose(
    connection: Connection, lost: Sequence[Mirrored], *, now: datetime, hold: timedelta
) -> None:
    """These Results are not in the cluster any more."""
    mirror.forget(connection, lost)
    for one in lost:
        end(connection, one, now, hold, "", "K8sGPT deleted its Result")
    places = {one.place for one in lost}
    hidden = connection.execute(
        select(_f.id, _f.incident_id, _f.data).where(_f.hidden_at.is_not(None))
    )
    for row in hidden.all():
        result = finding_from_json(row.data).result
        if result is not None and (result.namespace, result.name) in places:
            _unhide(connection, row.id, row.incident_id, now)
    for cluster, namespace, k8sgpt in {(x.cluster, x.namespace, x.k8sgpt) for x in lost}:
        mine = (_r.cluster == cluster, _r.namespace == namespace, _r.k8sgpt == k8sgpt)
        if connection.execute(select(_r.name).where(*mine).limit(1)).first() is None:
            _vanished(connection, cluster, namespace, k8sgpt, now, hold)


def end_posts_without_result(
    connection: Connection,
    cluster: str,
    namespace: str,
    *,
    before: datetime,
    now: datetime,
    hold: timedelta,
) -> int:
    """What the operator posted `before` a list began, and has no Result in it, is gone.

    Only of K8sGPT CRs of this cluster: another cluster's may post here too. Where only one
    `namespace` was listed ("": all), only what had a Result there: a post does not say where its CR
    is, and two may have one name. What a person posted stays, whether or not there is a Result.
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
        .where(*statements.lives(cluster), _f.gone_at.is_(None), _f.last_seen < before)
        .where(d.door == WEBHOOK, ~backed)
    ).all()
    here = set(
        connection.execute(select(_r.k8sgpt).where(_r.cluster == cluster).distinct()).scalars()
    )
    ended = 0
    for row in rows:
        finding = finding_from_json(row.data)
        listed = finding.result is not None and finding.result.namespace == namespace
        if namespace and not listed:
            continue
        if finding.result is None and row.k8sgpt not in here:
            continue
        gone = Mirrored(cluster, "", "", "", "", row.k8sgpt, finding.object, finding.container)
        end(connection, gone, now, hold, "", "its Result is not in the cluster")
        ended += 1
    return ended


def give_up_hidden(connection: Connection, cluster: str, *, before: datetime, now: datetime) -> int:
    """What has been hidden since `before` counts as over: two that share a Result take turns in it,
    so that the one which is never there again is well."""
    rows = connection.execute(
        select(_f.id, _f.incident_id)
        .join_from(tables.findings, tables.incidents, _f.incident_id == _i.id)
        .where(*statements.lives(cluster), _f.hidden_at < before)
    ).all()
    for row in rows:
        _unhide(connection, row.id, row.incident_id, now)
    return len(rows)


def _unhide(connection: Connection, finding_id: int, incident_id: str, now: datetime) -> None:
    """It is gone like any other, and what is left of its incident has to be found."""
    connection.execute(tables.findings.update().where(_f.id == finding_id).values(hidden_at=None))
    if connection.execute(select(_i.gone_at).where(_i.id == incident_id)).scalar() is None:
        jobs.enqueue(connection, incident_id, jobs.COLLECT, now)


def release(
    connection: Connection, cluster: str, held: Held, *, now: datetime, hold: timedelta
) -> int:
    """A K8sGPT CR whose Results had vanished reports again: what is not back is gone since now."""
    mine = (_i.merged_into.is_(None), _i.gone_how == _vanished_with(held.namespace, held.k8sgpt))
    ids = (
        connection.execute(
            select(_i.id).where(*statements.lives(cluster), _i.gone_at.is_not(None), *mine)
        )
        .scalars()
        .all()
    )
    for incident_id in ids:
        connection.execute(
            tables.incidents.update().where(_i.id == incident_id).values(gone_at=now, gone_how="")
        )
        what = f"K8sGPT CR {held.k8sgpt} reports again, but not this"
        history.note(connection, incident_id, now, "gone", what)
        jobs.enqueue(connection, incident_id, jobs.RESOLVE, now + hold)
    return len(ids)


def held(connection: Connection, cluster: str) -> tuple[Held, ...]:
    """K8sGPT CRs whose Results vanished at once, and what is held because of it."""
    rows = connection.execute(
        select(_i.gone_how, func.count(), func.min(_i.gone_at))
        .where(*statements.lives(cluster), _i.gone_at.is_not(None), _i.merged_into.is_(None))
        .where(_i.gone_how.startswith(VANISHED))
        .group_by(_i.gone_how)
    )
    found = []
    for how, count, since in rows:
        namespace, _, k8sgpt = how.removeprefix(VANISHED).rpartition("/")
        found.append(Held(namespace, k8sgpt, count, since))
    return tuple(found)


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
        .where(*statements.lives(row.cluster), _i.gone_at > since, _f.k8sgpt.in_(mine))
    ).scalar_one()
    objects = connection.execute(
        select(_f.kind, _f.namespace, _f.name)
        .where(_f.incident_id == incident_id)
        .group_by(_f.kind, _f.namespace, _f.name)
        .order_by(func.max(_f.id).desc())
    ).all()
    elsewhere: set[ObjectRef] = set()
    for chunk in statements.chunks([(o.kind, o.namespace, o.name) for o in objects]):
        others = connection.execute(
            select(_f.kind, _f.namespace, _f.name)
            .join_from(tables.findings, tables.incidents, _f.incident_id == _i.id)
            .where(*statements.lives(row.cluster), _i.id != incident_id, _f.gone_at.is_(None))
            .where(statements.one_of(chunk))
        )
        elsewhere |= {ObjectRef(o.kind, o.name, o.namespace) for o in others}
    own = [ObjectRef(o.kind, o.name, o.namespace) for o in objects]
    return Gone(
        row.gone_at, row.gone_how, falling, tuple(ref for ref in own if ref not in elsewhere)
    )


def end(
    connection: Connection, one: Mirrored, now: datetime, hold: timedelta, how: str, said: str
) -> None:
    """Nobody says this any more; an incident that nothing shows now is gone."""
    if mirror.said_by_another(connection, one):
        return
    rows = [
        row
        for row in statements.stored_of(connection, [one])[one.object]
        if statements.same(row, one) and not row.gone
    ]
    connection.execute(
        tables.findings.update()
        .where(_f.id.in_([row.id for row in rows]))
        .values(gone_at=now, hidden_at=now if how == HIDDEN else None)
    )
    for incident_id in dict.fromkeys(row.incident_id for row in rows):
        object_gone(connection, incident_id, now, hold, how, said, one.object)


def object_gone(
    connection: Connection,
    incident_id: str,
    now: datetime,
    hold: timedelta,
    how: str,
    said: str,
    ref: ObjectRef,
) -> None:
    """One object less shows an incident: it is gone with the last."""
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
        decisions.hold(connection, incident_id, at=now, until=now + hold)
    jobs.enqueue(connection, incident_id, jobs.RESOLVE, now + hold)


def _vanished_with(namespace: str, k8sgpt: str) -> str:
    return f"{VANISHED}{namespace}/{k8sgpt}"


def _vanished(
    connection: Connection,
    cluster: str,
    namespace: str,
    k8sgpt: str,
    now: datetime,
    hold: timedelta,
) -> None:
    """The last Result of a K8sGPT CR is gone. Problems of several workloads do not end in one
    moment, but an analysis that failed, or the end of the CR, looks like it. What followed from
    one that ended, as from a node that was away, is no problem of its own."""
    result_in = func.json_extract(_f.data, "$.result.namespace")
    found = connection.execute(
        select(
            _i.id,
            _i.gone_at,
            _i.subject_kind,
            _i.subject_namespace,
            _i.subject_name,
            _i.mute_by,
        )
        .join_from(tables.incidents, tables.findings, _f.incident_id == _i.id)
        .where(*statements.lives(cluster), _i.gone_at.is_not(None), _f.k8sgpt == k8sgpt)
        # A post names the CR without its namespace.
        .where(or_(result_in.is_(None), result_in == namespace))
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
    fallen = {row.id for row in rows}
    if len({tuple(row)[2:5] for row in rows if row.mute_by not in fallen}) < 2:
        return
    what = (
        f"all Results of K8sGPT CR {k8sgpt or '(no name)'} vanished at once, of {len(rows)} "
        "incidents: rather a failed analysis or a deleted CR than so many repairs"
    )
    how = _vanished_with(namespace, k8sgpt)
    for chunk in statements.chunks([row.id for row in rows]):
        connection.execute(tables.incidents.update().where(_i.id.in_(chunk)).values(gone_how=how))
    connection.execute(
        tables.history.insert(),
        [{"incident_id": row.id, "at": now, "what": "held", "reason": what} for row in rows],
    )


def _noted(connection: Connection, incident_id: str, what: str) -> bool:
    h = tables.history.c
    query = select(h.id).where(and_(h.incident_id == incident_id, h.what == what)).limit(1)
    return connection.execute(query).first() is not None
