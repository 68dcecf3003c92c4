"""What arrives becomes deliveries, incidents, findings and jobs: many bodies, one transaction."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, bindparam, case, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.model import Finding, Incident, Severity, State
from aegis_sink.model.codec import finding_to_json
from aegis_sink.store import decisions, digests, jobs, tables
from aegis_sink.triage.severity import worst

T = TypeVar("T")

RECHECK_DELAY = timedelta(seconds=5)
COMPRESSION_LEVEL = 1  # a body is half a kilobyte; the request path pays for more


@dataclass(frozen=True, slots=True)
class Sighting:
    """One finding of a body, with the incident it would be if it is a new problem.

    `key` is the fingerprint as far as it can be told without the cluster; `content_key` tells
    findings of one incident apart; `blank` carries the new incident's first values, its id too.
    """

    finding: Finding
    key: str
    content_key: str
    blank: Incident
    subject_how: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One body that was understood, and came `times` times, last at `last_received_at`.

    `force` makes each of its findings a new incident.
    """

    delivery_id: str
    received_at: datetime
    door: str
    dialect: str
    body: bytes
    sightings: tuple[Sighting, ...]
    force: bool = False
    hold: timedelta = timedelta(0)
    times: int = 1
    last_received_at: datetime | None = None

    @property
    def last_at(self) -> datetime:
        """When it came for the last time."""
        return self.last_received_at or self.received_at


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one finding. `incident_id` is "" when a DELETED named nothing open."""

    incident_id: str
    created: bool
    duplicate: bool


@dataclass(slots=True)
class _Known:
    incident_id: str
    state: str
    severity: Severity
    arrival: str = ""
    """The delivery that made it, when it is one of this batch."""


@dataclass(slots=True)
class _Rows:
    """The rows of one batch, written kind by kind."""

    deliveries: list[dict[str, object]] = field(default_factory=list)
    incidents: list[dict[str, object]] = field(default_factory=list)
    keys: list[dict[str, object]] = field(default_factory=list)
    findings: list[dict[str, object]] = field(default_factory=list)
    restated: list[dict[str, object]] = field(default_factory=list)
    """Findings that are there already, and tell of something worse in the same words."""
    history: list[dict[str, object]] = field(default_factory=list)
    superseded: list[dict[str, object]] = field(default_factory=list)
    jobs: dict[tuple[str, str], datetime] = field(default_factory=dict)
    touched: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    """Incident → (how often it was seen, when for the last time)."""
    reopened: dict[str, datetime] = field(default_factory=dict)

    def enqueue(self, incident_id: str, kind: str, due_at: datetime) -> None:
        slot = (incident_id, kind)
        self.jobs[slot] = min(due_at, self.jobs.get(slot, due_at))

    def touch(self, incident_id: str, times: int, at: datetime) -> None:
        before, latest = self.touched.get(incident_id, (0, at))
        self.touched[incident_id] = (before + times, max(latest, at))

    def note(self, incident_id: str, at: datetime, what: str, reason: str = "") -> None:
        self.history.append({"incident_id": incident_id, "at": at, "what": what, "reason": reason})


def accept(connection: Connection, arrivals: Sequence[Arrival]) -> list[tuple[Accepted, ...]]:
    """Store all arrivals; for each, what became of its findings, in their order."""
    sightings = [sighting for arrival in arrivals for sighting in arrival.sightings]
    known = _known_incidents(connection, {sighting.key for sighting in sightings})
    seen = _known_findings(
        connection,
        {(known[s.key].incident_id, s.content_key) for s in sightings if s.key in known},
    )
    rows = _Rows()
    answers = []
    for arrival in arrivals:
        answer = []
        for sighting in arrival.sightings:
            if sighting.finding.gone:
                # What came before it must stand, or it would end nothing, or be undone.
                _write(connection, rows)
                rows = _Rows()
                answer.append(_gone(connection, rows, arrival, sighting))
            else:
                answer.append(_present(rows, known, seen, arrival, sighting))
        answers.append(tuple(answer))
        rows.deliveries.append(
            {
                "id": arrival.delivery_id,
                "received_at": arrival.received_at,
                "door": arrival.door,
                "dialect": arrival.dialect,
                "size": len(arrival.body),
                "body": zlib.compress(arrival.body, COMPRESSION_LEVEL),
            }
        )
    _write(connection, rows)
    return answers


def _present(
    rows: _Rows,
    known: dict[str, _Known],
    seen: set[tuple[str, str]],
    arrival: Arrival,
    sighting: Sighting,
) -> Accepted:
    now = arrival.received_at
    before = known.get(sighting.key)
    forced = arrival.force and not (before and before.arrival == arrival.delivery_id)
    created = before is None or forced
    if created:
        if before is not None:
            rows.note(before.incident_id, now, "superseded", f"replayed as {sighting.blank.id}")
            rows.superseded.append(
                {"superseded_id": before.incident_id, "at": now, "by": sighting.blank.id}
            )
            rows.enqueue(before.incident_id, jobs.TELL, now)
        incident_id = sighting.blank.id
        known[sighting.key] = _Known(
            incident_id, State.OPEN, sighting.blank.severity, arrival.delivery_id
        )
        rows.incidents.append(_blank_row(sighting))
        rows.keys.append({"key": sighting.key, "incident_id": incident_id})
        rows.note(incident_id, now, "opened", f"{sighting.finding.dialect} by {arrival.door}")
    else:
        assert before is not None
        incident_id = before.incident_id
    rows.touch(incident_id, arrival.times, arrival.last_at)

    slot = (incident_id, sighting.content_key)
    reopened = not created and known[sighting.key].state == State.RESOLVED
    new_finding = slot not in seen
    seen.add(slot)
    if reopened:
        known[sighting.key].state = State.OPEN
        rows.reopened[incident_id] = now
        rows.note(incident_id, now, "reopened", "K8sGPT reports it again")
    worse = _is_worse(sighting, known[sighting.key])
    if worse and not new_finding:
        known[sighting.key].severity = sighting.blank.severity
        rows.restated.append(
            {
                "of_incident": incident_id,
                "of_content": sighting.content_key,
                "said": finding_to_json(sighting.finding),
            }
        )
    if created or reopened or new_finding or worse:
        rows.enqueue(incident_id, jobs.COLLECT, now)
    elif sighting.finding.needs_completion:
        # The body does not say whether something changed; its Result does. Posts come in bursts.
        rows.enqueue(incident_id, jobs.RECHECK, now + RECHECK_DELAY)
    rows.findings.append(_finding_row(incident_id, arrival, sighting))
    return Accepted(incident_id, created, not (created or reopened or new_finding))


def _is_worse(sighting: Sighting, known: _Known) -> bool:
    """Whether its texts, which are of the same class, say that it is worse than it was."""
    now, before = sighting.blank.severity, known.severity
    return bool(sighting.finding.errors) and now is not before and worst((now, before)) is now


def _gone(connection: Connection, rows: _Rows, arrival: Arrival, sighting: Sighting) -> Accepted:
    """DELETED: the object shows the problem no more. When none does, the incident is held for
    `arrival.hold`, then resolved unless it is seen again."""
    f = tables.findings.c
    i = tables.incidents.c
    ref = sighting.finding.object
    found = connection.execute(
        select(i.id)
        .join_from(tables.findings, tables.incidents, f.incident_id == i.id)
        .where(*_shown_by(sighting.finding))
        .where(i.cluster == sighting.finding.cluster, i.state != State.RESOLVED)
        .where(i.merged_into.is_(None))
        .order_by(i.last_seen.desc())
    ).scalars()
    newest = ""
    for incident_id in dict.fromkeys(found):
        newest = newest or incident_id
        connection.execute(
            tables.findings.update()
            .where(f.incident_id == incident_id, *_shown_by(sighting.finding))
            .values(gone_at=arrival.received_at)
        )
        if _still_shown(connection, incident_id):
            rows.note(incident_id, arrival.received_at, "object gone", f"{ref} shows it no more")
            continue
        connection.execute(
            tables.incidents.update().where(i.id == incident_id).values(gone_at=arrival.received_at)
        )
        rows.note(incident_id, arrival.received_at, "gone", "K8sGPT deleted its Result")
        until = arrival.received_at + arrival.hold
        decisions.hold(connection, incident_id, at=arrival.received_at, until=until)
        rows.enqueue(incident_id, jobs.RESOLVE, until)
    return Accepted(newest, created=False, duplicate=not newest)


def _shown_by(gone: Finding) -> tuple[ColumnElement[bool], ...]:
    """The rows that say the same of the object; what another K8sGPT CR says of it stays."""
    f = tables.findings.c
    ref = gone.object
    same = (f.kind == ref.kind, f.namespace == ref.namespace, f.name == ref.name)
    # Operators before v0.0.22 do not name the CR.
    return (*same, f.k8sgpt.in_((gone.k8sgpt, ""))) if gone.k8sgpt else same


def _still_shown(connection: Connection, incident_id: str) -> bool:
    f = tables.findings.c
    query = select(f.id).where(f.incident_id == incident_id, f.gone_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def _known_incidents(connection: Connection, keys: Iterable[str]) -> dict[str, _Known]:
    k = tables.incident_keys.c
    i = tables.incidents.c
    query = select(k.key, i.id, i.state, i.severity).join_from(
        tables.incident_keys, tables.incidents, k.incident_id == i.id
    )
    return {
        row.key: _Known(row.id, row.state, Severity(row.severity))
        for chunk in _chunks(list(keys))
        for row in connection.execute(query.where(k.key.in_(chunk)))
    }


def _known_findings(connection: Connection, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the (incident, content key) that are there already.

    All of the incidents are read: for pairs in an IN, SQLite would go through the whole index.
    """
    f = tables.findings.c
    return wanted & {
        (row.incident_id, row.content_key)
        for chunk in _chunks(sorted({incident_id for incident_id, _ in wanted}))
        for row in connection.execute(
            select(f.incident_id, f.content_key).where(f.incident_id.in_(chunk))
        )
    }


def _chunks(items: list[T], size: int = 500) -> Iterable[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _blank_row(sighting: Sighting) -> dict[str, object]:
    blank = sighting.blank
    return {
        "id": blank.id,
        "cluster": blank.cluster,
        "state": blank.state,
        "severity": blank.severity,
        "title": blank.title,
        "subject_kind": blank.subject.kind,
        "subject_namespace": blank.subject.namespace,
        "subject_name": blank.subject.name,
        "subject_how": sighting.subject_how,
        "failure_class": blank.failure_class,
        "fingerprint": blank.fingerprint,
        "may_mute": False,
        "occurrences": 0,
        "first_seen": blank.first_seen,
        "last_seen": blank.last_seen,
    }


def _finding_row(incident_id: str, arrival: Arrival, sighting: Sighting) -> dict[str, object]:
    finding = sighting.finding
    return {
        "incident_id": incident_id,
        "content_key": sighting.content_key,
        "delivery_id": arrival.delivery_id,
        "k8sgpt": finding.k8sgpt,
        "kind": finding.object.kind,
        "namespace": finding.object.namespace,
        "name": finding.object.name,
        "data": finding_to_json(finding),
        "times": arrival.times,
        "first_seen": arrival.received_at,
        "last_seen": arrival.last_at,
    }


_finding_insert = insert(tables.findings)
_UPSERT_FINDING = _finding_insert.on_conflict_do_update(
    index_elements=["incident_id", "content_key"],
    set_={
        "times": tables.findings.c.times + _finding_insert.excluded.times,
        "last_seen": _finding_insert.excluded.last_seen,
        "delivery_id": _finding_insert.excluded.delivery_id,
        "gone_at": None,
        "hidden_at": None,
    },
)
_RESTATE = (
    tables.findings.update()
    .where(tables.findings.c.incident_id == bindparam("of_incident"))
    .where(tables.findings.c.content_key == bindparam("of_content"))
    .values(data=bindparam("said", type_=tables.Json()))
)
_key_insert = insert(tables.incident_keys)
_UPSERT_KEY = _key_insert.on_conflict_do_update(
    index_elements=["key"], set_={"incident_id": _key_insert.excluded.incident_id}
)
_TOUCH = (
    tables.incidents.update()
    .where(tables.incidents.c.id == bindparam("touched_id"))
    .values(
        occurrences=tables.incidents.c.occurrences + bindparam("times"),
        last_seen=bindparam("seen_at", type_=tables.UtcTime()),
        gone_at=None,
        gone_how="",
    )
)
_REOPEN = (
    tables.incidents.update()
    .where(tables.incidents.c.id == bindparam("touched_id"))
    .where(tables.incidents.c.state == State.RESOLVED)
    .values(
        # A silence with an end outlives the resolution.
        state=case(
            (
                tables.incidents.c.silenced_until > bindparam("seen_at", type_=tables.UtcTime()),
                State.SILENCED,
            ),
            else_=State.OPEN,
        ),
        resolved_at=None,
        acknowledged_by="",
        acknowledged_at=None,
        may_mute=False,  # found anew, and with it what follows from it this time
    )
)

_SUPERSEDE = (
    tables.incidents.update()
    .where(tables.incidents.c.id == bindparam("superseded_id"))
    .values(
        state=State.RESOLVED,
        resolved_at=bindparam("at", type_=tables.UtcTime()),
        superseded_by=bindparam("by"),
        diagnosing=False,
    )
)
_MOVE_KEYS = (
    tables.incident_keys.update()
    .where(tables.incident_keys.c.incident_id == bindparam("superseded_id"))
    .values(incident_id=bindparam("by"))
)


def _write(connection: Connection, rows: _Rows) -> None:
    for incident_id, at in rows.reopened.items():
        digests.incident_changed(connection, incident_id, now=at)
    if rows.deliveries:
        connection.execute(tables.deliveries.insert(), rows.deliveries)
    if rows.incidents:
        connection.execute(tables.incidents.insert(), rows.incidents)
        connection.execute(_UPSERT_KEY, rows.keys)
    if rows.findings:
        connection.execute(_UPSERT_FINDING, rows.findings)
    if rows.restated:
        connection.execute(_RESTATE, rows.restated)
    if rows.touched:
        connection.execute(
            _TOUCH,
            [
                {"touched_id": incident_id, "times": times, "seen_at": seen_at}
                for incident_id, (times, seen_at) in rows.touched.items()
            ],
        )
        connection.execute(
            _REOPEN,
            [
                {"touched_id": incident_id, "seen_at": seen_at}
                for incident_id, (_, seen_at) in rows.touched.items()
            ],
        )
    if rows.superseded:
        connection.execute(_SUPERSEDE, rows.superseded)
        connection.execute(_MOVE_KEYS, rows.superseded)
    if rows.history:
        connection.execute(tables.history.insert(), rows.history)
    jobs.enqueue_many(connection, rows.jobs)
