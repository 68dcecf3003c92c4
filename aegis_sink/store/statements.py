"""What incidents that are not over hold of an object: findings, looked up by what they speak of."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from aegis_sink.model import Finding, ObjectRef, State
from aegis_sink.model.codec import finding_from_json
from aegis_sink.store import tables
from aegis_sink.store.mirror import Mirrored
from aegis_sink.triage.fingerprint import failure_class

CHUNK = 300

T = TypeVar("T")

_f = tables.findings.c
_i = tables.incidents.c


class Stored(NamedTuple):
    """A finding of an incident that is not over."""

    id: int
    incident_id: str
    finding: Finding
    gone: bool


def stored_of(
    connection: Connection, wanted: Iterable[Mirrored]
) -> Mapping[ObjectRef, Sequence[Stored]]:
    """What incidents that are not over hold of these objects, oldest first."""
    found: dict[ObjectRef, list[Stored]] = defaultdict(list)
    by_cluster: dict[str, set[ObjectRef]] = defaultdict(set)
    for one in wanted:
        by_cluster[one.cluster].add(one.object)
    for cluster, refs in by_cluster.items():
        for chunk in chunks([(ref.kind, ref.namespace, ref.name) for ref in refs]):
            rows = connection.execute(
                select(_f.id, _f.incident_id, _f.data, _f.gone_at)
                .join_from(tables.findings, tables.incidents, _f.incident_id == _i.id)
                .where(*lives(cluster), one_of(chunk))
                .order_by(_f.id)
            )
            for row in map(stored, rows):
                found[row.finding.object].append(row)
    return found


def stored(row: Row[*tuple[Any, ...]]) -> Stored:
    """From id, incident_id, data and gone_at."""
    return Stored(row.id, row.incident_id, finding_from_json(row.data), row.gone_at is not None)


def same(row: Stored, one: Mirrored) -> bool:
    """Whether a finding of its object is the statement of this Result."""
    # Operators before v0.0.22 do not name the CR.
    return row.finding.container == one.container and row.finding.k8sgpt in (one.k8sgpt, "")


def current(rows: Sequence[Stored]) -> Stored:
    """The newest that is still said, else the newest."""
    return max(rows, key=lambda row: (not row.gone, row.id))


def class_of(row: Stored) -> str:
    """The failure class of its own texts."""
    return failure_class(row.finding.object.kind, row.finding.errors)


def lives(cluster: str) -> tuple[ColumnElement[bool], ...]:
    """Incidents of a cluster that are not over, in a join with findings."""
    # Findings of a merged incident move. Asking for `merged_into` beside them would have SQLite
    # go through all incidents by that index.
    return (_i.cluster == cluster, _i.state != State.RESOLVED)


def one_of(objects: Sequence[tuple[str, str, str]]) -> ColumnElement[bool]:
    """Kind, namespace and name. SQLite takes the index for this, and goes through all rows for
    `(kind, namespace, name) IN (…)`."""
    return or_(
        *(
            and_(_f.kind == kind, _f.namespace == namespace, _f.name == name)
            for kind, namespace, name in objects
        )
    )


def chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """In pieces that one statement can name."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
