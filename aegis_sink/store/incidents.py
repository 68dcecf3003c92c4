"""Incidents as they stand: reading them whole, listing them, and writing down what was learnt."""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, not_, or_, select

from aegis_sink.model import (
    Collected,
    Diagnosis,
    Feedback,
    Finding,
    Follower,
    HistoryEntry,
    Incident,
    Mute,
    MuteKind,
    Notice,
    ObjectRef,
    Posted,
    Severity,
    State,
)
from aegis_sink.model.codec import (
    diagnosis_from_json,
    diagnosis_to_json,
    evidence_from_json,
    evidence_to_json,
    finding_from_json,
    finding_to_json,
    notice_from_json,
    notice_to_json,
)
from aegis_sink.store import digests, jobs, tables
from aegis_sink.store.feedback import feedback_of

# What followed from an incident goes away by itself after it, most times.
FOLLOW_DELAY = timedelta(minutes=2)
MOST_PARENTS = 200
MOST_NEIGHBOURS = 200
MOST_FOLLOWERS = 200
CHUNK = 500

_i = tables.incidents.c
_f = tables.findings.c


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding with its row id, how often it was seen, and when for the last time."""

    id: int
    finding: Finding
    times: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Root:
    """The one root message of an incident: intended (`ts` is None) or posted."""

    nonce: str
    channel: str | None
    ts: str | None
    intended_at: datetime | None = None


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


def resolve_id(connection: Connection, incident_id: str) -> str | None:
    """The id an incident lives under today: itself, or the one it was merged into; None: unknown."""
    for _ in range(16):  # merges never chain deeper; a loop in the data must not hang a request
        row = connection.execute(select(_i.id, _i.merged_into).where(_i.id == incident_id)).first()
        if row is None:
            return None
        if row.merged_into is None:
            return str(row.id)
        incident_id = row.merged_into
    return None


def get(connection: Connection, incident_id: str) -> Incident | None:
    """The whole incident, also under the id of one that was merged into it; None: unknown."""
    current = resolve_id(connection, incident_id)
    if current is None:
        return None
    row = connection.execute(select(tables.incidents).where(_i.id == current)).one()
    return _incident(
        row,
        findings_of(connection, current),
        notices=_notices(connection, current),
        history=_history(connection, current),
        feedback=feedback_of(connection, current),
        followers=_followers(connection, current) if row.may_mute else (),
        whole=True,
    )


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
    by_incident = _findings_by_incident(connection, [row.id for row in shown])
    incidents = tuple(_incident(row, by_incident[row.id]) for row in shown)
    more = len(rows) > wanted.limit and incidents
    return Page(incidents, _cursor(incidents[-1]) if more else None)


def findings_of(connection: Connection, incident_id: str) -> tuple[StoredFinding, ...]:
    """An incident's findings, oldest first."""
    return tuple(_findings_by_incident(connection, [incident_id])[incident_id])


def store_finding(connection: Connection, finding_id: int, finding: Finding) -> None:
    """A finding was completed from its Result."""
    connection.execute(
        tables.findings.update().where(_f.id == finding_id).values(data=finding_to_json(finding))
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """What an incident is about, once owner and error texts are known."""

    subject: ObjectRef
    subject_how: str
    failure_class: str
    fingerprint: str
    severity: Severity
    title: str
    may_mute: bool = False


def identify(connection: Connection, incident_id: str, identity: Identity) -> str | None:
    """Give an incident its final fingerprint; returns the id it lives under from now on.

    None when it is over: what was replayed as another incident while the cluster was read must
    not take that one in. When another open incident has this fingerprint already, the two become one under the id of the
    one that was told about; two that were told both stay: what people have seen stays.
    """
    k = tables.incident_keys.c
    living = resolve_id(connection, incident_id)
    if living != incident_id:
        return living or incident_id
    if not lives(connection, incident_id):
        return None
    other = connection.execute(
        select(_i.id, _i.state, _i.root_nonce)
        .join_from(tables.incident_keys, tables.incidents, k.incident_id == _i.id)
        .where(k.key == identity.fingerprint)
    ).first()
    told = (
        connection.execute(select(_i.root_nonce).where(_i.id == incident_id)).scalar_one()
        is not None
    )
    if other is not None and other.id != incident_id:
        if other.state != State.RESOLVED and not told:
            merge(connection, incident_id, other.id)
            return str(other.id)
        if other.state != State.RESOLVED and other.root_nonce is not None:
            return incident_id
        if other.state != State.RESOLVED:
            merge(connection, other.id, incident_id)
        connection.execute(tables.incident_keys.delete().where(k.key == identity.fingerprint))
    if other is None or other.id != incident_id:
        connection.execute(
            tables.incident_keys.insert().values(key=identity.fingerprint, incident_id=incident_id)
        )
    connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id)
        .values(
            subject_kind=identity.subject.kind,
            subject_namespace=identity.subject.namespace,
            subject_name=identity.subject.name,
            subject_how=identity.subject_how,
            failure_class=identity.failure_class,
            fingerprint=identity.fingerprint,
            severity=identity.severity,
            title=identity.title,
            may_mute=identity.may_mute,
        )
    )
    return incident_id


def store_collected(
    connection: Connection,
    incident_id: str,
    collected: Collected,
    diagnosis: Diagnosis,
    *,
    now: datetime,
    diagnosing: bool,
) -> None:
    """What the cluster said and what the playbooks make of it."""
    connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id)
        .values(
            evidence=[evidence_to_json(e) for e in collected.evidence],
            missing=list(collected.missing),
            collected_at=now,
            diagnosis=diagnosis_to_json(diagnosis),
            diagnosing=diagnosing,
        )
    )


def lives(connection: Connection, incident_id: str) -> bool:
    """Whether it is an incident of its own that is not over."""
    row = connection.execute(
        select(_i.id).where(
            _i.id == incident_id, _i.merged_into.is_(None), _i.state != State.RESOLVED
        )
    ).first()
    return row is not None


def collected_at(connection: Connection, incident_id: str) -> datetime | None:
    """When its evidence was stored; None before."""
    at: datetime | None = connection.execute(
        select(_i.collected_at).where(_i.id == incident_id)
    ).scalar()
    return at


def store_diagnosis(
    connection: Connection, incident_id: str, diagnosis: Diagnosis, *, of: datetime | None
) -> bool:
    """The end of a diagnosis of the evidence that was stored at `of`.

    False, and nothing is stored, when there is newer evidence: it cites what is gone.
    """
    stored = connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id, _i.collected_at == of, _i.state != State.RESOLVED)
        .values(diagnosis=diagnosis_to_json(diagnosis), diagnosing=False)
    )
    return stored.rowcount == 1


def open_ones(connection: Connection, *, parents_only: bool = False) -> tuple[Incident, ...]:
    """What is not over, without evidence, oldest first; with `parents_only` what may mute others.

    Of parents the oldest hundreds are enough: whatever they all mute is muted by the first of them.
    """
    query = select(tables.incidents).where(_i.merged_into.is_(None), _i.state != State.RESOLVED)
    if parents_only:
        query = query.where(_i.may_mute.is_(True)).limit(MOST_PARENTS)
    rows = connection.execute(query.order_by(_i.first_seen, _i.id)).all()
    by_incident: dict[str, Sequence[StoredFinding]] = {}
    for start in range(0, len(rows), CHUNK):
        ids = [row.id for row in rows[start : start + CHUNK]]
        by_incident |= _findings_by_incident(connection, ids)
    return tuple(_incident(row, by_incident.get(row.id, ())) for row in rows)


def open_in(
    connection: Connection,
    cluster: str,
    namespace: str,
    *,
    names: Collection[str],
    beside_kinds: Collection[str],
) -> tuple[Incident, ...]:
    """What is not over in a namespace, without evidence, oldest first: of subjects with one of
    the names, and of all whose kind is none of `beside_kinds`.
    """
    query = select(tables.incidents).where(
        _i.subject_namespace == namespace,
        _i.cluster == cluster,
        _i.merged_into.is_(None),
        _i.state != State.RESOLVED,
        or_(_i.subject_name.in_(names), _i.subject_kind.not_in(beside_kinds)),
    )
    rows = connection.execute(query.order_by(_i.first_seen, _i.id).limit(MOST_NEIGHBOURS)).all()
    by_incident = _findings_by_incident(connection, [row.id for row in rows])
    return tuple(_incident(row, by_incident[row.id]) for row in rows)


def subject_how(connection: Connection, incident_id: str) -> str:
    """By what its subject is known: the owner chain, or a name."""
    return str(connection.execute(select(_i.subject_how).where(_i.id == incident_id)).scalar_one())


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
    """The ids of what is open, unmuted and was first seen at or after `since`."""
    rows = connection.execute(
        select(_i.id).where(
            _i.cluster == cluster,
            _i.first_seen >= since,
            _i.mute_by.is_(None),
            _i.merged_into.is_(None),
            _i.state != State.RESOLVED,
        )
    )
    return tuple(rows.scalars())


def set_state(
    connection: Connection,
    incident_id: str,
    state: State,
    *,
    at: datetime,
    what: str,
    reason: str = "",
    by: str = "",
    until: datetime | None = None,
) -> None:
    """Move an incident to a state and write down why.

    `by` is who acknowledged or silenced it; `until` is when the silence ends, None for one that
    ends with the incident. What is open again after a silence keeps the time at which that ended.
    """
    values: dict[str, object] = {"state": state}
    match state:
        case State.RESOLVED:
            values |= {"resolved_at": at, "diagnosing": False}
            _wake_followers(connection, incident_id, at)
        case State.ACKNOWLEDGED:
            values |= {"acknowledged_by": by, "acknowledged_at": at}
        case State.SILENCED:
            values |= {"silenced_by": by, "silenced_until": until}
    connection.execute(tables.incidents.update().where(_i.id == incident_id).values(**values))
    digests.incident_changed(connection, incident_id, now=at)
    note(connection, incident_id, at, what, reason)


def _wake_followers(connection: Connection, incident_id: str, at: datetime) -> None:
    for follower in muted_by(connection, incident_id):
        jobs.enqueue(connection, follower, jobs.TELL, at + FOLLOW_DELAY)


def wake(connection: Connection, incident: Incident, *, at: datetime, reason: str) -> None:
    """End the silence of an incident; who acknowledged it before is on it again."""
    over = incident.silenced_until is not None and incident.silenced_until <= at
    connection.execute(
        tables.incidents.update()
        .where(_i.id == incident.id, _i.state == State.SILENCED)
        .values(
            state=State.ACKNOWLEDGED if incident.acknowledged_by else State.OPEN,
            # Kept when it ran out: what is still there then is told again.
            silenced_until=incident.silenced_until if over else None,
        )
    )
    note(connection, incident.id, at, "silence ended", reason)


def gone_at(connection: Connection, incident_id: str) -> datetime | None:
    """Since when K8sGPT no longer reports it; None while it does."""
    at: datetime | None = connection.execute(
        select(_i.gone_at).where(_i.id == incident_id)
    ).scalar()
    return at


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


def intend_root(connection: Connection, incident_id: str, nonce: str, *, now: datetime) -> bool:
    """Write down that a root message is about to be posted, before it is.

    False, and nothing may be posted, when the incident was merged into another one meanwhile.
    """
    intended = connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id, _i.merged_into.is_(None))
        .values(root_nonce=nonce, root_channel=None, root_ts=None, root_intended_at=now)
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


def answer(connection: Connection, key: str, *, after: datetime) -> Diagnosis | None:
    """The model's answer to the same evidence, if it was asked after `after`."""
    a = tables.answers.c
    data = connection.execute(select(a.diagnosis).where(a.key == key, a.at > after)).scalar()
    return None if data is None else diagnosis_from_json(data)


def store_answer(connection: Connection, key: str, diagnosis: Diagnosis, *, at: datetime) -> None:
    """Keep the model's answer, so that nobody asks again."""
    connection.execute(tables.answers.delete().where(tables.answers.c.key == key))
    connection.execute(
        tables.answers.insert().values(key=key, at=at, diagnosis=diagnosis_to_json(diagnosis))
    )


def bodies(connection: Connection, incident_id: str) -> tuple[tuple[str, bytes], ...]:
    """The raw bodies behind an incident that are still kept, oldest first: (dialect, zlib)."""
    d = tables.deliveries.c
    rows = connection.execute(
        select(d.dialect, d.body)
        .where(d.id.in_(select(_f.delivery_id).where(_f.incident_id == incident_id)))
        .order_by(d.received_at)
    )
    return tuple((row.dialect, row.body) for row in rows)


def counts(connection: Connection) -> dict[str, int]:
    """State → how many incidents."""
    rows = connection.execute(
        select(_i.state, func.count()).where(_i.merged_into.is_(None)).group_by(_i.state)
    )
    return {row[0]: row[1] for row in rows}


def merge(
    connection: Connection, young: str, old: str, because: str = "it is the same problem"
) -> None:
    """`young` turns out to be `old`: its findings, keys and count move, its id becomes an alias."""
    mine = connection.execute(
        select(_f.id, _f.content_key, _f.times, _f.last_seen, _f.gone_at).where(
            _f.incident_id == young
        )
    ).all()
    for row in mine:
        twin = connection.execute(
            select(_f.id, _f.last_seen).where(
                _f.incident_id == old, _f.content_key == row.content_key
            )
        ).first()
        if twin is None:
            connection.execute(
                tables.findings.update().where(_f.id == row.id).values(incident_id=old)
            )
        else:
            connection.execute(
                tables.findings.update()
                .where(_f.id == twin.id)
                .values(
                    times=_f.times + row.times,
                    last_seen=max(twin.last_seen, row.last_seen),
                    gone_at=row.gone_at,
                )
            )
            connection.execute(tables.findings.delete().where(_f.id == row.id))
    keys = tables.incident_keys
    connection.execute(keys.update().where(keys.c.incident_id == young).values(incident_id=old))
    lost = connection.execute(
        select(_i.occurrences, _i.first_seen, _i.last_seen).where(_i.id == young)
    ).one()
    connection.execute(
        tables.incidents.update()
        .where(_i.id == old)
        .values(
            occurrences=_i.occurrences + lost.occurrences,
            # It is gone when all that showed it is.
            gone_at=select(
                case((func.count(_f.gone_at) == func.count(), func.max(_f.gone_at)), else_=None)
            )
            .where(_f.incident_id == old)
            .scalar_subquery(),
        )
    )
    connection.execute(
        tables.incidents.update()
        .where(_i.id == old, _i.last_seen < lost.last_seen)
        .values(last_seen=lost.last_seen)
    )
    connection.execute(tables.incidents.update().where(_i.id == young).values(merged_into=old))
    connection.execute(
        tables.incidents.update().where(_i.merged_into == young).values(merged_into=old)
    )
    connection.execute(tables.jobs.delete().where(tables.jobs.c.incident_id == young))
    note(connection, old, lost.last_seen, "merged", f"{young}: {because}")


def _findings_by_incident(
    connection: Connection, incident_ids: Sequence[str]
) -> Mapping[str, Sequence[StoredFinding]]:
    found: dict[str, list[StoredFinding]] = defaultdict(list)
    rows = connection.execute(
        select(_f.id, _f.incident_id, _f.data, _f.times, _f.last_seen)
        .where(_f.incident_id.in_(incident_ids))
        .order_by(_f.id)
    )
    for row in rows:
        finding = finding_from_json(row.data)
        found[row.incident_id].append(StoredFinding(row.id, finding, row.times, row.last_seen))
    return found


def _notices(connection: Connection, incident_id: str) -> tuple[Notice, ...]:
    n = tables.notices.c
    rows = connection.execute(
        select(tables.notices).where(n.incident_id == incident_id).order_by(n.id)
    )
    return tuple(notice_from_json(row.data) for row in rows)


def _followers(connection: Connection, incident_id: str) -> tuple[Follower, ...]:
    rows = connection.execute(
        select(_i.id, _i.title)
        .where(_i.mute_by == incident_id, _i.merged_into.is_(None), _i.state != State.RESOLVED)
        .order_by(_i.first_seen, _i.id)
        .limit(MOST_FOLLOWERS)
    )
    return tuple(Follower(*row) for row in rows)


def _in_state(state: str) -> ColumnElement[bool]:
    """As people see it: what a silence mutes is `silenced`, whatever it was."""
    silenced = and_(
        _i.mute_kind == MuteKind.SILENCE, _i.mute_kind.is_not(None), _i.state != State.RESOLVED
    )
    if state == State.SILENCED:
        return or_(_i.state == state, silenced)
    return and_(_i.state == state, or_(_i.mute_kind.is_(None), not_(silenced)))


def _history(connection: Connection, incident_id: str) -> tuple[HistoryEntry, ...]:
    h = tables.history.c
    rows = connection.execute(
        select(h.at, h.what, h.reason).where(h.incident_id == incident_id).order_by(h.id)
    )
    return tuple(HistoryEntry(*row) for row in rows)


def _incident(
    row: Row[*tuple[Any, ...]],
    findings: Iterable[StoredFinding],
    *,
    notices: tuple[Notice, ...] = (),
    history: tuple[HistoryEntry, ...] = (),
    feedback: tuple[Feedback, ...] = (),
    followers: tuple[Follower, ...] = (),
    whole: bool = False,
) -> Incident:
    known = [stored.finding for stored in findings]
    objects = tuple(dict.fromkeys(finding.object for finding in known))
    errors = tuple(dict.fromkeys(error for finding in known for error in finding.errors))
    details = next((finding.details for finding in reversed(known) if finding.details), "")
    return Incident(
        id=row.id,
        cluster=row.cluster,
        state=State(row.state),
        severity=Severity(row.severity),
        title=row.title,
        subject=ObjectRef(row.subject_kind, row.subject_name, row.subject_namespace),
        objects=objects,
        errors=errors,
        failure_class=row.failure_class,
        fingerprint=row.fingerprint,
        occurrences=row.occurrences,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        resolved_at=row.resolved_at,
        details=details,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        silenced_by=row.silenced_by,
        silenced_until=row.silenced_until,
        superseded_by=row.superseded_by,
        mute=_mute(row),
        followers=followers,
        diagnosing=row.diagnosing,
        diagnosis=diagnosis_from_json(row.diagnosis) if row.diagnosis else None,
        evidence=tuple(evidence_from_json(e) for e in row.evidence or ()) if whole else (),
        missing=tuple(row.missing or ()),
        notices=notices,
        history=history,
        feedback=feedback,
    )


def _mute(row: Row[*tuple[Any, ...]]) -> Mute | None:
    if row.mute_kind is None:
        return None
    return Mute(MuteKind(row.mute_kind), row.mute_by, row.mute_because, row.mute_until)


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
