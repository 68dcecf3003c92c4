"""PodDisruptionBudget and NetworkPolicy: kinds that select pods and say something about them."""

from typing import TYPE_CHECKING

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines
from aegis_sink.cluster.collectors.pod import examine_pod, is_well
from aegis_sink.cluster.collectors.rollout import selector
from aegis_sink.cluster.document import say
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import DisruptionBudgetFacts, NetworkPolicyFacts

if TYPE_CHECKING:
    from aegis_sink.cluster.document import Document

MOST_PODS = 300
MOST_NAMES = 10


async def collect_disruption_budget(visit: Visit) -> None:
    """The budget against the pods it covers, and the first of them that is not well."""
    budget = await visit.get(visit.ref)
    if budget is None:
        return
    if not budget:
        add_object(visit, visit.ref, budget)
        return
    labels = selector(budget.at("spec", "selector"))
    pods: tuple[Document, ...] | None = None

    async def read_pods() -> None:
        nonlocal pods
        pods = await visit.list("Pod", visit.ref.namespace, labels=labels, most=MOST_PODS)

    async def events() -> None:
        await collect_events(visit, visit.ref)

    await together(read_pods(), events())
    unwell = sorted((p for p in pods or () if not is_well(p)), key=lambda p: p.name)
    status = budget.at("status")
    facts = DisruptionBudgetFacts(
        min_available=budget.text("spec", "minAvailable"),
        max_unavailable=budget.text("spec", "maxUnavailable"),
        current_healthy=status.number("currentHealthy"),
        desired_healthy=status.number("desiredHealthy"),
        disruptions_allowed=status.number("disruptionsAllowed"),
        expected_pods=status.number("expectedPods"),
        matching_pods=None if pods is None else len(pods),
        unwell_pods=tuple(pod.name for pod in unwell[:MOST_NAMES]),
    )
    if facts.current_healthy is not None and facts.desired_healthy is not None:
        visit.healthy = facts.current_healthy >= facts.desired_healthy
    lines = [
        f"selects: {labels or 'all pods'}, matching pods: {say(facts.matching_pods)}",
        f"min available {facts.min_available or '-'}, max unavailable {facts.max_unavailable or '-'}",
        f"healthy {say(facts.current_healthy)} of {say(facts.expected_pods)}, "
        f"wanted {say(facts.desired_healthy)}, disruptions allowed {say(facts.disruptions_allowed)}",
        *condition_lines(budget),
    ]
    visit.add(f"PodDisruptionBudget {visit.ref.path}", "\n".join(lines), 85, facts)
    if unwell:
        pod = unwell[0]
        await examine_pod(visit, ObjectRef("Pod", pod.name, pod.namespace), pod)


async def collect_network_policy(visit: Visit) -> None:
    """The policy against the pods it selects."""
    policy = await visit.get(visit.ref)
    if policy is None:
        return
    if not policy:
        add_object(visit, visit.ref, policy)
        return
    labels = selector(policy.at("spec", "podSelector"))
    pods = await visit.list("Pod", visit.ref.namespace, labels=labels, most=MOST_PODS)
    facts = NetworkPolicyFacts(
        selects_all=not labels,
        matching_pods=None if pods is None else len(pods),
        policy_types=policy.texts("spec", "policyTypes"),
    )
    names = ", ".join(sorted(p.name for p in pods or ())[:MOST_NAMES]) or "none"
    lines = [
        f"selects: {labels or 'all pods of the namespace'}",
        f"policy types: {', '.join(facts.policy_types) or 'Ingress'}",
        f"ingress rules: {len(policy.items('spec', 'ingress'))}, "
        f"egress rules: {len(policy.items('spec', 'egress'))}",
        f"matching pods ({say(facts.matching_pods)}): {names}",
    ]
    visit.add(f"NetworkPolicy {visit.ref.path}", "\n".join(lines), 80, facts)
