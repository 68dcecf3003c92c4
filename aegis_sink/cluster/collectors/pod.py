"""A Pod: its containers, the log of those that fail, the scheduler's words, what it waits for."""

import re
from collections.abc import Iterator
from datetime import datetime

from aegis_sink.cluster.collectors.claim import collect_claim
from aegis_sink.cluster.collectors.container import Container, containers
from aegis_sink.cluster.collectors.events import Told, collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines
from aegis_sink.cluster.collectors.logs import collect_log
from aegis_sink.cluster.collectors.node import collect_node
from aegis_sink.cluster.collectors.rollout import collect_rollout
from aegis_sink.cluster.collectors.scheduling import collect_scheduling
from aegis_sink.cluster.document import Document, say_time
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import PodFacts

MOST_LOGGED = 3
"""Containers of one pod whose logs are read."""

_MISSING = re.compile(r'(configmaps?|secrets?|persistentvolumeclaims?) "([^"]{1,253})" not found')
_NODE_REASONS = frozenset({"NodeLost", "Evicted", "NodeShutdown", "Terminated", "Preempting"})


async def collect_pod(visit: Visit) -> None:
    """Everything about the finding's pod, and what changed in its owner."""
    pod = await visit.get(visit.ref)
    if pod is None:
        return
    if not pod:
        await _gone(visit)
        return
    await together(
        examine_pod(visit, visit.ref, pod),
        collect_rollout(visit, failing_since=_not_ready_since(pod)),
    )
    visit.healthy = is_well(pod)


async def _gone(visit: Visit) -> None:
    add_object(visit, visit.ref, Document())
    visit.healthy = None

    async def events() -> None:
        await collect_events(visit, visit.ref)

    await together(events(), collect_rollout(visit))


async def examine_pod(visit: Visit, ref: ObjectRef, pod: Document) -> None:
    """The pod itself, its events, logs, and what its state asks to look at."""
    found = containers(pod, visit.now)
    node = pod.text("spec", "nodeName")
    if node:
        visit.nodes.append(node)
    for container in found:
        name = container.facts.name
        worth = 90 if container.failing else 15
        visit.add(
            f"container {name} of Pod {ref.path}", container.text, worth, container.facts, ref
        )
    told: list[Told] = []

    async def events() -> None:
        told.extend(await collect_events(visit, ref))

    claims = _claims(pod) if pod.text("status", "phase") == "Pending" else ()
    unschedulable = pod.condition("PodScheduled").text("status") == "False"
    reads = [events(), _logs(visit, ref, found), *(_claim(visit, ref, c) for c in claims[:3])]
    if unschedulable:
        reads.append(collect_scheduling(visit, pod))
    elif node and (pod.text("status", "reason") in _NODE_REASONS or _node_is_suspect(pod)):
        reads.append(collect_node(visit, node))
    await together(*reads)
    pending = tuple(c for c in claims if f"Claim {ref.namespace}/{c}" in _pending(visit))
    facts = pod_facts(pod, (t.message for t in told), pending)
    visit.add(f"Pod {ref.path}", "\n".join(_lines(pod, facts)), 60, facts, ref)


async def _logs(visit: Visit, ref: ObjectRef, found: tuple[Container, ...]) -> None:
    asked = [c for c in found if c.facts.name == visit.finding.container and ref == visit.ref]
    failing = [c for c in found if c.failing and c not in asked]
    await together(*(_log(visit, ref, c) for c in (asked + failing)[:MOST_LOGGED]))


async def _log(visit: Visit, ref: ObjectRef, container: Container) -> None:
    """The previous log, and the current one of a container that runs again.

    Between two runs the kubelet answers both with the log of the run that ended: one is enough.
    """
    name = container.facts.name
    if container.ran_before:
        had = await collect_log(visit, ref, name, previous=True, worth=88)
        if had and not container.running:
            return
    if container.running or container.ended:
        await collect_log(visit, ref, name, previous=False, worth=85)


async def _claim(visit: Visit, ref: ObjectRef, name: str) -> None:
    await collect_claim(visit, ObjectRef("PersistentVolumeClaim", name, ref.namespace))


def _pending(visit: Visit) -> set[str]:
    return {
        f"Claim {d.object.path}"
        for d in visit.drafts
        if d.object and d.facts and d.facts.topic == "claim" and "phase: Bound" not in d.text
    }


def _claims(pod: Document) -> tuple[str, ...]:
    names = (v.text("persistentVolumeClaim", "claimName") for v in pod.items("spec", "volumes"))
    return tuple(name for name in names if name)


def _node_is_suspect(pod: Document) -> bool:
    """Ready is False or Unknown, though every container says it is ready.

    So the node controller leaves the pods of a node that does not report; the kubelet, which would
    write the containers' states, is silent. A readiness gate does the same and is asked of.
    """
    containers = pod.items("status", "containerStatuses")
    return (
        pod.condition("Ready").text("status") in ("False", "Unknown")
        and bool(containers)
        and all(c.flag("ready") for c in containers)
        and not pod.items("spec", "readinessGates")
    ) or pod.condition("Ready").text("status") == "Unknown"


def _not_ready_since(pod: Document) -> datetime | None:
    ready = pod.condition("Ready")
    if ready.text("status") != "False":
        return None
    return ready.time("lastTransitionTime") or pod.created


def is_well(pod: Document) -> bool:
    """Running and ready, or done."""
    phase = pod.text("status", "phase")
    return phase == "Succeeded" or (
        phase == "Running" and pod.condition("Ready").text("status") == "True"
    )


def why_unwell(pod: Document) -> tuple[str, ...]:
    """Reasons in one word each: "CrashLoopBackOff", "Unschedulable", "OOMKilled"."""
    reasons = [pod.text("status", "reason")]
    scheduled = pod.condition("PodScheduled")
    if scheduled.text("status") == "False":
        reasons.append(scheduled.text("reason"))
    for statuses in ("initContainerStatuses", "containerStatuses"):
        for status in pod.items("status", statuses):
            reasons.append(status.text("state", "waiting", "reason"))
            for ended in (status.at("state", "terminated"), status.at("lastState", "terminated")):
                if ended.number("exitCode"):
                    reasons.append(ended.text("reason"))
    return tuple(dict.fromkeys(reason for reason in reasons if reason))


def pod_facts(pod: Document, event_messages: Iterator[str], pending: tuple[str, ...]) -> PodFacts:
    """The pod as a whole. `event_messages` are searched for objects the kubelet did not find."""
    waiting = (
        s.text("state", "waiting", "message")
        for which in ("initContainerStatuses", "containerStatuses")
        for s in pod.items("status", which)
    )
    missing = (
        f"{kind.rstrip('s')} {name}"
        for message in (*waiting, *event_messages)
        for kind, name in _MISSING.findall(message)
    )
    ready = pod.condition("Ready").text("status")
    scheduled = pod.condition("PodScheduled")
    gates = tuple(g.text("name") for g in pod.items("spec", "schedulingGates"))
    return PodFacts(
        phase=pod.text("status", "phase"),
        reason=pod.text("status", "reason"),
        ready=ready == "True" if ready else None,
        node=pod.text("spec", "nodeName"),
        qos_class=pod.text("status", "qosClass"),
        priority_class=pod.text("spec", "priorityClassName"),
        service_account=pod.text("spec", "serviceAccountName"),
        # The API server admits a pod only when its service account exists.
        service_account_exists=True if pod.uid else None,
        image_pull_secrets=tuple(s.text("name") for s in pod.items("spec", "imagePullSecrets")),
        node_selector=pod.mapping("spec", "nodeSelector"),
        has_affinity=bool(pod.at("spec", "affinity")),
        has_tolerations=any(
            not t.text("key").startswith("node.kubernetes.io/")
            for t in pod.items("spec", "tolerations")
        ),
        scheduling_gates=gates,
        unschedulable_message=scheduled.text("message")
        if scheduled.text("status") == "False"
        else "",
        labels=pod.labels,
        claims=_claims(pod),
        pending_claims=pending,
        missing_references=tuple(dict.fromkeys(missing)),
        evicted=pod.text("status", "reason") == "Evicted",
    )


def _lines(pod: Document, facts: PodFacts) -> Iterator[str]:
    message = pod.text("status", "message")
    yield f"phase: {facts.phase or '?'} {facts.reason} {message}".rstrip()
    yield f"created {say_time(pod.created)} on node {facts.node or '(none yet)'}"
    deleted = pod.time("metadata", "deletionTimestamp")
    if deleted:
        finalizers = ", ".join(pod.texts("metadata", "finalizers")) or "none"
        yield f"being deleted since {say_time(deleted)}; finalizers: {finalizers}"
    yield from condition_lines(pod)
    for title, texts in (
        ("scheduling gates", facts.scheduling_gates),
        ("image pull secrets (names)", facts.image_pull_secrets),
        ("node selector", tuple(f"{k}={v}" for k, v in facts.node_selector.items())),
        ("claims", facts.claims),
        ("claims that wait", facts.pending_claims),
        ("not found", facts.missing_references),
    ):
        if texts:
            yield f"{title}: {', '.join(texts)}"
    yield f"service account: {facts.service_account or 'default'}, QoS {facts.qos_class or '?'}"
    yield from _volume_lines(pod)


def _volume_lines(pod: Document) -> Iterator[str]:
    """Volumes that name another object; names only."""
    for volume in pod.items("spec", "volumes"):
        for member, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            name = volume.text(member, "name") or volume.text(member, "secretName")
            if name:
                yield f"volume {volume.text('name')}: {kind} {name}"
