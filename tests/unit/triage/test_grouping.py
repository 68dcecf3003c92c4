from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis_sink.model import Incident, ObjectRef, Severity, State
from aegis_sink.model.facts import AutoscalerFacts
from aegis_sink.triage.grouping import incident_to_join, is_symptom, workloads
from aegis_sink.triage.subject import subject_from_name

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
API = ObjectRef("Deployment", "api", "shop")
OOM = "the last termination reason is OOMKilled container=api pod=api-66959989c5-d222p"
PULL = 'Back-off pulling image "nginx:invalid-tag"'
REPLICAS = "Deployment shop/api has 3 replicas but 1 are available with status running"
NOT_READY = "Service has not ready endpoints, pods: [Pod/api-66959989c5-d222p], expected 1"
NO_ENDPOINTS = "Service has no endpoints, expected label app=api"
QUOTA = 'pods "api-66959989c5-" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2'
PDB = "InsufficientPods, expected pdb pod label app=api"
HPA = "the HPA was unable to compute the replica count: failed to get cpu utilization"


def incident(id: str, *errors: str, subject: ObjectRef = API, minutes: int = 0) -> Incident:
    seen = START + timedelta(minutes=minutes)
    return Incident(
        id=id,
        cluster="prod",
        state=State.OPEN,
        severity=Severity.DEGRADED,
        title="",
        subject=subject,
        objects=(subject,),
        errors=errors,
        failure_class="",
        fingerprint="",
        occurrences=1,
        first_seen=seen,
        last_seen=seen,
    )


def joined(kind: str, name: str, error: str, *incidents: Incident) -> str | None:
    ref = ObjectRef(kind, name, "shop")
    leads_to = workloads(ref, (error,), owner=subject_from_name(ref).subject)
    joining = incident_to_join(ref, (error,), leads_to, incidents)
    return joining.incident.id if joining else None


SICK = incident("sick", OOM)


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("Deployment", "api", REPLICAS),
        ("Service", "web", NOT_READY),
        ("Service", "api", "Service shop/api has event FailedToUpdateEndpoint"),
        ("HorizontalPodAutoscaler", "api", HPA),
        ("PodDisruptionBudget", "api", PDB),
    ],
)
def test_what_a_sick_workload_shows_joins_its_incident(kind: str, name: str, error: str) -> None:
    assert joined(kind, name, error, SICK) == "sick"


def test_another_cause_on_the_same_workload_stays_apart() -> None:
    assert joined("Pod", "api-66959989c5-d222p", PULL, SICK) is None


def test_a_cause_joins_an_incident_that_had_only_symptoms() -> None:
    vague = incident("vague", REPLICAS, NOT_READY)
    assert joined("Pod", "api-66959989c5-d222p", OOM, vague) == "vague"
    assert joined("ReplicaSet", "api-66959989c5", QUOTA, vague) == "vague"


def test_symptoms_join_one_another_before_the_cause_is_known() -> None:
    assert joined("Service", "web", NOT_READY, incident("vague", REPLICAS)) == "vague"


def test_a_service_without_endpoints_joins_only_where_pods_have_no_address() -> None:
    assert joined("Service", "api", NO_ENDPOINTS, SICK) is None
    assert joined("Service", "api", NO_ENDPOINTS, incident("quota", QUOTA)) == "quota"


@pytest.mark.parametrize(
    "other",
    [
        replace(SICK, state=State.RESOLVED),
        replace(SICK, subject=ObjectRef("Deployment", "api", "dev")),
        replace(SICK, subject=ObjectRef("Deployment", "web", "shop")),
        replace(SICK, subject=ObjectRef("Ingress", "api", "shop")),
    ],
)
def test_nothing_joins_what_is_over_or_another_workload(other: Incident) -> None:
    assert joined("Deployment", "api", REPLICAS, other) is None
    assert joined("PodDisruptionBudget", "api", PDB, other) is None


def test_the_incident_with_a_cause_is_taken_then_the_oldest() -> None:
    vague = incident("vague", REPLICAS, minutes=0)
    young = incident("young", PULL, minutes=9)
    old = incident("old", OOM, minutes=5)
    assert joined("Service", "web", NOT_READY, vague, young, old) == "old"


def test_an_ingress_that_names_a_missing_service_is_its_own_cause() -> None:
    error = "Ingress uses the service shop/api which does not exist."
    assert joined("Ingress", "api", error, SICK, incident("vague", REPLICAS)) is None


def test_evidence_tells_the_target_of_an_autoscaler() -> None:
    ref = ObjectRef("HorizontalPodAutoscaler", "scale-it", "shop")
    facts = (AutoscalerFacts(target_kind="Deployment", target_name="api"),)
    leads_to = workloads(ref, (HPA,), owner=ref, facts=facts)
    assert leads_to == {API}
    joining = incident_to_join(ref, (HPA,), leads_to, (SICK,))
    assert joining is not None
    assert joining.because == "it is a symptom of the same workload"


def test_a_service_leads_to_the_workloads_of_the_pods_it_lists() -> None:
    ref = ObjectRef("Service", "web", "shop")
    text = "Service has not ready endpoints, pods: [Pod/api-66959989c5-d222p Pod/pg-0], expected 2"
    assert workloads(ref, (text,), owner=ref) == {API, ObjectRef("StatefulSet", "pg", "shop")}


def test_a_finding_whose_errors_are_not_known_yet_joins_nothing() -> None:
    assert not is_symptom(())
    assert incident_to_join(API, (), frozenset({API}), (incident("vague", REPLICAS),)) is None
