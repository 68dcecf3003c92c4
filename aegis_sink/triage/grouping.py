"""Which incident a finding belongs to although its failure class is another.

One sick Deployment shows up as Pod, Deployment, Service, HPA and PDB at once. Texts that only say
that something is not up ("1 of 3 replicas are available") are symptoms; all others may be causes.
A symptom joins an open incident of the same workload; a cause joins only an incident that has
nothing but symptoms so far, and gives it its name. Two causes on one workload stay apart, and a
hint, which nobody is told at once, neither joins nor is joined.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis_sink.model import Incident, ObjectRef, Severity, State
from aegis_sink.model.facts import AutoscalerFacts, DisruptionBudgetFacts, Facts, IngressFacts
from aegis_sink.triage.severity import severity
from aegis_sink.triage.subject import stem, subject_from_name

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job"})
# Kinds that show how the pods of a workload are, beside the workload itself.
SHOWS = frozenset({"Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress"})
# Of these, those whose text is wrong where they show something else.
FROM_OUTSIDE = frozenset({"Ingress"})
LEADING = (AutoscalerFacts, DisruptionBudgetFacts, IngressFacts)
"""Facts that tell where their object leads."""
# What a Service, HPA or PDB told that long before the cause may have had a cause of its own.
SYMPTOM_LEAD = timedelta(minutes=5)
TEXT_CHARACTERS = 4096
_HEARD = frozenset({State.OPEN, State.ACKNOWLEDGED})

# K8sGPT's templates (facts/analyzers.md). An Ingress that lacks its Service is one where that
# Service is there after all: `trail` leads nowhere else.
_SYMPTOM = re.compile(
    r"^Deployment \S+ has \d+ replicas "
    r"|^Deployment \S+ has condition Progressing=False, reason ProgressDeadlineExceeded"
    r"|^DaemonSet \S+ has \d+ ready replicas "
    r"|^Statefulset pod \S+ in the namespace "
    r"|^Service has not ready endpoints"
    r"|^Service \S+ has event "  # of any object with the Service's name
    r"|^Job \S+ has failed$|^Job has reached the specified backoff limit"
    r"|^the HPA was unable to compute the replica count"
    r"|^(?!SyncFailed)\S*, expected pdb pod label "
    r"|^Ingress uses the service \S+ which does not exist"
    r"|^pull QPS exceeded$"  # of no image in particular; the kubelet's next text names it
)
# A Service has no endpoints at all when its selector is wrong, which is a cause, or when its pods
# never got an address, which is a symptom of these.
_NO_ENDPOINTS = re.compile(r"^Service has no endpoints")
_NO_ADDRESS = re.compile(
    r" is forbidden: |nodes are available: |MountVolume|unmounted volumes=|pod sandbox"
)
_BACKEND = re.compile(r"^Ingress uses the service \S*/(\S{1,63}) which does not exist")
_LISTED_POD = re.compile(r"Pod/([a-z0-9][a-z0-9.-]{0,252})")
# A label whose value is, by custom, the workload's name. Others name a release or a tier.
_NAMING_LABEL = re.compile(
    r", expected pdb pod label (?:app|k8s-app|app\.kubernetes\.io/name)=(\S{1,63})"
)


@dataclass(frozen=True, slots=True)
class Joining:
    """The incident a finding belongs to, and why in words for its history."""

    incident: Incident
    because: str


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a finding leads: to workloads and pods; and where these are not known, to whichever
    workload of the namespace has the name of the object, or one of `hints`.

    `services` are those that show it, `behind` those that an Ingress leads to.
    """

    namespace: str
    workloads: frozenset[ObjectRef] = frozenset()
    pods: frozenset[ObjectRef] = frozenset()
    name: str = ""
    hints: frozenset[str] = frozenset()
    services: frozenset[ObjectRef] = frozenset()
    behind: frozenset[ObjectRef] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.workloads or self.pods or self.name)

    @property
    def names(self) -> frozenset[str]:
        """The names that subjects it could meet may have."""
        known = {ref.name for ref in self.workloads} | {stem(ref) for ref in self.pods}
        return frozenset(filter(None, {*known, self.name, *self.hints}))

    def meets(self, other: "Trail") -> bool:
        """Whether both lead to one workload, as far as is known."""
        if self.namespace != other.namespace:
            return False
        if self.workloads & other.workloads or self.pods & other.pods:
            return True
        if self.behind & other.services or self.services & other.behind:
            return True
        return self._is_named_by(other) or other._is_named_by(self)

    def _is_named_by(self, other: "Trail") -> bool:
        if other.workloads:
            return False
        mine = {ref.name for ref in self.workloads} or {self.name} - {""}
        return not mine.isdisjoint({other.name, *other.hints})


def is_symptom(errors: Sequence[str]) -> bool:
    """Whether all that the errors say is that something is not up. Without errors: no."""
    return bool(errors) and all(_SYMPTOM.search(text) for text in errors)


def trail(
    ref: ObjectRef,
    errors: Sequence[str],
    *,
    owner: ObjectRef,
    facts: Iterable[Facts] = (),
    objects: Iterable[ObjectRef] = (),
) -> Trail:
    """Where a finding on `ref` leads, or an incident with these `objects`.

    `owner` is the subject of the finding's owner chain. A Service's text lists its pods; the
    target of an autoscaler, the pods of a budget and those behind an Ingress are known from
    evidence only (`facts`).
    """
    pods = frozenset(one for one in (ref, *objects) if one.resource_kind == "Pod")
    services = frozenset(one for one in (ref, *objects) if one.resource_kind == "Service")
    if owner.resource_kind in WORKLOADS:
        return Trail(ref.namespace, frozenset({owner}), pods, services=services)
    if ref.resource_kind not in SHOWS:
        name = stem(ref) if ref.resource_kind == "Pod" else ""
        return Trail(ref.namespace, pods=pods, name=name, services=services)
    if not is_symptom(errors) and not _has_no_endpoints(errors):
        return Trail(ref.namespace, services=services)
    if ref.resource_kind == "Ingress":
        return _behind(ref.namespace, errors, facts, services)
    listed = [name for text in errors for name in _LISTED_POD.findall(text[:TEXT_CHARACTERS])]
    targets = set()
    for fact in facts:
        match fact:
            case AutoscalerFacts() if fact.target_name:
                targets.add(ObjectRef(fact.target_kind, fact.target_name, ref.namespace))
            case DisruptionBudgetFacts():
                listed += fact.unwell_pods
    shown = frozenset(ObjectRef("Pod", name, ref.namespace) for name in listed)
    owners = {subject_from_name(pod).subject for pod in shown}
    found = targets | {one for one in owners if one.resource_kind in WORKLOADS}
    if found:
        return Trail(ref.namespace, frozenset(found), shown, services=services)
    values = (value for text in errors for value in _NAMING_LABEL.findall(text))
    hints = frozenset({*values, *map(stem, shown)})
    return Trail(ref.namespace, pods=shown, name=ref.name, hints=hints, services=services)


def _behind(
    namespace: str,
    errors: Sequence[str],
    facts: Iterable[Facts],
    services: frozenset[ObjectRef],
) -> Trail:
    """Where an Ingress leads whose Services are there though it was said they are not: made since,
    or reported themselves. One that is missing, or ready by now, leads nowhere."""
    named = {name for text in errors for name in _BACKEND.findall(text)}
    unwell: set[str] = set()
    for fact in facts:
        if isinstance(fact, IngressFacts):
            named &= set(() if fact.missing_services else fact.backends_without_endpoints)
            unwell |= set(fact.unwell_pods if named else ())
    pods = frozenset(ObjectRef("Pod", name, namespace) for name in unwell)
    owners = {subject_from_name(pod).subject for pod in pods}
    workloads = frozenset(one for one in owners if one.resource_kind in WORKLOADS)
    behind = frozenset(ObjectRef("Service", name, namespace) for name in named)
    return Trail(namespace, workloads, pods, services=services, behind=behind)


def trail_of(incident: Incident) -> Trail:
    """Where an incident leads, as far as its evidence was read."""
    facts = (one.facts for one in incident.evidence if one.facts is not None)
    subject, objects = incident.subject, incident.objects
    return trail(subject, incident.errors, owner=subject, facts=facts, objects=objects)


def incident_to_join(
    ref: ObjectRef,
    errors: Sequence[str],
    leads_to: Trail,
    incidents: Iterable[Incident],
    *,
    now: datetime,
) -> Joining | None:
    """The incident of `incidents` (one cluster's) that the finding joins; None: it is its own.

    Of several the one with a cause is taken, then the oldest.
    """
    if severity(ref, errors) is Severity.HINT:
        return None
    open_ones = [
        incident
        for incident in incidents
        if incident.state is not State.RESOLVED and incident.severity is not Severity.HINT
    ]
    if is_symptom(errors):
        fitting = open_ones
        because = "it is a symptom of the same workload"
    elif _has_no_endpoints(errors):
        fitting = [i for i in open_ones if any(_NO_ADDRESS.search(text) for text in i.errors)]
        because = "the pods behind it never got an address"
    else:
        fitting = [i for i in open_ones if leads_to and _only_shows(i, now)] if errors else []
        because = "it may be the cause of what was only a symptom so far"
    joining = [i for i in fitting if ref == i.subject or leads_to.meets(trail_of(i))]
    if not joining:
        return None
    return Joining(min(joining, key=rank), because)


def is_part_of(one: Incident, whole: Incident) -> bool:
    """Whether `one`, of which people were told, says only what `whole` causes, when they lead to
    one workload. Never both ways round."""
    if not is_symptom(one.errors) or rank(whole) >= rank(one):
        return False
    if any(i.state not in _HEARD or i.mute or i.severity is Severity.HINT for i in (one, whole)):
        return False
    shows = one.subject.resource_kind in SHOWS
    return not shows or one.first_seen >= whole.first_seen - SYMPTOM_LEAD


def rank(incident: Incident) -> tuple[bool, datetime, str]:
    """Of several that lead to one workload, the first is the incident."""
    return is_symptom(incident.errors), incident.first_seen, incident.id


def _has_no_endpoints(errors: Sequence[str]) -> bool:
    return bool(errors) and all(_NO_ENDPOINTS.search(text) for text in errors)


def _only_shows(incident: Incident, now: datetime) -> bool:
    if not is_symptom(incident.errors):
        return False
    return incident.subject.resource_kind not in SHOWS or incident.first_seen >= now - SYMPTOM_LEAD
