"""What changed: the last revisions of the owner, as a readable diff of the pod template."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from aegis_sink.cluster.collectors.template import Template, template
from aegis_sink.cluster.document import Document, say_time
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import RolloutFacts

REVISION = "deployment.kubernetes.io/revision"
EARLIER = "deployment.kubernetes.io/revision-history"
"""The numbers a ReplicaSet had before: a rollback takes an old one and gives it a new number."""
MOST_REVISIONS = 100
MOST_LINES = 30


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a workload. `ready` is its number of ready pods, None when not known.

    `was` are the numbers it had before: it was rolled back to, and `created` is of its first time.
    """

    number: int
    created: datetime | None
    template: Template
    ready: int | None
    was: str = ""

    def __str__(self) -> str:
        again = f" (as revision {self.was}; rolled back to since)" if self.was else ""
        return f"revision {self.number} of {say_time(self.created)}{again}"


async def collect_rollout(visit: Visit, *, failing_since: datetime | None = None) -> None:
    """The diff of the finding's owner between its last healthy revision and the current one."""
    owner = next(
        (
            ref
            for ref in reversed(visit.owners.chain)
            if ref.kind in ("Deployment", "StatefulSet", "DaemonSet")
        ),
        None,
    )
    if owner is None:
        return
    kind = "ReplicaSet" if owner.kind == "Deployment" else "ControllerRevision"
    document = await visit.get(owner)
    if not document:
        return
    labels = selector(document.at("spec", "selector"))
    if not labels:
        return
    found = await visit.list(kind, owner.namespace, labels=labels, most=MOST_REVISIONS)
    if found is None:
        return
    owned = [d for d in found if d.controller == owner]
    add_rollout(visit, owner, revisions(owned), failing_since)


def revisions(owned: list[Document]) -> list[Revision]:
    """ReplicaSets or ControllerRevisions of one workload, oldest first."""
    read = [r for r in map(_revision, owned) if r]
    return sorted(read, key=lambda r: r.number)


def _revision(document: Document) -> Revision | None:
    number = document.number("revision")
    if number is not None:
        spec = document.at("data", "spec", "template")
        return Revision(number, document.created, template(spec), None)
    told = document.text("metadata", "annotations", REVISION)
    if not told.isdigit():
        return None
    ready = document.number("status", "readyReplicas") or 0
    was = document.text("metadata", "annotations", EARLIER).replace(",", ", ")
    made = template(document.at("spec", "template"))
    return Revision(int(told), document.created, made, ready, was)


def add_rollout(
    visit: Visit, owner: ObjectRef, history: list[Revision], failing_since: datetime | None
) -> None:
    """Evidence of what the current revision changed; of a first revision, that nothing changed."""
    if not history:
        return
    current = history[-1]
    source = f"rollout of {owner.kind} {owner.path}"
    if len(history) == 1:
        facts = RolloutFacts(current_revision=current.number)
        created = say_time(current.created)
        text = f"revision {current.number}, of {created}, is the only one known"
        visit.add(source, text, 30, facts, owner)
        return
    # An older revision that still has ready pods is the one that is known to work.
    previous = next((r for r in reversed(history[:-1]) if r.ready), history[-2])
    changed = current.template.changes_since(previous.template, visit.redact)
    healthy = " (its pods are ready)" if previous.ready else ""
    lines = [
        f"{previous}{healthy} → {current}:",
        *(change.line for change in changed[:MOST_LINES]),
    ]
    if len(changed) > MOST_LINES:
        lines.append(f"… and {len(changed) - MOST_LINES} more changes")
    if not changed:
        lines.append("no difference in the pod template")
    before = None
    if failing_since and current.created and not current.was:
        before = int((failing_since - current.created).total_seconds())
    paths = tuple(change.path for change in changed)
    facts = RolloutFacts(
        current_revision=current.number,
        previous_revision=previous.number,
        changed_seconds_before_failure=before if before is not None and before >= 0 else None,
        changed_fields=paths,
        image_changed=_touches(paths, ".image"),
        env_changed=_touches(paths, ".env", ".envFrom"),
        command_changed=_touches(paths, ".command", ".args"),
        resources_changed=_touches(paths, ".resources"),
        probes_changed=_touches(paths, ".livenessProbe", ".readinessProbe", ".startupProbe"),
        previous_was_healthy=True if previous.ready else None,
        previous_images=previous.template.images,
    )
    visit.add(source, "\n".join(lines), 86 if changed else 30, facts, owner)


def _touches(paths: tuple[str, ...], *members: str) -> bool:
    return any(
        rest == member or rest.startswith((f"{member}.", f"{member}["))
        for path in paths
        for rest in (path.partition("]")[2],)
        for member in members
    )


def selector(document: Document) -> str:
    """A LabelSelector as the API's query writes it; "" for one that selects everything."""
    return ",".join(_selector_parts(document))


def _selector_parts(document: Document) -> Iterator[str]:
    for name, value in document.mapping("matchLabels").items():
        yield f"{name}={value}"
    for expression in document.items("matchExpressions"):
        name, values = expression.text("key"), ",".join(expression.texts("values"))
        match expression.text("operator"):
            case "In":
                yield f"{name} in ({values})"
            case "NotIn":
                yield f"{name} notin ({values})"
            case "Exists":
                yield name
            case "DoesNotExist":
                yield f"!{name}"
