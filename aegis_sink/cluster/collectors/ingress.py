"""An Ingress against its class, backends and TLS secret names.

The class is asked for itself: K8sGPT's "class does not exist" is often wrong, since the operator's
ClusterRole lacks ingressclasses (facts/k8sgpt.md §3).
"""

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object
from aegis_sink.cluster.collectors.service import endpoint_counts
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import IngressFacts

DEFAULT = "ingressclass.kubernetes.io/is-default-class"
OLD_CLASS = "kubernetes.io/ingress.class"
SERVICE_NAME = "kubernetes.io/service-name"
MOST_PODS_NAMED = 10
MOST_ASKED = 8
"""Backends asked for one by one where a namespace has more Services than are listed."""


async def collect_ingress(visit: Visit) -> None:
    """The Ingress with everything it names."""
    ingress = await visit.get(visit.ref)
    if ingress is None:
        return
    if not ingress:
        add_object(visit, visit.ref, ingress)
        return
    classes: tuple[Document, ...] | None = None
    services: tuple[Document, ...] | None = None
    slices: tuple[Document, ...] | None = None
    used = list(dict.fromkeys(name for name, _ in _backends(ingress)))

    async def read_classes() -> None:
        nonlocal classes
        classes = await visit.list("IngressClass")

    async def read_services() -> None:
        nonlocal services
        listing = await visit.listing("Service", visit.ref.namespace)
        if listing is None:
            return
        if listing.whole:
            services = listing.found
            return
        # A backend that is not in a part of the list may still be there.
        known = {service.name for service in listing.found}
        others = [n for n in used if n not in known]
        asked = [
            await visit.get(ObjectRef("Service", name, visit.ref.namespace))
            for name in others[:MOST_ASKED]
        ]
        if len(others) <= MOST_ASKED and all(one is not None for one in asked):
            services = (*listing.found, *(one for one in asked if one))

    async def read_slices() -> None:
        nonlocal slices
        if used:
            labels = f"{SERVICE_NAME} in ({','.join(used)})"
            slices = await visit.list("EndpointSlice", visit.ref.namespace, labels=labels)

    async def events() -> None:
        await collect_events(visit, visit.ref)

    await together(read_classes(), read_services(), read_slices(), events())
    facts = ingress_facts(ingress, classes, services, slices)
    visit.healthy = not (
        facts.class_exists is False or facts.missing_services or facts.missing_service_ports
    )
    visit.add(f"Ingress {visit.ref.path}", "\n".join(_lines(ingress, facts)), 90, facts)


def ingress_facts(
    ingress: Document,
    classes: tuple[Document, ...] | None,
    services: tuple[Document, ...] | None,
    slices: tuple[Document, ...] | None,
) -> IngressFacts:
    """An Ingress as fields. None or () for what could not be read."""
    wanted = ingress.text("spec", "ingressClassName") or ingress.text(
        "metadata", "annotations", OLD_CLASS
    )
    names = sorted(c.name for c in classes or ())
    defaults = [c for c in classes or () if c.text("metadata", "annotations", DEFAULT) == "true"]
    asked = list(dict.fromkeys(_backends(ingress)))
    there = {s.name: s for s in services or ()}
    missing: list[str] = []
    missing_ports: list[str] = []
    for name, port in asked:
        service = there.get(name)
        if services is None:
            continue
        if service is None:
            missing.append(name)
        elif not any(
            port in (p.text("name"), p.text("port")) for p in service.items("spec", "ports")
        ):
            missing_ports.append(f"{name}:{port}")
    used = list(dict.fromkeys(name for name, _ in asked))
    without = tuple(_without_endpoints(used, there, slices))
    return IngressFacts(
        ingress_class=wanted,
        class_exists=None if classes is None or not wanted else wanted in names,
        default_class_exists=None if classes is None else bool(defaults),
        classes=tuple(names),
        missing_services=tuple(dict.fromkeys(missing)),
        missing_service_ports=tuple(missing_ports),
        backends_without_endpoints=without,
        unwell_pods=tuple(sorted(_pods_behind(without, slices or ()))),
        tls_secrets=tuple(
            t.text("secretName") for t in ingress.items("spec", "tls") if t.text("secretName")
        ),
        services=tuple(used),
        similar_services={
            name: close[0]
            for name in missing
            if (close := get_close_matches(name, sorted(there), n=1))
        },
    )


def _backends(ingress: Document) -> Iterator[tuple[str, str]]:
    backends = [ingress.at("spec", "defaultBackend")]
    backends += [
        path.at("backend")
        for rule in ingress.items("spec", "rules")
        for path in rule.items("http", "paths")
    ]
    for backend in backends:
        name = backend.text("service", "name")
        if name:
            port = backend.text("service", "port", "name") or backend.text(
                "service", "port", "number"
            )
            yield name, port


def _without_endpoints(
    used: list[str], there: dict[str, Document], slices: Iterable[Document] | None
) -> Iterator[str]:
    if slices is None:
        return
    by_service: dict[str, list[Document]] = {}
    for endpoints in slices:
        by_service.setdefault(endpoints.labels.get(SERVICE_NAME, ""), []).append(endpoints)
    for name in used:
        outside = there[name].text("spec", "type") == "ExternalName" if name in there else True
        if not outside and endpoint_counts(by_service.get(name, []))[0] == 0:
            yield name


def _pods_behind(services: Collection[str], slices: Iterable[Document]) -> set[str]:
    """The pods that the endpoints of these Services are."""
    return {
        endpoint.text("targetRef", "name")
        for one in slices
        if one.labels.get(SERVICE_NAME, "") in services
        for endpoint in one.items("endpoints")
        if endpoint.text("targetRef", "kind") == "Pod"
    }


def _lines(ingress: Document, facts: IngressFacts) -> list[str]:
    exists = {True: "exists", False: "does not exist", None: "not known"}[facts.class_exists]
    wanted = f"{facts.ingress_class} ({exists})" if facts.ingress_class else "none named"
    default = {True: "there is one", False: "none", None: "not known"}[facts.default_class_exists]
    addresses = [
        entry.text("ip") or entry.text("hostname")
        for entry in ingress.items("status", "loadBalancer", "ingress")
    ]
    lines = [
        f"class: {wanted}; classes of the cluster: {', '.join(facts.classes) or 'none'}; "
        f"default class: {default}",
        f"backends: {', '.join(facts.services) or 'none'}",
        f"address: {', '.join(addresses) or 'none: no controller has taken it'}",
    ]
    for title, names in (
        ("services that do not exist", facts.missing_services),
        ("ports the services do not have", facts.missing_service_ports),
        ("services without ready endpoints", facts.backends_without_endpoints),
        ("pods behind these, none ready", facts.unwell_pods[:MOST_PODS_NAMED]),
        ("TLS secrets (names; whether they exist is not read)", facts.tls_secrets),
    ):
        if names:
            lines.append(f"{title}: {', '.join(names)}")
    lines += [
        f"a service with a similar name: {near} (for {name})"
        for name, near in facts.similar_services.items()
    ]
    return lines
