"""Findings on one workload become one incident: what only shows a problem joins what causes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aegis_sink.model import Finding, Incident, ObjectRef, OwnerChain
from aegis_sink.model.facts import Facts
from aegis_sink.store import incidents, listing, notices
from aegis_sink.store.database import Connection
from aegis_sink.triage.grouping import (
    FROM_OUTSIDE,
    SHOWS,
    WORKLOADS,
    Joining,
    Trail,
    incident_to_join,
    is_part_of,
    is_symptom,
    rank,
    trail,
    trail_of,
)


@dataclass(frozen=True, slots=True)
class Lead:
    """The finding that an incident is about, all errors that tell what is wrong, and all objects
    that show it."""

    finding: Finding
    errors: tuple[str, ...]
    objects: tuple[ObjectRef, ...] = ()


def lead_of(findings: Sequence[Finding]) -> Lead:
    """The first cause, with the errors of all causes; where there are only symptoms, the first of
    those nearest to the workload: an HPA or Service says less, an Ingress least.

    So an incident keeps its fingerprint when symptoms join it and when they go.
    """
    objects = tuple(dict.fromkeys(finding.object for finding in findings))
    causes = [finding for finding in findings if not is_symptom(finding.errors)]
    if not causes:
        first = min(findings, key=lambda finding: _distance(finding.object.resource_kind))
        return Lead(first, first.errors, objects)
    first = next((finding for finding in causes if finding.errors), causes[0])
    errors = tuple(dict.fromkeys(error for one in causes for error in one.errors))
    return Lead(first, errors, objects)


def _distance(kind: str) -> int:
    return (kind in SHOWS) + (kind in FROM_OUTSIDE)


@dataclass(frozen=True, slots=True)
class Relations:
    """What an incident has to do with others of its workload: the one it joins, or is a part of
    though people were told of both (`told`), and those that only show its problem and are looked at
    again, so that they join it."""

    joins: Joining | None = None
    told: bool = False
    shown_by: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.joins or self.shown_by)


def relations(
    connection: Connection,
    incident_id: str,
    lead: Lead,
    owners: OwnerChain,
    *,
    now: datetime,
    facts: Iterable[Facts] | None = None,
) -> Relations:
    """How it is related to the open incidents of its namespace; `facts` are None before its
    evidence was read.

    One that people were told about keeps its message, so that it joins no other; it may become a
    part of one.
    """
    ref = lead.finding.object
    if facts is None and ref.resource_kind in FROM_OUTSIDE:
        return Relations()  # whether what is behind it is there, only the cluster says
    leads_to = trail(
        ref, lead.errors, owner=owners.subject, facts=facts or (), objects=lead.objects
    )
    names = {ref.name, owners.subject.name, *leads_to.names}
    found = listing.open_in(
        connection,
        lead.finding.cluster,
        ref.namespace,
        names=names,
        beside_kinds=WORKLOADS,
        evidence_of=SHOWS,
        shown_by=leads_to.behind,
    )
    others = [one for one in found if one.id != incident_id]
    if notices.root_of(connection, incident_id) is not None:
        return _of_told(connection, incident_id, leads_to, others)
    joining = incident_to_join(ref, lead.errors, leads_to, others, now=now)
    if joining is not None:
        return Relations(joining)
    if not leads_to.workloads and not leads_to.services:
        return Relations()
    return Relations(shown_by=tuple(one.id for one in others if _shows(one, leads_to)))


def _of_told(
    connection: Connection, incident_id: str, leads_to: Trail, others: Iterable[Incident]
) -> Relations:
    """Between incidents that people were told of."""
    told = incidents.get(connection, incident_id)
    if told is None:
        return Relations()
    met = [
        one
        for one in others
        if (one.subject == told.subject or leads_to.meets(trail_of(one)))
        and notices.root_of(connection, one.id) is not None
    ]
    wholes = [one for one in met if is_part_of(told, one)]
    if wholes:
        because = "it is a symptom of the same workload"
        return Relations(Joining(min(wholes, key=rank), because), told=True)
    return Relations(shown_by=tuple(one.id for one in met if is_part_of(one, told)))


def _shows(other: Incident, leads_to: Trail) -> bool:
    """Whether all that the other says is that this workload is not up, and nobody heard of it."""
    if other.subject in leads_to.workloads or not is_symptom(other.errors):
        return False
    return leads_to.meets(trail_of(other))
