"""Any kind, custom resources too: does it exist, since when, what do its conditions say."""

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.document import Document, say_time
from aegis_sink.cluster.errors import ClusterError
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import ObjectFacts

# Conditions of these types are good news when "False".
_BAD_WHEN_TRUE = ("Pressure", "Unavailable", "Failed", "Failure", "Degraded", "Stalled", "Error")
STATUS_FIELDS = 12
LONGEST_VALUE = 400


async def collect_object(visit: Visit) -> None:
    """The object with its conditions and status, and its events.

    What the API server has no kind for is not gone: K8sGPT's own analyzers may call it anything.
    """
    try:
        await visit.reader.resource(visit.ref.resource_kind, visit.ref.api_version)
    except ClusterError as error:
        visit.lacks(f"{visit.ref}: {error}")
        return
    await together(_collect(visit), _events(visit))


async def collect_operator_groups(visit: Visit) -> None:
    """The groups of a namespace, for K8sGPT names the namespace (facts/analyzers.md)."""
    found = await visit.list("OperatorGroup", visit.ref.name)
    if found is not None:
        names = ", ".join(sorted(group.name for group in found)) or "none"
        text = f"{len(found)} in the namespace, where one is allowed: {names}"
        visit.healthy = len(found) <= 1
        visit.add(f"OperatorGroups of namespace {visit.ref.name}", text, 88)


async def _collect(visit: Visit) -> None:
    document = await visit.get(visit.ref)
    if document is not None:
        add_object(visit, visit.ref, document, status=True)


async def _events(visit: Visit) -> None:
    await collect_events(visit, visit.ref)


def add_object(
    visit: Visit, ref: ObjectRef, document: Document, *, worth: int = 50, status: bool = False
) -> None:
    """Evidence that the object exists (or not), with its conditions; `status` adds more of it."""
    kind = ref.resource_kind
    if not document:
        facts = ObjectFacts(kind=kind, name=ref.name, namespace=ref.namespace, exists=False)
        visit.add(f"{kind} {ref.path}", "gone: it no longer exists", 95, facts, ref)
        return
    deleted = document.time("metadata", "deletionTimestamp")
    lines = [f"created {say_time(document.created)}"]
    if deleted:
        finalizers = ", ".join(document.texts("metadata", "finalizers")) or "none"
        lines.append(f"being deleted since {say_time(deleted)}; finalizers: {finalizers}")
    lines += condition_lines(document)
    if status:
        lines += _status_lines(visit, document)
    facts = ObjectFacts(
        kind=kind,
        name=ref.name,
        namespace=ref.namespace,
        exists=True,
        age_seconds=visit.age(document.created),
        deleting=deleted is not None,
        finalizers=document.texts("metadata", "finalizers"),
        conditions=conditions(document),
        condition_reasons=conditions(document, "reason"),
    )
    visit.add(f"{kind} {ref.path}", "\n".join(lines), worth, facts, ref)
    if visit.healthy is None and ref == visit.ref:
        visit.healthy = looks_healthy(document)


def conditions(document: Document, member: str = "status") -> dict[str, str]:
    """Condition type → its status (or reason, or message), sorted by type."""
    found = {
        c.text("type"): c.text(member)
        for c in document.items("status", "conditions")
        if c.text("type") and c.text(member)
    }
    return dict(sorted(found.items()))


def condition_lines(document: Document) -> list[str]:
    """One line for each condition: type, status, since when, reason and message."""
    lines = []
    for condition in sorted(
        document.items("status", "conditions"), key=lambda c: (c.text("type"), c.text("reason"))
    ):
        since = say_time(condition.time("lastTransitionTime"))
        why = ": ".join(t for t in (condition.text("reason"), condition.text("message")) if t)
        lines.append(
            f"condition {condition.text('type')}={condition.text('status')} since {since} {why}".rstrip()
        )
    return lines


def looks_healthy(document: Document) -> bool | None:
    """By its conditions: False when one says so, True when Ready or Available, else None."""
    told = conditions(document)
    for kind, status in told.items():
        if kind.endswith(_BAD_WHEN_TRUE) and status == "True":
            return False
        if kind in ("Ready", "Available", "Accepted", "Programmed", "Healthy") and status != "True":
            return False
    return True if told.get("Ready", told.get("Available")) == "True" else None


def _status_lines(visit: Visit, document: Document) -> list[str]:
    """The scalars of the status: phase, state, message, counts."""
    lines = [
        visit.shortened(f"status.{name}: {value.text()}", LONGEST_VALUE)
        for name, value in document.members("status")
        if value.text()
    ]
    return lines[:STATUS_FIELDS]
