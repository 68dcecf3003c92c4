"""What the program may read: the one table behind the chart's RBAC, its page, and `doctor`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aegis_sink.cluster.resources import KNOWN, Resource

Part = Literal["clusterObjects", "namespaced", "results"]

GET_ONLY = frozenset({"ConfigMap", "Lease"})
"""Kinds that are read by name only."""
LIST_ONLY = frozenset({"Result", "K8sGPT"})
"""K8sGPT's own kinds: listed (Results watched too), never asked for by name."""


@dataclass(frozen=True, slots=True)
class Right:
    """One resource and what may be done with it. `resource` is "pods" or "pods/log".

    `part`: of cluster-scoped objects, of namespaced ones, or of K8sGPT's own.
    """

    part: Part
    group: str
    resource: str
    verbs: tuple[str, ...]

    @property
    def named(self) -> str:
        """As kubectl writes it: "deployments.apps", "pods/log"."""
        plural, slash, sub = self.resource.partition("/")
        return f"{plural}.{self.group}{slash}{sub}" if self.group else self.resource


def rights() -> Iterator[Right]:
    """Every right the program asks for, in the order of the table of kinds."""
    for resource in KNOWN.values():
        yield Right(_part(resource), resource.group, resource.plural, _verbs(resource.kind))
    yield Right("namespaced", "", "pods/log", ("get",))


def _part(resource: Resource) -> Part:
    if resource.kind in LIST_ONLY:
        return "results"
    return "namespaced" if resource.namespaced else "clusterObjects"


def _verbs(kind: str) -> tuple[str, ...]:
    if kind == "Result":
        return ("list", "watch")
    if kind in LIST_ONLY:
        return ("list",)
    return ("get",) if kind in GET_ONLY else ("get", "list")
