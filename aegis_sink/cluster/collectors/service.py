"""A Service against the pods it selects, its endpoints and their ports."""

from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object
from aegis_sink.cluster.collectors.pod import examine_pod, is_well
from aegis_sink.cluster.collectors.workload import workload_facts, workload_lines
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import ServiceFacts

MOST_PODS = 300
MOST_WORKLOADS = 200
SERVICE_NAME = "kubernetes.io/service-name"


async def collect_finding_service(visit: Visit) -> None:
    """The finding's own Service, with its events and the first of its pods that is not well."""

    async def events() -> None:
        await collect_events(visit, visit.ref, worth=60)

    unwell: list[Document] = []

    async def service() -> None:
        unwell.extend(await collect_service(visit, visit.ref, worth=90))

    await together(events(), service())
    if unwell:
        pod = unwell[0]
        await examine_pod(visit, ObjectRef("Pod", pod.name, pod.namespace), pod)


async def collect_service(visit: Visit, ref: ObjectRef, worth: int) -> list[Document]:
    """A Service as evidence; its pods that are not well are given back."""
    service = await visit.get(ref)
    if service is None:
        return []
    if not service:
        add_object(visit, ref, service)
        facts = ServiceFacts(name=ref.name, exists=False)
        visit.add(f"Service {ref.path} in the cluster", "gone", 90, facts, ref)
        return []
    pods: tuple[Document, ...] | None = None
    slices: tuple[Document, ...] | None = None

    async def read_pods() -> None:
        nonlocal pods
        labels = ",".join(f"{k}={v}" for k, v in service.mapping("spec", "selector").items())
        if not labels:
            return
        pods = await visit.list("Pod", ref.namespace, labels=labels, most=MOST_PODS)
        if pods == ():  # the others tell which of them it nearly selects
            pods = await visit.list("Pod", ref.namespace, most=MOST_PODS) or ()

    async def read_slices() -> None:
        nonlocal slices
        labels = f"{SERVICE_NAME}={ref.name}"
        slices = await visit.list("EndpointSlice", ref.namespace, labels=labels)

    await together(read_pods(), read_slices())
    facts = service_facts(service, pods, slices)
    if ref == visit.ref and facts.ready_endpoints is not None:
        visit.healthy = facts.ready_endpoints > 0
    visit.add(f"Service {ref.path}", "\n".join(_lines(facts)), worth, facts, ref)
    selector = service.mapping("spec", "selector")
    if facts.matching_pods == 0 and selector:
        await _workload_behind(visit, ref, selector)
    chosen = matching(pods or (), selector)
    return sorted((p for p in chosen if not is_well(p)), key=lambda p: p.name)


async def _workload_behind(visit: Visit, ref: ObjectRef, selector: dict[str, str]) -> None:
    """The first workload whose pods the Service would select: it may be scaled to zero."""
    for kind in ("Deployment", "StatefulSet"):
        for workload in await visit.list(kind, ref.namespace, most=MOST_WORKLOADS) or ():
            if (
                selector.items()
                <= workload.mapping("spec", "template", "metadata", "labels").items()
            ):
                facts = workload_facts(workload, kind, [])
                about = ObjectRef(kind, workload.name, ref.namespace)
                text = "\n".join(workload_lines(workload, facts))
                visit.add(f"{kind} {about.path}", text, 75, facts, about)
                return


def matching(pods: Iterable[Document], selector: dict[str, str]) -> list[Document]:
    """The pods that carry all labels of a non-empty selector."""
    return [p for p in pods if selector and selector.items() <= p.labels.items()]


def endpoint_counts(slices: Iterable[Document]) -> tuple[int, int]:
    """(ready, not ready) endpoints. No condition counts as ready, as the API says."""
    ready = [
        e.flag("conditions", "ready") is not False for s in slices for e in s.items("endpoints")
    ]
    return sum(ready), len(ready) - sum(ready)


def service_facts(
    service: Document, pods: tuple[Document, ...] | None, slices: tuple[Document, ...] | None
) -> ServiceFacts:
    """A Service as fields. None for what could not be read."""
    selector = service.mapping("spec", "selector")
    chosen = matching(pods or (), selector)
    container_ports, port_names = _container_ports(chosen)
    label, labels, workload = "", dict[str, str](), ""
    if pods and not chosen:
        label, labels, workload = near_miss(pods, selector)
    ready, not_ready = endpoint_counts(slices or ())
    return ServiceFacts(
        name=service.name,
        exists=True,
        type=service.text("spec", "type") or "ClusterIP",
        selector=selector,
        ports=tuple(_port(p) for p in service.items("spec", "ports")),
        matching_pods=len(chosen) if pods is not None else None,
        ready_endpoints=ready if slices is not None else None,
        not_ready_endpoints=not_ready if slices is not None else None,
        near_miss_labels=labels,
        near_miss_selector_label=label,
        near_miss_workload=workload,
        target_ports_missing=_missing_ports(service, container_ports, port_names) if chosen else (),
        container_ports=container_ports,
    )


def near_miss(
    pods: Iterable[Document], selector: dict[str, str]
) -> tuple[str, dict[str, str], str]:
    """The selector's one label that keeps it from most of the pods it nearly selects.

    ("app=chekout", the pods' own value of that label, the workload they belong to); with a
    selector of one label, the pods must carry the label with a similar value.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    for pod in pods:
        wrong = [k for k, v in selector.items() if pod.labels.get(k) != v]
        if len(wrong) != 1:
            continue
        name = wrong[0]
        own = pod.labels.get(name, "")
        if len(selector) == 1 and not _similar(own, selector[name]):
            continue
        owner = pod.controller
        told = f"{owner.kind} {owner.name}" if owner else f"Pod {pod.name}"
        found[name, own, told] += 1
    if not found:
        return "", {}, ""
    (name, own, workload), _ = min(found.items(), key=lambda item: (-item[1], item[0]))
    return f"{name}={selector[name]}", {name: own} if own else {}, workload


def _similar(one: str, other: str) -> bool:
    """They differ by little: a typo, or one is a part of the other."""
    if not one or not other:
        return False
    if one in other or other in one:
        return True
    return SequenceMatcher(None, one, other).ratio() >= 0.7


def _container_ports(pods: list[Document]) -> tuple[tuple[str, ...], frozenset[str]]:
    told: dict[str, None] = {}
    names = set()
    for pod in pods:
        for container in pod.items("spec", "containers"):
            for port in container.items("ports"):
                name, number = port.text("name"), port.text("containerPort")
                told[f"{name}:{number}" if name else number] = None
                names |= {name, number} - {""}
    return tuple(told), frozenset(names)


def _missing_ports(
    service: Document, container_ports: tuple[str, ...], declared: frozenset[str]
) -> tuple[str, ...]:
    """Target ports that no container declares.

    A number need not be declared to work: it is missing only when others are declared.
    """
    missing = []
    for port in service.items("spec", "ports"):
        target = port.text("targetPort") or port.text("port")
        if target not in declared and (container_ports or not target.isdigit()):
            missing.append(target)
    return tuple(missing)


def _port(port: Document) -> str:
    target = port.text("targetPort") or port.text("port")
    numbers = f"{port.text('port')}→{target}/{port.text('protocol') or 'TCP'}"
    return f"{port.text('name')} {numbers}".strip()


def _lines(facts: ServiceFacts) -> list[str]:
    def known(count: int | None) -> str:
        return "not known" if count is None else str(count)

    told = ", ".join(f"{k}={v}" for k, v in facts.selector.items()) or "none"
    lines = [
        f"type {facts.type}, selector {told}, ports {', '.join(facts.ports) or 'none'}",
        f"pods that match the selector: {known(facts.matching_pods)}",
        f"endpoints: {known(facts.ready_endpoints)} ready, "
        f"{known(facts.not_ready_endpoints)} not ready",
    ]
    if facts.container_ports:
        lines.append(f"ports its pods declare: {', '.join(facts.container_ports)}")
    if facts.target_ports_missing:
        lines.append(f"target ports no pod declares: {', '.join(facts.target_ports_missing)}")
    if facts.near_miss_selector_label:
        own = ", ".join(f"{k}={v}" for k, v in facts.near_miss_labels.items()) or "do not have it"
        lines.append(
            f"{facts.near_miss_workload} matches all but {facts.near_miss_selector_label}; "
            f"its pods have {own}"
        )
    return lines
