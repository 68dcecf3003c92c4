"""A HorizontalPodAutoscaler: its target, conditions and where its metrics come from."""

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines, conditions
from aegis_sink.cluster.document import Document, say
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import AutoscalerFacts

METRICS_API = "v1beta1.metrics.k8s.io"
_CUSTOM_API = "v1beta1.custom.metrics.k8s.io"
_EXTERNAL_API = "v1beta1.external.metrics.k8s.io"
_API_OF = {"Pods": _CUSTOM_API, "Object": _CUSTOM_API, "External": _EXTERNAL_API}
"""Which API a type of metric comes from; the metrics server gives only the others."""


async def collect_autoscaler(visit: Visit) -> None:
    """The autoscaler with its target."""
    autoscaler = await visit.get(visit.ref)
    if autoscaler is None:
        return
    if not autoscaler:
        add_object(visit, visit.ref, autoscaler)
        return
    target: Document | None = None
    kinds = [metric.text("type") for metric in autoscaler.items("spec", "metrics")]
    apis: dict[str, Document | None] = dict.fromkeys(
        sorted({_API_OF.get(kind, METRICS_API) for kind in kinds or [""]})
    )
    aim = autoscaler.at("spec", "scaleTargetRef")
    ref = ObjectRef(aim.text("kind"), aim.text("name"), visit.ref.namespace, aim.text("apiVersion"))

    async def read_target() -> None:
        nonlocal target
        target = await visit.get(ref)

    async def read_api(name: str) -> None:
        apis[name] = await visit.get(ObjectRef("APIService", name))

    async def events() -> None:
        await collect_events(visit, visit.ref)

    await together(read_target(), *(read_api(name) for name in apis), events())
    facts = autoscaler_facts(autoscaler, target, apis.get(METRICS_API))
    visit.healthy = facts.target_exists is not False and "False" not in facts.conditions.values()
    there = {True: "exists", False: "does not exist", None: "not known"}
    lines = [
        f"target: {ref.kind} {ref.name} ({there[facts.target_exists]})",
        f"replicas: {say(facts.current_replicas)} now, {say(facts.desired_replicas)} desired, "
        f"{say(facts.min_replicas)} to {say(facts.max_replicas)} allowed",
        f"metrics: {', '.join(facts.metrics) or 'none'}",
        *(f"metrics API {name} available: {say(_available(api))}" for name, api in apis.items()),
        *condition_lines(autoscaler),
    ]
    if facts.containers_without_requests:
        names = ", ".join(facts.containers_without_requests)
        lines.append(f"containers without CPU or memory requests: {names}")
    visit.add(f"HorizontalPodAutoscaler {visit.ref.path}", "\n".join(lines), 88, facts)


def autoscaler_facts(
    autoscaler: Document, target: Document | None, metrics: Document | None
) -> AutoscalerFacts:
    """An autoscaler as fields. None for what could not be read."""
    aim, status = autoscaler.at("spec", "scaleTargetRef"), autoscaler.at("status")
    containers = target.items("spec", "template", "spec", "containers") if target else ()
    return AutoscalerFacts(
        target_kind=aim.text("kind"),
        target_name=aim.text("name"),
        target_exists=None if target is None else bool(target),
        min_replicas=autoscaler.number("spec", "minReplicas"),
        max_replicas=autoscaler.number("spec", "maxReplicas"),
        current_replicas=status.number("currentReplicas"),
        desired_replicas=status.number("desiredReplicas"),
        conditions=conditions(autoscaler),
        condition_reasons=conditions(autoscaler, "reason"),
        metrics=tuple(_metric(m) for m in autoscaler.items("spec", "metrics")),
        metrics_api_available=_available(metrics),
        containers_without_requests=tuple(
            c.text("name") for c in containers if not c.mapping("resources", "requests")
        ),
    )


def _available(api: Document | None) -> bool | None:
    """Does something serve this API? None when it may not be read."""
    if api is None:
        return None
    return bool(api) and api.condition("Available").text("status") == "True"


def _metric(metric: Document) -> str:
    kind = metric.text("type")
    inner = metric.at(kind[:1].lower() + kind[1:])
    name = inner.text("name") or inner.text("metric", "name")
    target = inner.at("target")
    aim = next(
        (target.text(k) for k in ("averageUtilization", "averageValue", "value") if target.has(k)),
        "",
    )
    return " ".join(part for part in (kind, name, aim) if part)
