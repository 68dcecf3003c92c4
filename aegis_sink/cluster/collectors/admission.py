"""Validating- and MutatingWebhookConfiguration, found by the name of one of their webhooks.

K8sGPT names the entry `webhooks[].name`, not the configuration (facts/k8sgpt.md §2.4).
"""

from aegis_sink.cluster.collectors.service import collect_service
from aegis_sink.cluster.document import Document, say
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import AdmissionWebhookFacts, ServiceFacts

MOST_SHOWN = 3


async def collect_admission_webhook(visit: Visit) -> None:
    """Each configuration with a webhook of that name, and the service it calls."""
    kind = visit.ref.resource_kind
    found = await visit.list(kind)
    if found is None:
        return
    entries = [
        (configuration, webhook)
        for configuration in found
        for webhook in configuration.items("webhooks")
        if visit.ref.name in (webhook.text("name"), configuration.name)
    ]
    if not entries:
        facts = AdmissionWebhookFacts(webhook=visit.ref.name)
        visit.add(f"{kind} {visit.ref.name}", "gone: no configuration has it", 90, facts)
    for configuration, webhook in entries[:MOST_SHOWN]:
        await _webhook(visit, configuration, webhook)


async def _webhook(visit: Visit, configuration: Document, webhook: Document) -> None:
    service = webhook.at("clientConfig", "service")
    exists: bool | None = None
    ready: int | None = None
    path = ""
    if service:
        ref = ObjectRef("Service", service.text("name"), service.text("namespace"))
        path = ref.path
        before = len(visit.drafts)
        await collect_service(visit, ref, worth=80)
        told = [d.facts for d in visit.drafts[before:] if isinstance(d.facts, ServiceFacts)]
        exists = told[-1].exists if told else None
        ready = told[-1].ready_endpoints if told else None
    facts = AdmissionWebhookFacts(
        configuration=configuration.name,
        webhook=webhook.text("name"),
        failure_policy=webhook.text("failurePolicy"),
        timeout_seconds=webhook.number("timeoutSeconds"),
        service=path,
        service_exists=exists,
        ready_endpoints=ready,
        has_ca_bundle=bool(webhook.text("clientConfig", "caBundle")),
    )
    rules = "; ".join(
        f"{','.join(r.texts('operations'))} {','.join(r.texts('resources'))}"
        for r in webhook.items("rules")
    )
    calls = path or ("a URL outside the cluster" if webhook.has("clientConfig", "url") else "?")
    lines = [
        f"webhook {facts.webhook} of {configuration.name}",
        f"calls: {calls}, service exists: {say(exists)}, ready endpoints: {say(ready)}",
        f"failure policy {facts.failure_policy or '?'}, timeout {say(facts.timeout_seconds)} s, "
        f"CA bundle: {'yes' if facts.has_ca_bundle else 'no'}",
        f"rules: {rules or 'none'}",
    ]
    visit.healthy = None if exists is None else bool(exists and ready)
    source = f"{visit.ref.resource_kind} {configuration.name}, webhook {facts.webhook}"
    visit.add(source, "\n".join(lines), 90, facts)
