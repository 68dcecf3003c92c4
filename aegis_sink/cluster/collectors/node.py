"""A Node: conditions, taints, the age of its lease, its room, what runs there."""

from collections.abc import Iterable

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines
from aegis_sink.cluster.document import Document, say, say_time
from aegis_sink.cluster.quantity import millicores, size
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import NodeFacts

MOST_PODS = 250
MOST_NAMES = 10
ZONE = "topology.kubernetes.io/zone"
ARCHITECTURE = "kubernetes.io/arch"
_GOOD = ("Ready", "Healthy")


async def collect_finding_node(visit: Visit) -> None:
    """The finding's own node, with its events."""
    visit.nodes.append(visit.ref.name)

    async def events() -> None:
        await collect_events(visit, visit.ref)

    await together(events(), collect_node(visit, visit.ref.name, worth=90))


async def collect_node(visit: Visit, name: str, worth: int = 70) -> None:
    """A node, its lease and its pods."""
    ref = ObjectRef("Node", name)
    node = await visit.get(ref)
    if node is None:
        return
    if not node:
        add_object(visit, ref, node)
        visit.add(
            f"Node {name} in the cluster", "gone", 95, NodeFacts(name=name, exists=False), ref
        )
        return
    lease: list[Document | None] = []
    pods: list[Document] | None = None

    async def read_lease() -> None:
        lease.append(await visit.get(ObjectRef("Lease", name, "kube-node-lease")))

    async def read_pods() -> None:
        nonlocal pods
        found = await visit.list("Pod", fields=f"spec.nodeName={name}", most=MOST_PODS)
        pods = list(found) if found is not None else None

    await together(read_lease(), read_pods())
    renewed = lease[0].time("spec", "renewTime") if lease and lease[0] else None
    facts = node_facts(visit, node, pods, lease_age=visit.age(renewed))
    if ref == visit.ref:
        visit.healthy = facts.ready == "True" and not facts.pressures
    visit.add(
        f"Node {name}", "\n".join(_lines(node, facts, pods, say_time(renewed))), worth, facts, ref
    )


def node_facts(
    visit: Visit, node: Document, pods: Iterable[Document] | None, *, lease_age: int | None
) -> NodeFacts:
    """A node as fields; requests are summed over `pods` when they are known."""
    ready = node.condition("Ready")
    running = None if pods is None else [p for p in pods if is_live(p)]
    cpu, memory = requests(running or ())
    return NodeFacts(
        name=node.name,
        exists=True,
        ready=ready.text("status"),
        ready_reason=ready.text("reason"),
        pressures=pressures(node),
        taints=taints(node),
        unschedulable=bool(node.flag("spec", "unschedulable")),
        lease_age_seconds=lease_age,
        allocatable_cpu=millicores(node.text("status", "allocatable", "cpu")),
        allocatable_memory=size(node.text("status", "allocatable", "memory")),
        requested_cpu=cpu if running is not None else None,
        requested_memory=memory if running is not None else None,
        pods=len(running) if running is not None else None,
        pod_capacity=size(node.text("status", "allocatable", "pods")),
        zone=node.labels.get(ZONE, ""),
        architecture=node.labels.get(ARCHITECTURE, "")
        or node.text("status", "nodeInfo", "architecture"),
        kubelet_version=node.text("status", "nodeInfo", "kubeletVersion"),
    )


def _lines(
    node: Document, facts: NodeFacts, pods: list[Document] | None, renewed: str
) -> list[str]:
    lines = condition_lines(node)
    lines.append(f"taints: {', '.join(facts.taints) or 'none'}")
    if facts.unschedulable:
        lines.append("cordoned (unschedulable)")
    lines.append(f"lease renewed {renewed}")
    allocatable = node.mapping("status", "allocatable")
    told = ", ".join(f"{k} {allocatable[k]}" for k in ("cpu", "memory", "pods") if k in allocatable)
    lines.append(f"allocatable: {told or '?'}")
    if facts.requested_cpu is not None and facts.requested_memory is not None:
        memory = facts.requested_memory // 2**20
        lines.append(
            f"requested by {say(facts.pods)} pods: cpu {facts.requested_cpu}m, memory {memory}Mi"
        )
    unwell = sorted(
        f"{p.namespace}/{p.name}"
        for p in pods or ()
        if is_live(p) and p.condition("Ready").text("status") != "True"
    )
    if unwell:
        more = f" and {len(unwell) - MOST_NAMES} more" if len(unwell) > MOST_NAMES else ""
        lines.append(f"pods not ready: {', '.join(unwell[:MOST_NAMES])}{more}")
    lines.append(
        f"kubelet {facts.kubelet_version or '?'}, {facts.architecture or '?'}, zone {facts.zone or '?'}"
    )
    return lines


def pressures(node: Document) -> tuple[str, ...]:
    """Condition types that speak of a problem: "MemoryPressure", "NetworkUnavailable".

    Most are bad when True. The checks of some providers (EKS: "KernelReady", "StorageReady") are
    named after the good state and are bad when False.
    """
    return tuple(
        sorted(
            c.text("type")
            for c in node.items("status", "conditions")
            if c.text("type") != "Ready"
            and c.text("status") == ("False" if c.text("type").endswith(_GOOD) else "True")
        )
    )


def taints(node: Document) -> tuple[str, ...]:
    """As kubectl writes them: "dedicated=gpu:NoSchedule"."""
    told = []
    for taint in node.items("spec", "taints"):
        value = f"={taint.text('value')}" if taint.text("value") else ""
        told.append(f"{taint.text('key')}{value}:{taint.text('effect')}")
    return tuple(sorted(told))


def is_live(pod: Document) -> bool:
    """It holds its requests: neither done nor failed."""
    return pod.text("status", "phase") not in ("Succeeded", "Failed")


def requests(pods: Iterable[Document]) -> tuple[int, int]:
    """(millicores, bytes) that the containers of these pods request together."""
    cpu = memory = 0
    for pod in pods:
        for container in pod.items("spec", "containers"):
            cpu += millicores(container.text("resources", "requests", "cpu")) or 0
            memory += size(container.text("resources", "requests", "memory")) or 0
    return cpu, memory
