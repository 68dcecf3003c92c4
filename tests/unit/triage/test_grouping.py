from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis_sink.model import Incident, Mute, MuteKind, ObjectRef, Severity, State
from aegis_sink.model.facts import AutoscalerFacts, DisruptionBudgetFacts, Facts, IngressFacts
from aegis_sink.triage.grouping import (
    SYMPTOM_LEAD,
    incident_to_join,
    is_part_of,
    is_symptom,
    trail,
)
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


def joined(
    kind: str, name: str, error: str, *incidents: Incident, facts: tuple[Facts, ...] = ()
) -> str | None:
    ref = ObjectRef(kind, name, "shop")
    leads_to = trail(ref, (error,), owner=subject_from_name(ref).subject, facts=facts)
    joining = incident_to_join(ref, (error,), leads_to, incidents, now=START)
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


BACKEND = "Ingress uses the service shop/web which does not exist."
IMPAIRED = replace(SICK, objects=(API, ObjectRef("Service", "web", "shop")))
"""The incident that a Service which is not ready has joined."""


@pytest.mark.parametrize(
    "error",
    [
        "Ingress shop/api does not specify an Ingress class.",
        "Ingress uses the ingress class nginx which does not exist.",
        "Ingress uses the secret shop/web-tls as a TLS certificate which does not exist.",
    ],
)
def test_what_an_ingress_itself_lacks_is_its_own_cause(error: str) -> None:
    pods = IngressFacts(
        class_exists=True,
        services=("web",),
        backends_without_endpoints=("web",),
        unwell_pods=("api-66959989c5-d222p",),
    )
    for facts in ((), (pods,)):
        assert joined("Ingress", "api", error, IMPAIRED, facts=facts) is None


def test_an_ingress_whose_service_does_not_exist_is_its_own_cause() -> None:
    text = "Ingress uses the service shop/api which does not exist."
    assert joined("Ingress", "api", text, SICK, incident("vague", REPLICAS)) is None
    gone = IngressFacts(services=("web",), missing_services=("web",))
    assert joined("Ingress", "api", BACKEND, IMPAIRED, facts=(gone,)) is None


def test_an_ingress_leads_to_the_workload_of_the_service_that_k8sgpt_says_is_not_ready() -> None:
    assert joined("Ingress", "front", BACKEND, IMPAIRED) == "sick"
    other = "Ingress uses the service shop/web-v2 which does not exist."
    assert joined("Ingress", "front", other, IMPAIRED) is None


def test_an_ingress_leads_to_the_pods_behind_a_service_that_the_cluster_shows_to_be_there() -> None:
    there = IngressFacts(
        services=("web",),
        backends_without_endpoints=("web",),
        unwell_pods=("api-66959989c5-d222p",),
    )
    assert joined("Ingress", "front", BACKEND, SICK, facts=(there,)) == "sick"
    ready = IngressFacts(services=("web",))
    assert joined("Ingress", "front", BACKEND, IMPAIRED, facts=(ready,)) is None


def test_evidence_tells_the_target_of_an_autoscaler_and_the_pods_of_a_budget() -> None:
    target = AutoscalerFacts(target_kind="Deployment", target_name="api")
    assert joined("HorizontalPodAutoscaler", "scale-it", HPA, SICK) is None
    assert joined("HorizontalPodAutoscaler", "scale-it", HPA, SICK, facts=(target,)) == "sick"
    pods = DisruptionBudgetFacts(unwell_pods=("api-66959989c5-d222p",))
    pdb = "InsufficientPods, expected pdb pod label team=blue"
    assert joined("PodDisruptionBudget", "keep-some", pdb, SICK) is None
    assert joined("PodDisruptionBudget", "keep-some", pdb, SICK, facts=(pods,)) == "sick"


def test_a_service_joins_either_workload_of_the_pods_it_lists() -> None:
    text = "Service has not ready endpoints, pods: [Pod/api-66959989c5-d222p Pod/pg-0], expected 2"
    pg = incident("pg", OOM, subject=ObjectRef("StatefulSet", "pg", "shop"))
    assert joined("Service", "web", text, SICK) == "sick"
    assert joined("Service", "web", text, pg) == "pg"


def test_a_budget_joins_the_workload_that_its_label_names_and_no_release() -> None:
    text = "InsufficientPods, expected pdb pod label {}=api"
    for label in ("app", "app.kubernetes.io/name"):
        assert joined("PodDisruptionBudget", "api-pdb", text.format(label), SICK) == "sick"
    release = text.format("app.kubernetes.io/instance")
    assert joined("PodDisruptionBudget", "api-pdb", release, SICK) is None


def test_a_budget_that_cannot_be_computed_is_a_cause() -> None:
    assert (
        joined("PodDisruptionBudget", "api", PDB.replace("InsufficientPods", "SyncFailed")) is None
    )
    assert not is_symptom((PDB.replace("InsufficientPods", "SyncFailed"),))


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("Service", "web", NOT_READY),
        ("Service", "api", "Service shop/api has event FailedToUpdateEndpoint"),
        ("HorizontalPodAutoscaler", "api", HPA),
        ("PodDisruptionBudget", "api", PDB),
    ],
)
def test_a_cause_and_a_symptom_of_it_that_came_first_are_one(
    kind: str, name: str, error: str
) -> None:
    early = incident("early", error, subject=ObjectRef(kind, name, "shop"))
    assert joined("Pod", "api-66959989c5-d222p", OOM, early) == "early"
    assert joined("Deployment", "api", REPLICAS, early) == "early"
    long_ago = replace(early, first_seen=START - SYMPTOM_LEAD * 1.1)
    assert joined("Pod", "api-66959989c5-d222p", OOM, long_ago) is None


def test_of_two_that_were_told_only_a_symptom_is_a_part_of_the_other() -> None:
    shown = incident("shown", HPA, subject=ObjectRef("HorizontalPodAutoscaler", "api", "shop"))
    older = incident("older", REPLICAS, minutes=-1)
    assert is_part_of(shown, SICK)
    assert not is_part_of(SICK, shown)
    assert not is_part_of(incident("other", PULL), SICK)
    assert is_part_of(shown, older)
    assert not is_part_of(older, shown)
    assert not is_part_of(replace(shown, first_seen=START - SYMPTOM_LEAD * 1.1), SICK)


@pytest.mark.parametrize("state", [State.SILENCED, State.RESOLVED])
def test_what_nobody_hears_of_takes_nothing_in_that_people_were_told_of(state: State) -> None:
    shown = incident("shown", HPA, subject=ObjectRef("HorizontalPodAutoscaler", "api", "shop"))
    assert not is_part_of(shown, replace(SICK, state=state))
    assert not is_part_of(replace(shown, state=state), SICK)
    muted = Mute(MuteKind.SILENCE, "s1", "it is silenced")
    assert not is_part_of(shown, replace(SICK, mute=muted))


def test_pods_whose_name_tells_no_owner_and_their_daemon_set_are_one() -> None:
    daemon_set = ObjectRef("DaemonSet", "fluentd", "shop")
    replicas = "DaemonSet shop/fluentd has 1 ready replicas out of 3 scheduled"
    crash = "the last termination reason is Error container=fluentd pod=fluentd-x7k2p"
    pod = incident("pod", crash, subject=ObjectRef("Pod", "fluentd-x7k2p", "shop"))
    assert joined("DaemonSet", "fluentd", replicas, pod) == "pod"
    vague = incident("vague", replicas, subject=daemon_set)
    assert joined("Pod", "fluentd-x7k2p", crash, vague) == "vague"
    listed = "Service has not ready endpoints, pods: [Pod/fluentd-x7k2p], expected 1"
    assert joined("Service", "logs", listed, pod) == "pod"
    assert joined("Service", "logs", listed, vague) == "vague"


def test_a_service_joins_what_has_its_pods_whatever_owns_them() -> None:
    pod = ObjectRef("Pod", "api-66959989c5-d222p", "shop")
    rollout = replace(SICK, subject=ObjectRef("Rollout", "blue", "shop"), objects=(pod,))
    assert joined("Service", "web", NOT_READY, rollout) == "sick"


def test_a_hint_neither_joins_an_outage_nor_is_joined_by_it() -> None:
    hint = "Pod api-66959989c5-d222p does not have a security context defined which may pose risks"
    vague = incident("vague", REPLICAS)
    assert joined("Security/Pod", "api-66959989c5-d222p", hint, vague) is None
    advice = replace(incident("advice", hint), severity=Severity.HINT)
    assert joined("Deployment", "api", REPLICAS, advice) is None


def test_a_pull_of_no_image_in_particular_joins_the_one_that_names_it() -> None:
    pod = "api-66959989c5-d222p"
    assert joined("Pod", pod, "pull QPS exceeded", incident("pull", PULL)) == "pull"
    assert joined("Pod", pod, PULL, incident("qps", "pull QPS exceeded")) == "qps"


def test_a_finding_whose_errors_are_not_known_yet_joins_nothing() -> None:
    assert not is_symptom(())
    leads_to = trail(API, (), owner=API)
    vague = incident("vague", REPLICAS)
    assert incident_to_join(API, (), leads_to, (vague,), now=START) is None
