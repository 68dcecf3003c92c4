"""ResourceQuotas and LimitRanges of a namespace, where creation was refused."""

from collections.abc import Iterable

from aegis_sink.cluster.collectors.events import Told
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.quantity import size
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import QuotaFacts


def refused(told: Iterable[Told]) -> bool:
    """Do these events say that pods may not be made? Only a ReplicaSet has a condition for it."""
    return any(t.reason == "FailedCreate" and "forbidden" in t.message for t in told)


async def collect_quotas(visit: Visit, namespace: str) -> None:
    """Each quota with what is used of it, and each limit range."""
    for quota in await visit.list("ResourceQuota", namespace) or ():
        facts = quota_facts(quota)
        lines = [
            f"{name}: {facts.used.get(name, '?')} of {hard}" for name, hard in facts.hard.items()
        ]
        if facts.exceeded:
            lines.append(f"used up: {', '.join(facts.exceeded)}")
        ref = ObjectRef("ResourceQuota", quota.name, namespace)
        worth = 87 if facts.exceeded else 55
        visit.add(f"ResourceQuota {ref.path}", "\n".join(lines), worth, facts, ref)
    for limits in await visit.list("LimitRange", namespace) or ():
        ref = ObjectRef("LimitRange", limits.name, namespace)
        told = _limits(limits)
        facts = QuotaFacts(name=limits.name, kind="LimitRange", hard=told)
        text = "\n".join(f"{name}: {value}" for name, value in told.items())
        visit.add(f"LimitRange {ref.path}", text, 50, facts, ref)


def quota_facts(quota: Document) -> QuotaFacts:
    """A quota as fields; `exceeded` are the resources of which nothing is left."""
    hard = quota.mapping("status", "hard") or quota.mapping("spec", "hard")
    used = quota.mapping("status", "used")
    exceeded = tuple(name for name in hard if _used_up(hard[name], used.get(name, "")))
    return QuotaFacts(name=quota.name, hard=hard, used=used, exceeded=exceeded)


def _used_up(hard: str, used: str) -> bool:
    most, now = size(hard.removesuffix("m") or "0"), size(used.removesuffix("m") or "0")
    if hard.endswith("m") != used.endswith("m") or most is None or now is None:
        return False
    return now >= most


def _limits(limits: Document) -> dict[str, str]:
    return {
        f"{item.text('type')} {bound} {resource}": amount
        for item in limits.items("spec", "limits")
        for bound in ("min", "max", "default", "defaultRequest")
        for resource, amount in item.mapping(bound).items()
    }
