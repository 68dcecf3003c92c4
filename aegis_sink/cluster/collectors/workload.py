"""Deployment, ReplicaSet, StatefulSet, DaemonSet: counts, conditions, the pods that are not well."""

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines, conditions
from aegis_sink.cluster.collectors.pod import examine_pod, is_well, why_unwell
from aegis_sink.cluster.collectors.quota import collect_quotas, refused
from aegis_sink.cluster.collectors.rollout import collect_rollout, selector
from aegis_sink.cluster.document import Document, say, say_time
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import WorkloadFacts

MOST_PODS = 250
MOST_NAMES = 10


async def collect_workload(visit: Visit) -> None:
    """The workload, its events, what changed, and the first of its pods that is not well."""
    workload = await visit.get(visit.ref)
    if workload is None:
        return
    if not workload:
        add_object(visit, visit.ref, workload)
        return

    async def events() -> None:
        told = await collect_events(visit, visit.ref)
        if refused(told) and not _creation_refused(workload):
            await collect_quotas(visit, visit.ref.namespace)

    reads = [events(), collect_rollout(visit), _workload(visit, workload)]
    if _creation_refused(workload):
        reads.append(collect_quotas(visit, visit.ref.namespace))
    await together(*reads)


async def _workload(visit: Visit, workload: Document) -> None:
    ref = visit.ref
    labels = selector(workload.at("spec", "selector"))
    pods: tuple[Document, ...] | None = ()
    if labels:
        pods = await visit.list("Pod", ref.namespace, labels=labels, most=MOST_PODS)
    unwell = sorted((p for p in pods or () if not is_well(p)), key=lambda p: p.name)
    service = workload.text("spec", "serviceName")
    service_exists: bool | None = None
    if service:
        service_exists = await visit.exists(ObjectRef("Service", service, ref.namespace))
    wanted, missing = await _storage_classes(visit, workload)
    facts = workload_facts(
        workload,
        ref.resource_kind,
        unwell,
        service_exists=service_exists,
        storage_classes=wanted,
        missing_storage_classes=missing,
    )
    visit.healthy = _healthy(facts)
    lines = workload_lines(workload, facts)
    visit.add(f"{ref.resource_kind} {ref.path}", "\n".join(lines), 75, facts)
    if unwell:
        pod = unwell[0]
        await examine_pod(visit, ObjectRef("Pod", pod.name, pod.namespace), pod)


async def _storage_classes(
    visit: Visit, workload: Document
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes its claim templates name, and those of them that do not exist."""
    names = {
        t.text("spec", "storageClassName") for t in workload.items("spec", "volumeClaimTemplates")
    }
    wanted = tuple(sorted(name for name in names if name))
    exist = [await visit.exists(ObjectRef("StorageClass", name)) for name in wanted]
    missing = tuple(n for n, there in zip(wanted, exist, strict=True) if there is False)
    return wanted, missing


def workload_facts(
    workload: Document,
    kind: str,
    unwell: list[Document],
    *,
    service_exists: bool | None = None,
    storage_classes: tuple[str, ...] = (),
    missing_storage_classes: tuple[str, ...] = (),
) -> WorkloadFacts:
    """A workload as fields. DaemonSets count what is scheduled instead of replicas."""
    status = workload.at("status")
    if kind == "DaemonSet":
        desired = status.number("desiredNumberScheduled")
        current, ready = status.number("currentNumberScheduled"), status.number("numberReady")
        available, updated = (
            status.number("numberAvailable"),
            status.number("updatedNumberScheduled"),
        )
        unavailable = status.number("numberUnavailable")
    else:
        # The API leaves out counts that are zero.
        desired = workload.number("spec", "replicas")
        current = status.number("replicas") or 0
        ready = status.number("readyReplicas") or 0
        available = status.number("availableReplicas") or 0
        updated = status.number("updatedReplicas") or 0
        unavailable = status.number("unavailableReplicas") or 0
    generation = workload.number("metadata", "generation")
    observed = status.number("observedGeneration")
    reasons = dict.fromkeys(reason for pod in unwell for reason in why_unwell(pod))
    return WorkloadFacts(
        kind=kind,
        desired=desired,
        current=current,
        ready=ready,
        available=available,
        updated=updated,
        unavailable=unavailable,
        paused=workload.flag("spec", "paused"),
        strategy=workload.text("spec", "strategy", "type")
        or workload.text("spec", "updateStrategy", "type"),
        generation_observed=None
        if generation is None or observed is None
        else observed >= generation,
        conditions=conditions(workload),
        condition_reasons=conditions(workload, "reason"),
        condition_messages=conditions(workload, "message"),
        failing_pods=tuple(pod.name for pod in unwell[:MOST_NAMES]),
        pod_reasons=tuple(reasons),
        service_name=workload.text("spec", "serviceName"),
        service_exists=service_exists,
        storage_classes=storage_classes,
        missing_storage_classes=missing_storage_classes,
    )


def _healthy(facts: WorkloadFacts) -> bool | None:
    if facts.desired is None or facts.ready is None:
        return None
    return facts.ready >= facts.desired and facts.conditions.get("ReplicaFailure") != "True"


def _creation_refused(workload: Document) -> bool:
    """Its controller could not make pods: a quota may stand in the way."""
    return workload.condition("ReplicaFailure").text("status") == "True"


def workload_lines(workload: Document, facts: WorkloadFacts) -> list[str]:
    """What a person reads of a workload: its counts, conditions and pods that are not well."""
    lines = [
        f"created {say_time(workload.created)}, strategy {facts.strategy or '?'}",
        f"desired {say(facts.desired)}, current {say(facts.current)}, "
        f"updated {say(facts.updated)}, ready {say(facts.ready)}, available {say(facts.available)}",
    ]
    if facts.paused:
        lines.append("paused: changes are not rolled out")
    if facts.generation_observed is False:
        lines.append("its controller has not seen the newest spec yet")
    if facts.service_name:
        there = {True: "exists", False: "does not exist", None: "not known"}[facts.service_exists]
        lines.append(f"governing service: {facts.service_name} ({there})")
    if facts.missing_storage_classes:
        lines.append(
            f"storage classes that do not exist: {', '.join(facts.missing_storage_classes)}"
        )
    lines += condition_lines(workload)
    if facts.failing_pods:
        lines.append(f"pods not well: {', '.join(facts.failing_pods)}")
        lines.append(f"why: {', '.join(facts.pod_reasons) or 'not known'}")
    return lines
