"""Collectors: for each kind, what an experienced engineer would have fetched. One table."""

from collections.abc import Awaitable, Callable, Mapping

from aegis_sink.cluster.collectors.claim import collect_finding_claim
from aegis_sink.cluster.collectors.generic import collect_object
from aegis_sink.cluster.collectors.node import collect_finding_node
from aegis_sink.cluster.collectors.pod import collect_pod
from aegis_sink.cluster.collectors.storage import collect_storage_class, collect_volume
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef

Collector = Callable[[Visit], Awaitable[None]]

COLLECTORS: Mapping[str, Collector] = {
    "Node": collect_finding_node,
    "PersistentVolume": collect_volume,
    "PersistentVolumeClaim": collect_finding_claim,
    "Pod": collect_pod,
    "StorageClass": collect_storage_class,
}


def collector(ref: ObjectRef) -> Collector:
    """The collector of an object's kind; kinds without one go through discovery."""
    return COLLECTORS.get(ref.resource_kind, collect_object)
