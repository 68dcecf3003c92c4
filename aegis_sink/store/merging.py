"""When two incidents are one: the final fingerprint, and moving one into the other."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, literal, select

from aegis_sink.model import PART_OF, ObjectRef, Severity, State
from aegis_sink.store import history, incidents, tables

_i = tables.incidents.c
_f = tables.findings.c


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
    not take that one in. When another open incident has this fingerprint already, the two become
    one under the id of the one that was told about; of two that were told this one ends as a
    part of the other: what people have seen stays, and says where it goes on.
    """
    k = tables.incident_keys.c
    living = incidents.resolve_id(connection, incident_id)
    if living != incident_id:
        return living or incident_id
    if not incidents.lives(connection, incident_id):
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
            seen = connection.execute(select(_i.last_seen).where(_i.id == incident_id)).scalar_one()
            fold(connection, incident_id, other.id, now=seen, because="it is the same problem")
            return str(other.id)
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


def merge(
    connection: Connection, young: str, old: str, because: str = "it is the same problem"
) -> None:
    """`young` turns out to be `old`: its findings, keys and count move, its id becomes an alias."""
    last_seen = _hand_over(connection, young, old)
    connection.execute(tables.incidents.update().where(_i.id == young).values(merged_into=old))
    connection.execute(
        tables.incidents.update().where(_i.merged_into == young).values(merged_into=old)
    )
    history.note(connection, old, last_seen, "merged", f"{young}: {because}")


def fold(connection: Connection, part: str, whole: str, *, now: datetime, because: str) -> None:
    """`part`, of which people were told, says only what `whole` causes: that goes on alone. The
    part keeps its findings and its message, which says so."""
    last_seen = _hand_over(connection, part, whole, keep=True)
    title = connection.execute(select(_i.title).where(_i.id == whole)).scalar_one()
    incidents.set_state(
        connection,
        part,
        State.RESOLVED,
        at=now,
        what=PART_OF,
        reason=f"{title} (incident {whole})",
    )
    connection.execute(tables.incidents.update().where(_i.id == part).values(superseded_by=whole))
    history.note(connection, whole, last_seen, "merged", f"{part}: {because}")


def _hand_over(connection: Connection, young: str, old: str, *, keep: bool = False) -> datetime:
    """Findings, keys and count of `young` become those of `old`, and its jobs end; with `keep` it
    keeps a copy of its findings. When it was last seen."""
    mine = connection.execute(
        select(_f.id, _f.content_key, _f.times, _f.last_seen, _f.gone_at, _f.hidden_at).where(
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
            if keep:
                _copy(connection, row.id, old)
            else:
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
                    hidden_at=row.hidden_at,
                )
            )
            if not keep:
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
    connection.execute(tables.jobs.delete().where(tables.jobs.c.incident_id == young))
    last_seen: datetime = lost.last_seen
    return last_seen


def _copy(connection: Connection, finding_id: int, incident_id: str) -> None:
    columns = [column for column in tables.findings.c if column.name not in ("id", "incident_id")]
    row = select(literal(incident_id), *columns).where(_f.id == finding_id)
    connection.execute(
        tables.findings.insert().from_select(["incident_id", *(c.name for c in columns)], row)
    )
