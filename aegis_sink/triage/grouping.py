"""Which incident a finding belongs to although its failure class is another.

One sick Deployment shows up as Pod, Deployment, Service, HPA and PDB at once. Texts that only say
that something is not up ("1 of 3 replicas are available") are symptoms; all others may be causes.
A symptom joins an open incident of the same workload; a cause joins only an incident that has
nothing but symptoms so far, and gives it its name. Two causes on one workload stay apart.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aegis_sink.model import Incident, ObjectRef, State
from aegis_sink.model.facts import AutoscalerFacts, Facts
from aegis_sink.triage.subject import subject_from_name

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job"})

# K8sGPT's templates (facts/analyzers.md). The Ingress analyzer has none: it says only what an
# Ingress itself lacks, which is a cause.
_SYMPTOM = re.compile(
    r"^Deployment \S+ has \d+ replicas "
    r"|^Deployment \S+ has condition Progressing=False, reason ProgressDeadlineExceeded"
    r"|^DaemonSet \S+ has \d+ ready replicas "
    r"|^Statefulset pod \S+ in the namespace "
    r"|^Service has not ready endpoints"
    r"|^Service \S+ has event "  # of any object with the Service's name
    r"|^Job \S+ has failed$|^Job has reached the specified backoff limit"
    r"|^the HPA was unable to compute the replica count"
    r"|, expected pdb pod label "
)
# A Service has no endpoints at all when its selector is wrong, which is a cause, or when its pods
# never got an address, which is a symptom of these.
_NO_ENDPOINTS = re.compile(r"^Service has no endpoints")
_NO_ADDRESS = re.compile(
    r" is forbidden: |nodes are available: |MountVolume|unmounted volumes=|pod sandbox"
)
_LISTED_POD = re.compile(r"Pod/([a-z0-9][a-z0-9.-]{0,252})")


@dataclass(frozen=True, slots=True)
class Joining:
    """The incident a finding belongs to, and why in words for its history."""

    incident: Incident
    because: str


def is_symptom(errors: Sequence[str]) -> bool:
    """Whether all that the errors say is that something is not up. Without errors: no."""
    return bool(errors) and all(_SYMPTOM.search(text) for text in errors)


def workloads(
    ref: ObjectRef, errors: Sequence[str], *, owner: ObjectRef, facts: Iterable[Facts] = ()
) -> frozenset[ObjectRef]:
    """The workloads a finding leads to; empty when neither names nor evidence tell.

    `owner` is the subject of the finding's owner chain. A Service's text lists its pods; the
    target of an autoscaler is known from evidence only (`facts`).
    """
    if owner.resource_kind in WORKLOADS:
        return frozenset({owner})
    if ref.resource_kind == "Service":
        names = (name for text in errors for name in _LISTED_POD.findall(text[:4096]))
        pods = (ObjectRef("Pod", name, ref.namespace) for name in names)
        return frozenset(subject_from_name(pod).subject for pod in pods)
    return frozenset(
        ObjectRef(fact.target_kind, fact.target_name, ref.namespace)
        for fact in facts
        if isinstance(fact, AutoscalerFacts) and fact.target_name
    )


def incident_to_join(
    ref: ObjectRef,
    errors: Sequence[str],
    leads_to: frozenset[ObjectRef],
    incidents: Iterable[Incident],
) -> Joining | None:
    """The incident of `incidents` (one cluster's) that the finding joins; None: it is its own.

    Where nothing tells the workload of a Service, HPA or PDB, an incident of a workload with the
    same namespace and name is taken. Of several the one with a cause is taken, then the oldest.
    """
    fitting = [
        incident
        for incident in incidents
        if incident.state is not State.RESOLVED and _same_workload(ref, leads_to, incident.subject)
    ]
    if is_symptom(errors):
        joining = fitting
        because = "it is a symptom of the same workload"
    elif errors and all(_NO_ENDPOINTS.search(text) for text in errors):
        joining = [i for i in fitting if any(_NO_ADDRESS.search(text) for text in i.errors)]
        because = "the pods behind it never got an address"
    else:
        joining = [i for i in fitting if leads_to and is_symptom(i.errors)] if errors else []
        because = "it may be the cause of what was only a symptom so far"
    if not joining:
        return None
    oldest = min(joining, key=lambda i: (is_symptom(i.errors), i.first_seen, i.id))
    return Joining(oldest, because)


def _same_workload(ref: ObjectRef, leads_to: frozenset[ObjectRef], subject: ObjectRef) -> bool:
    if leads_to:
        return subject in leads_to
    if ref == subject:
        return True
    named = (subject.namespace, subject.name) == (ref.namespace, ref.name)
    return named and subject.resource_kind in WORKLOADS
