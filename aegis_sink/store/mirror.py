"""The cluster's Results as they were last seen.

Each list is compared with this table, so that a Result which says what it said is no new
occurrence, whatever its resourceVersion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, exists, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.model import ObjectRef
from aegis_sink.store import tables

_f = tables.findings.c
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


def read(connection: Connection, cluster: str) -> dict[Place, Mirrored]:
    """All Results as they were last seen. Without those of whose object nothing is kept: they are
    to be taken in anew."""
    kept = exists().where(
        _f.kind == _r.kind, _f.namespace == _r.object_namespace, _f.name == _r.object_name
    )
    rows = connection.execute(select(tables.results).where(_r.cluster == cluster, kept))
    return {(row.namespace, row.name): _mirrored(row) for row in rows}


def keep(connection: Connection, results: Sequence[Mirrored]) -> None:
    """This is what they say now."""
    into = insert(tables.results)
    names = ("uid", "digest", "k8sgpt", "kind", "object_namespace", "object_name", "container")
    upsert = into.on_conflict_do_update(
        index_elements=["cluster", "namespace", "name"],
        set_={name: into.excluded[name] for name in names},
    )
    if results:
        connection.execute(upsert, [_values(one) for one in results])


def said_by_another(connection: Connection, one: Mirrored) -> bool:
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


def forget(connection: Connection, results: Sequence[Mirrored]) -> None:
    """These are not in the cluster any more."""
    if results:
        connection.execute(
            _FORGET,
            [{"of": one.cluster, "within": one.namespace, "named": one.name} for one in results],
        )
