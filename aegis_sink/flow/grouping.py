"""Findings on one workload become one incident: what only shows a problem joins what causes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aegis_sink.model import Finding, Incident, ObjectRef, OwnerChain
from aegis_sink.model.facts import Facts
from aegis_sink.store import incidents, jobs
from aegis_sink.store.database import Connection
from aegis_sink.triage.grouping import incident_to_join, is_symptom, workloads


@dataclass(frozen=True, slots=True)
class Lead:
    """The finding that an incident is about, and all errors that tell what is wrong."""

    finding: Finding
    errors: tuple[str, ...]


def lead_of(findings: Sequence[Finding]) -> Lead:
    """The first cause, with the errors of all causes; where there are only symptoms, the first.

    So an incident keeps its fingerprint when symptoms join it and when they go.
    """
    causes = [finding for finding in findings if not is_symptom(finding.errors)]
    if not causes:
        return Lead(findings[0], findings[0].errors)
    first = next((finding for finding in causes if finding.errors), causes[0])
    return Lead(first, tuple(dict.fromkeys(error for one in causes for error in one.errors)))


def join(
    connection: Connection,
    incident_id: str,
    lead: Lead,
    owners: OwnerChain,
    facts: Iterable[Facts] = (),
    *,
    now: datetime,
) -> str | None:
    """Have the incident join the one of the same workload; the id of that one, None: it stays.

    One that people were told about keeps its message, so that it joins no other. What only shows
    this one's problem and was there before it is looked at again.
    """
    if incidents.root_of(connection, incident_id) is not None:
        return None
    ref = lead.finding.object
    leads_to = workloads(ref, lead.errors, owner=owners.subject, facts=facts)
    others = [
        one
        for one in incidents.open_in(connection, lead.finding.cluster, ref.namespace)
        if one.id != incident_id
    ]
    joining = incident_to_join(ref, lead.errors, leads_to, others)
    if joining is None:
        for one in others:
            if _shows(one, owners.subject):
                jobs.enqueue(connection, one.id, jobs.COLLECT, now)  # it joins this one
        return None
    incidents.merge(connection, incident_id, joining.incident.id, because=joining.because)
    return joining.incident.id


def _shows(other: Incident, subject: ObjectRef) -> bool:
    """Whether all that the other says is that this workload is not up, and nobody heard of it."""
    if other.notices or other.subject == subject or not is_symptom(other.errors):
        return False
    return subject in workloads(other.subject, other.errors, owner=other.subject)
