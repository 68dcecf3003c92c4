"""Gateway API: GatewayClass, Gateway, HTTPRoute against what they name."""

from dataclasses import replace

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines, conditions
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import RouteFacts

MOST_NAMED = 6
"""Of the parents and services that a route names, so many are asked for."""


async def collect_gateway(visit: Visit) -> None:
    """The object with its class, parents and services."""

    async def read() -> None:
        document = await visit.get(visit.ref)
        if document is None:
            return
        if not document:
            add_object(visit, visit.ref, document)
            return
        facts = await _facts(visit, document)
        bad = facts.accepted is False or facts.programmed is False or facts.class_exists is False
        visit.healthy = not (
            bad or facts.missing_parents or facts.missing_services or facts.missing_service_ports
        )
        source = f"{visit.ref.resource_kind} {visit.ref.path}"
        visit.add(source, "\n".join(_lines(document, facts)), 88, facts)

    async def events() -> None:
        await collect_events(visit, visit.ref)

    await together(read(), events())


async def _facts(visit: Visit, document: Document) -> RouteFacts:
    kind = visit.ref.resource_kind
    accepted = document.condition("Accepted").text("status")
    programmed = document.condition("Programmed").text("status")
    facts = RouteFacts(
        kind=kind,
        accepted=accepted == "True" if accepted else None,
        programmed=programmed == "True" if programmed else None,
        programmed_reason=document.condition("Programmed").text("reason"),
        condition_reasons=conditions(document, "reason"),
        controller=document.text("spec", "controllerName"),
    )
    if kind == "Gateway":
        name = document.text("spec", "gatewayClassName")
        exists = await visit.exists(ObjectRef("GatewayClass", name)) if name else None
        allowed = {
            listener.text("allowedRoutes", "namespaces", "from") or "Same"
            for listener in document.items("spec", "listeners")
        }
        told = ", ".join(sorted(allowed))
        return replace(facts, gateway_class=name, class_exists=exists, allowed_routes_from=told)
    if kind == "HTTPRoute":
        return await _route(visit, document, facts)
    return facts


async def _route(visit: Visit, route: Document, facts: RouteFacts) -> RouteFacts:
    parents = [
        ObjectRef("Gateway", p.text("name"), p.text("namespace") or visit.ref.namespace)
        for p in route.items("spec", "parentRefs")
        if p.text("kind") in ("", "Gateway")
    ][:MOST_NAMED]
    backends = {
        (b.text("namespace") or visit.ref.namespace, b.text("name"), b.number("port"))
        for rule in route.items("spec", "rules")
        for b in rule.items("backendRefs")
        if b.text("kind") in ("", "Service")
    }
    missing_parents = [p.path for p in parents if await visit.exists(p) is False]
    missing: list[str] = []
    missing_ports: list[str] = []
    for namespace, name, port in sorted(backends, key=str)[:MOST_NAMED]:
        service = await visit.get(ObjectRef("Service", name, namespace))
        if service is None:
            continue
        if not service:
            missing.append(f"{namespace}/{name}")
        elif port not in [p.number("port") for p in service.items("spec", "ports")]:
            missing_ports.append(f"{namespace}/{name}:{port}")
    statuses = [
        c.text("status")
        for parent in route.items("status", "parents")
        for c in parent.items("conditions")
        if c.text("type") == "Accepted"
    ]
    return replace(
        facts,
        accepted=all(s == "True" for s in statuses) if statuses else None,
        parents=tuple(p.path for p in parents),
        missing_parents=tuple(missing_parents),
        missing_services=tuple(missing),
        missing_service_ports=tuple(missing_ports),
    )


def _lines(document: Document, facts: RouteFacts) -> list[str]:
    lines = []
    if facts.gateway_class:
        there = {True: "exists", False: "does not exist", None: "not known"}[facts.class_exists]
        lines.append(f"class: {facts.gateway_class} ({there})")
    for title, text in (
        ("controller", facts.controller),
        ("parents", ", ".join(facts.parents)),
        ("gateways that do not exist", ", ".join(facts.missing_parents)),
        ("services that do not exist", ", ".join(facts.missing_services)),
        ("ports the services do not have", ", ".join(facts.missing_service_ports)),
        ("routes allowed from namespaces", facts.allowed_routes_from),
    ):
        if text:
            lines.append(f"{title}: {text}")
    return (lines + condition_lines(document)) or ["no conditions yet"]
