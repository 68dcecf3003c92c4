"""Which incident mutes which: what follows from a larger problem is listed under it, not told.

The parents are a Node that is not ready, a StorageClass that does not exist, an admission webhook
that does not answer and a quota that is exceeded. Where K8sGPT reports only what follows from one
of the last three, the oldest of these speaks for the others. A child is muted only when texts or
evidence say that it hangs on just this parent: a missed link costs one message, a wrong one hides
a problem.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from aegis_sink.model import Incident, ObjectRef, State
from aegis_sink.model.facts import PodFacts

# K8sGPT walks the kinds one after another and a node is reported when its lease is 40 s old, so a
# child may be seen before its parent.
CHILD_LEAD = timedelta(minutes=5)
TEXT_CHARACTERS = 4096

_NODE_DOWN = re.compile(r"has condition of type Ready,")
_STORAGE_CLASS = re.compile(
    r"storageclass\.storage\.k8s\.io \"([^\"\s]{1,253})\" not found"
    r"|^StatefulSet uses the storage class (\S{1,253}) which does not exist"
)
_UNBOUND = re.compile(r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim \"")
_QUOTA = re.compile(r"exceeded quota: ([^\s,]{1,253}),")
_WEBHOOK = re.compile(r"failed calling webhook \"([^\"\s]{1,253})\"")
_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


@dataclass(frozen=True, slots=True)
class Muting:
    """The parent of a muted incident, and why in words ("follows from Node n1, …")."""

    parent: Incident
    because: str


def may_mute(subject: ObjectRef, errors: Iterable[str]) -> bool:
    """Whether an incident of these could be the parent of any other."""
    if subject.resource_kind == "Node":
        return any(_NODE_DOWN.search(text) for text in errors)
    if subject.resource_kind in _WEBHOOKS:
        return True
    patterns = (_STORAGE_CLASS, _QUOTA, _WEBHOOK)
    return any(p.search(text[:TEXT_CHARACTERS]) for p in patterns for text in errors)


def muted_by_parent(incident: Incident, incidents: Iterable[Incident]) -> Muting | None:
    """What mutes `incident`: the oldest of `incidents` that causes it, else the oldest of its like;
    None: it stands for itself.

    Incidents of other clusters and resolved ones mute nothing. Two incidents never mute each
    other: where both could be the parent it is the older one, by when it began or came back.
    """
    if incident.state is State.RESOLVED:
        return None
    others = [
        one
        for one in incidents
        if one.id != incident.id
        and one.cluster == incident.cluster
        and one.state is not State.RESOLVED
    ]
    down = {one.subject.name for one in others if _is_node_down(one)}
    found = [
        Muting(parent, f"follows from {parent.subject}, {because}")
        for parent in others
        if (because := _node(parent, incident, down) or _first(_CAUSES, parent, incident))
    ] or [
        Muting(parent, f"follows from {parent.subject}, {because}")
        for parent in others
        if _speaks_for(parent, incident) and (because := _first(_LIKES, parent, incident))
    ]
    return min(found, key=lambda muting: _age(muting.parent), default=None)


_Rule = Callable[[Incident, Incident], str]


def _first(rules: tuple[_Rule, ...], parent: Incident, child: Incident) -> str:
    """Why `parent` mutes `child`, "" when it does not."""
    return next((because for rule in rules if (because := rule(parent, child))), "")


def _speaks_for(like: Incident, child: Incident) -> bool:
    # What one team silenced is no reason for another to hear nothing; what follows from a third
    # incident has another cause.
    told = like.mute is None and like.state is not State.SILENCED
    return told and _age(like) < _age(child)


def _is_node_down(incident: Incident) -> bool:
    return incident.subject.resource_kind == "Node" and any(
        _NODE_DOWN.search(text) for text in incident.errors
    )


def _node(parent: Incident, child: Incident, down: set[str]) -> str:
    if not _is_node_down(parent) or child.subject.resource_kind == "Node":
        return ""
    nodes = {fact.node for fact in _pods(child) if fact.node}
    # Pods on healthy nodes are ill as well: then the node does not explain it.
    if parent.subject.name not in nodes or not nodes <= down:
        return ""
    if child.began_at < parent.began_at - CHILD_LEAD:
        return ""
    there = "there" if len(nodes) == 1 else f"on {len(nodes)} nodes that are not"
    return f"which is not ready: all its pods that were looked at are {there}"


def _unbound_claim(parent: Incident, child: Incident) -> str:
    missing = _all(_STORAGE_CLASS, parent)
    if not missing or not any(_UNBOUND.search(text) for text in child.errors):
        return ""
    if parent.subject.namespace != child.subject.namespace:
        return ""
    waiting = {claim for fact in _pods(child) for claim in fact.pending_claims}
    if parent.subject.name in waiting or parent.subject == child.subject:
        return f"for which StorageClass {min(missing)} does not exist"
    return ""


def _admission_webhook(parent: Incident, child: Incident) -> str:
    if parent.subject.resource_kind not in _WEBHOOKS:
        return ""
    # The name of a Result's webhook starts with a slash (facts/k8sgpt.md §2.4).
    name = parent.subject.name.lstrip("/")
    return "which does not answer" if name in _all(_WEBHOOK, child) else ""


def _same_storage_class(like: Incident, child: Incident) -> str:
    shared = _all(_STORAGE_CLASS, like) & _all(_STORAGE_CLASS, child)
    return f"which lacks StorageClass {min(shared)} too" if shared else ""


def _same_webhook(like: Incident, child: Incident) -> str:
    shared = _all(_WEBHOOK, like) & _all(_WEBHOOK, child)
    return f"which admission webhook {min(shared)} keeps from changes too" if shared else ""


def _same_quota(like: Incident, child: Incident) -> str:
    if like.subject.namespace != child.subject.namespace:
        return ""
    shared = _all(_QUOTA, like) & _all(_QUOTA, child)
    return f"which exceeds quota {min(shared)} too" if shared else ""


_CAUSES: tuple[_Rule, ...] = (_unbound_claim, _admission_webhook)
_LIKES: tuple[_Rule, ...] = (_same_storage_class, _same_webhook, _same_quota)


def _age(incident: Incident) -> tuple[float, str]:
    """Orders from the oldest to the newest, the same in every replica."""
    return incident.began_at.timestamp(), incident.id


def _all(pattern: re.Pattern[str], incident: Incident) -> set[str]:
    """The names that a pattern finds in the errors."""
    found = (
        match for text in incident.errors for match in pattern.finditer(text[:TEXT_CHARACTERS])
    )
    return {next(group for group in match.groups() if group) for match in found}


def _pods(incident: Incident) -> Iterable[PodFacts]:
    return (e.facts for e in incident.evidence if isinstance(e.facts, PodFacts))
