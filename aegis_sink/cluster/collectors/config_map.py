"""A ConfigMap: its keys and sizes. Values are dropped as soon as they are measured."""

from collections.abc import Iterator

from aegis_sink.cluster.collectors.generic import add_object
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.visit import Visit
from aegis_sink.model.facts import ConfigMapFacts

MOST_PODS = 300
MOST_KEYS = 30


async def collect_config_map(visit: Visit) -> None:
    """Keys, sizes, and the pods that use it."""
    config_map = await visit.get(visit.ref)
    if config_map is None:
        return
    if not config_map:
        add_object(visit, visit.ref, config_map)
        facts = ConfigMapFacts(name=visit.ref.name, exists=False)
        visit.add(f"ConfigMap {visit.ref.path} in the cluster", "gone", 90, facts)
        return
    sizes = {key: len(value.text().encode()) for key, value in config_map.members("data")} | {
        key: _decoded_size(value.text()) for key, value in config_map.members("binaryData")
    }
    pods = await visit.listing("Pod", visit.ref.namespace, most=MOST_PODS)
    used_by = sorted(p.name for p in (pods.found if pods else ()) if visit.ref.name in _used(p))
    nobody = "none" if pods and pods.whole else "not known"
    facts = ConfigMapFacts(
        name=visit.ref.name,
        exists=True,
        keys=tuple(sizes),
        size=sum(sizes.values()),
        used_by=tuple(used_by[:MOST_KEYS]),
    )
    told = [f"{key}: {size} bytes" for key, size in list(sizes.items())[:MOST_KEYS]]
    lines = [
        f"{len(sizes)} keys, {facts.size} bytes together",
        *told,
        f"used by pods: {', '.join(facts.used_by) or nobody}",
    ]
    visit.add(f"ConfigMap {visit.ref.path} (keys and sizes)", "\n".join(lines), 70, facts)


def _decoded_size(base64: str) -> int:
    """Of binaryData, as a pod would see it."""
    return len(base64) * 3 // 4 - base64[-2:].count("=")


def _used(pod: Document) -> set[str]:
    return set(_names(pod))


def _names(pod: Document) -> Iterator[str]:
    for volume in pod.items("spec", "volumes"):
        yield volume.text("configMap", "name")
        for source in volume.items("projected", "sources"):
            yield source.text("configMap", "name")
    for which in ("initContainers", "containers"):
        for container in pod.items("spec", which):
            for source in container.items("envFrom"):
                yield source.text("configMapRef", "name")
            for variable in container.items("env"):
                yield variable.text("valueFrom", "configMapKeyRef", "name")
