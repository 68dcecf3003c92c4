"""Health: does an object look well now? Asked before K8sGPT's silence is taken for an end."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from aegis_sink.cluster.collectors import collector
from aegis_sink.cluster.collectors.generic import looks_healthy
from aegis_sink.cluster.collectors.pod import is_well
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import BudgetSpent, ClusterRefused, ObjectGone
from aegis_sink.cluster.visit import Visit


class Health(StrEnum):
    """How an object looks. `UNKNOWN`: its kind says nothing of it. `UNREAD`: it may not be read."""

    WELL = "well"
    ILL = "ill"
    GONE = "gone"
    UNKNOWN = "unknown"
    UNREAD = "unread"


async def judge(visit: Visit) -> Health:
    """One request where the object itself tells, else what its collector makes of it.

    Raises ClusterUnavailable.
    """
    ref = visit.ref
    try:
        document = await visit.reader.get(ref)
        told = _BY_ITSELF.get(ref.resource_kind)
        if told is not None:
            return _health(told(document))
        await collector(ref)(visit)
    except ObjectGone:
        return Health.GONE
    except (ClusterRefused, BudgetSpent):
        return Health.UNREAD
    return _health(looks_healthy(document) if visit.healthy is None else visit.healthy)


def _health(well: bool | None) -> Health:
    return {True: Health.WELL, False: Health.ILL, None: Health.UNKNOWN}[well]


def _replicas_ready(workload: Document) -> bool:
    wanted = workload.number("spec", "replicas")
    ready = workload.number("status", "readyReplicas") or 0
    return ready >= (1 if wanted is None else wanted) and _seen(workload)


def _pods_ready(daemon_set: Document) -> bool:
    wanted = daemon_set.number("status", "desiredNumberScheduled") or 0
    ready = daemon_set.number("status", "numberReady") or 0
    return ready >= wanted and _seen(daemon_set)


def _seen(workload: Document) -> bool:
    """Its controller has read the newest spec and could make the pods."""
    observed = workload.number("status", "observedGeneration") or 0
    return (
        observed >= (workload.number("metadata", "generation") or 0)
        and workload.condition("ReplicaFailure").text("status") != "True"
    )


def _node_ready(node: Document) -> bool:
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
    return node.condition("Ready").text("status") == "True" and not any(
        node.condition(kind).text("status") == "True" for kind in pressures
    )


def _bound(claim: Document) -> bool:
    return claim.text("status", "phase") == "Bound"


def _not_failed(job: Document) -> bool:
    return job.condition("Failed").text("status") != "True"


_BY_ITSELF: Mapping[str, Callable[[Document], bool]] = {
    "DaemonSet": _pods_ready,
    "Deployment": _replicas_ready,
    "Job": _not_failed,
    "Node": _node_ready,
    "PersistentVolumeClaim": _bound,
    "Pod": is_well,
    "ReplicaSet": _replicas_ready,
    "StatefulSet": _replicas_ready,
}
