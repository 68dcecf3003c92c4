"""Incidents as they stand: reading them whole, and writing down what was learnt."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

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
)
from aegis_sink.store import digests, history, jobs, mutes, notices, tables
from aegis_sink.store.feedback import feedback_of

# What followed from an incident goes away by itself after it, most times.
FOLLOW_DELAY = timedelta(minutes=2)
# The operator deletes what one analysis no longer found one after the other; the next analysis is
# half a minute away.
ONE_END = timedelta(seconds=20)

_i = tables.incidents.c
_f = tables.findings.c


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding with its row id, how often it was seen, when for the last time, since when K8sGPT
    says it no more, and whether only because its Result speaks of another object."""

    id: int
    finding: Finding
    times: int
    last_seen: datetime
    gone_at: datetime | None
    hidden: bool = False


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
    return from_row(
        row,
        findings_of(connection, current),
        notices=notices.notices_of(connection, current),
        history=history.history_of(connection, current),
        feedback=feedback_of(connection, current),
        followers=mutes.followers_of(connection, current) if row.may_mute else (),
        whole=True,
    )


def findings_of(connection: Connection, incident_id: str) -> tuple[StoredFinding, ...]:
    """An incident's findings, oldest first."""
    return tuple(findings_by_incident(connection, [incident_id])[incident_id])


def still_said(findings: Sequence[StoredFinding]) -> Sequence[StoredFinding]:
    """Those that K8sGPT still says; where it says nothing any more, those that it said last.

    Objects that share a Result take turns in it (facts/k8sgpt.md §0.10): a hidden one is still
    said, or an incident would be another at each analysis.
    """
    said = any(stored.gone_at is None for stored in findings)
    ends = [stored.gone_at for stored in findings if stored.gone_at is not None]
    last = max(ends) - ONE_END if ends and not said else None
    return [
        stored
        for stored in findings
        if stored.gone_at is None or stored.hidden or (last is not None and stored.gone_at >= last)
    ]


def store_finding(connection: Connection, finding_id: int, finding: Finding) -> None:
    """A finding was completed from its Result."""
    connection.execute(
        tables.findings.update().where(_f.id == finding_id).values(data=finding_to_json(finding))
    )


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


def end_question(connection: Connection, incident_id: str, note: str) -> bool:
    """The model is not asked about it: the playbooks' diagnosis stays, and says why.

    False when nobody was going to ask.
    """
    row = connection.execute(
        select(_i.diagnosis).where(_i.id == incident_id, _i.diagnosing.is_(True))
    ).first()
    if row is None or row.diagnosis is None:
        return False
    diagnosis = replace(diagnosis_from_json(row.diagnosis), model_note=note)
    connection.execute(
        tables.incidents.update()
        .where(_i.id == incident_id)
        .values(diagnosis=diagnosis_to_json(diagnosis), diagnosing=False)
    )
    return True


def subject_how(connection: Connection, incident_id: str) -> str:
    """By what its subject is known: the owner chain, or a name."""
    return str(connection.execute(select(_i.subject_how).where(_i.id == incident_id)).scalar_one())


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
    history.note(connection, incident_id, at, what, reason)


def _wake_followers(connection: Connection, incident_id: str, at: datetime) -> None:
    for follower in mutes.muted_by(connection, incident_id):
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
    history.note(connection, incident.id, at, "silence ended", reason)


def bodies(connection: Connection, incident_id: str) -> tuple[tuple[str, bytes], ...]:
    """The raw bodies behind an incident that are still kept, oldest first: (dialect, zlib)."""
    d = tables.deliveries.c
    rows = connection.execute(
        select(d.dialect, d.body)
        .where(d.id.in_(select(_f.delivery_id).where(_f.incident_id == incident_id)))
        .order_by(d.received_at)
    )
    return tuple((row.dialect, row.body) for row in rows)


def findings_by_incident(
    connection: Connection, incident_ids: Sequence[str]
) -> Mapping[str, Sequence[StoredFinding]]:
    """The findings of many incidents, oldest first."""
    found: dict[str, list[StoredFinding]] = defaultdict(list)
    rows = connection.execute(
        select(_f.id, _f.incident_id, _f.data, _f.times, _f.last_seen, _f.gone_at, _f.hidden_at)
        .where(_f.incident_id.in_(incident_ids))
        .order_by(_f.id)
    )
    for row in rows:
        finding = finding_from_json(row.data)
        hidden = row.hidden_at is not None
        stored = StoredFinding(row.id, finding, row.times, row.last_seen, row.gone_at, hidden)
        found[row.incident_id].append(stored)
    return found


def from_row(
    row: Row[*tuple[Any, ...]],
    findings: Iterable[StoredFinding],
    *,
    notices: tuple[Notice, ...] = (),
    history: tuple[HistoryEntry, ...] = (),
    feedback: tuple[Feedback, ...] = (),
    followers: tuple[Follower, ...] = (),
    whole: bool = False,
) -> Incident:
    """An incident from its row and what belongs to it; its evidence only when it is `whole`."""
    said = [stored.finding for stored in still_said(tuple(findings))]
    objects = tuple(dict.fromkeys(finding.object for finding in said))
    errors = tuple(dict.fromkeys(error for finding in said for error in finding.errors))
    details = next((finding.details for finding in reversed(said) if finding.details), "")
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
        gone_at=row.gone_at,
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
