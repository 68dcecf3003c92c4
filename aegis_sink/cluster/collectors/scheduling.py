"""Why a pod finds no node: all nodes together, and the room on them."""

from collections.abc import Iterable

from aegis_sink.cluster.collectors.node import is_live, node_facts, requests, taints
from aegis_sink.cluster.document import Document, say
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import NodesFacts

MOST_NODES = 500
MOST_PODS = 400
MOST_TOLD = 12


async def collect_scheduling(visit: Visit, pod: Document) -> None:
    """The nodes against what the pod asks for. Room is summed only where the scheduler lacks it."""
    nodes = await visit.list("Node", most=MOST_NODES)
    if nodes is None:
        return
    pods: tuple[Document, ...] | None = None
    if "Insufficient" in pod.condition("PodScheduled").text("message"):
        pods = await visit.list("Pod", fields="spec.nodeName!=", most=MOST_PODS)
        if pods is not None and len(pods) >= MOST_PODS:
            visit.lacks(f"free room on the nodes: the cluster has more than {MOST_PODS} pods")
            pods = None
    selector = pod.mapping("spec", "nodeSelector")
    facts = nodes_facts(visit, nodes, pods, selector)
    visit.add(
        "all nodes",
        "\n".join(_lines(visit, nodes, facts, pod)),
        82,
        facts,
        ObjectRef("Node", "all"),
    )


def nodes_facts(
    visit: Visit,
    nodes: Iterable[Document],
    pods: Iterable[Document] | None,
    selector: dict[str, str],
) -> NodesFacts:
    """All nodes as fields; free room only when `pods` are known."""
    on_node: dict[str, list[Document]] = {}
    for pod in pods or ():
        if is_live(pod):
            on_node.setdefault(pod.text("spec", "nodeName"), []).append(pod)
    every = [(n, node_facts(visit, n, None, lease_age=None)) for n in nodes]
    usable = [(n, f) for n, f in every if f.ready == "True" and not f.unschedulable]
    free = []
    for node, facts in usable:
        cpu, memory = requests(on_node.get(node.name, ()))
        free.append(((facts.allocatable_cpu or 0) - cpu, (facts.allocatable_memory or 0) - memory))
    known = pods is not None and bool(free)
    return NodesFacts(
        total=len(every),
        ready=sum(f.ready == "True" for _, f in every),
        schedulable=len(usable),
        largest_allocatable_cpu=max((f.allocatable_cpu or 0 for _, f in usable), default=None),
        largest_allocatable_memory=max(
            (f.allocatable_memory or 0 for _, f in usable), default=None
        ),
        largest_free_cpu=max(cpu for cpu, _ in free) if known else None,
        largest_free_memory=max(memory for _, memory in free) if known else None,
        taints=tuple(sorted({t for n, _ in every for t in taints(n)})),
        zones=tuple(sorted({f.zone for _, f in every if f.zone})),
        architectures=tuple(sorted({f.architecture for _, f in every if f.architecture})),
        matching_node_selector=sum(selector.items() <= n.labels.items() for n, _ in every)
        if selector
        else None,
    )


def _lines(
    visit: Visit, nodes: tuple[Document, ...], facts: NodesFacts, pod: Document
) -> list[str]:
    cpu, memory = requests((pod,))
    lines = [f"the pod requests cpu {cpu}m, memory {memory // 2**20}Mi"]
    selector = pod.mapping("spec", "nodeSelector")
    if selector:
        told = ", ".join(f"{k}={v}" for k, v in selector.items())
        lines.append(f"node selector {told}: carried by {say(facts.matching_node_selector)} nodes")
    lines.append(f"{facts.total} nodes, {facts.ready} ready, {facts.schedulable} schedulable")
    if facts.largest_free_cpu is not None and facts.largest_free_memory is not None:
        free = facts.largest_free_memory // 2**20
        lines.append(f"most free on one node: cpu {facts.largest_free_cpu}m, memory {free}Mi")
    for node in sorted(nodes, key=lambda n: n.name)[:MOST_TOLD]:
        one = node_facts(visit, node, None, lease_age=None)
        marks = [f"ready={one.ready or '?'}", *(["cordoned"] if one.unschedulable else [])]
        marks += [f"allocatable cpu {one.allocatable_cpu}m"] if one.allocatable_cpu else []
        marks += [f"memory {one.allocatable_memory // 2**20}Mi"] if one.allocatable_memory else []
        marks += [f"taints {', '.join(one.taints)}"] if one.taints else []
        lines.append(f"{node.name}: {', '.join(marks)}")
    return lines
