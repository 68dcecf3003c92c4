from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis_sink.model import (
    Evidence,
    HistoryEntry,
    Incident,
    Mute,
    MuteKind,
    ObjectRef,
    Severity,
    State,
)
from aegis_sink.model.facts import PodFacts
from aegis_sink.triage.inhibition import muted_by_parent
from aegis_sink.triage.muting import Scope, mute_of

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def incident(
    id: str, kind: str, name: str, *errors: str, namespace: str = "shop", minutes: int = 0
) -> Incident:
    seen = START + timedelta(minutes=minutes)
    subject = ObjectRef(kind, name, namespace)
    return Incident(
        id=id,
        cluster="prod",
        state=State.OPEN,
        severity=Severity.DOWN,
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


def with_pods(base: Incident, *pods: PodFacts) -> Incident:
    evidence = (Evidence(f"E{i}", "pod", "", START, facts=pod) for i, pod in enumerate(pods, 1))
    return replace(base, evidence=tuple(evidence))


def parent_of(child: Incident, *others: Incident) -> str | None:
    muting = muted_by_parent(child, others)
    return muting.parent.id if muting else None


NODE = incident(
    "node",
    "Node",
    "n1",
    "n1 has condition of type Ready, reason NodeStatusUnknown: Kubelet stopped posting node status.",
    namespace="",
)
ON_N1 = with_pods(
    incident("api", "Deployment", "api", "Readiness probe failed: timeout", minutes=1),
    PodFacts(node="n1"),
)
CLAIM = incident(
    "claim", "PersistentVolumeClaim", "data-pg-0", 'storageclass.storage.k8s.io "fast" not found'
)
HOOK = incident(
    "hook",
    "ValidatingWebhookConfiguration",
    "/check.example.com",
    "No active pods found within service hook as mapped to by Validating Webhook check.example.com",
    namespace="",
)
QUOTA = 'pods "x-" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=9'
FULL = incident("full", "Deployment", "a", QUOTA)


def test_a_node_that_is_not_ready_mutes_what_runs_only_there() -> None:
    muting = muted_by_parent(ON_N1, (ON_N1, NODE))
    assert muting is not None
    assert muting.parent is NODE
    assert muting.because.startswith("follows from Node n1, which is not ready")


def test_what_was_seen_a_little_before_its_node_follows_from_it() -> None:
    assert parent_of(replace(ON_N1, first_seen=START - timedelta(minutes=4)), NODE) == "node"


@pytest.mark.parametrize(
    "child",
    [
        pytest.param(with_pods(ON_N1, PodFacts(node="n2")), id="on another node"),
        pytest.param(
            with_pods(ON_N1, PodFacts(node="n1"), PodFacts(node="n2")), id="also on another node"
        ),
        pytest.param(replace(ON_N1, evidence=()), id="nobody knows where"),
        pytest.param(
            replace(ON_N1, first_seen=START - timedelta(minutes=6)), id="ill long before the node"
        ),
        pytest.param(replace(ON_N1, cluster="test"), id="in another cluster"),
        pytest.param(replace(ON_N1, state=State.RESOLVED), id="over"),
    ],
)
def test_a_node_does_not_mute_what_is(child: Incident) -> None:
    assert parent_of(child, NODE) is None


def test_a_node_that_came_back_mutes_what_began_with_it_this_time() -> None:
    back = HistoryEntry(START + timedelta(hours=8), "reopened")
    node = replace(NODE, history=(back,))
    assert parent_of(ON_N1, node) is None
    assert parent_of(replace(ON_N1, first_seen=back.at), node) == "node"
    assert parent_of(replace(ON_N1, history=(back,)), node) == "node"


def test_a_node_that_is_ready_again_or_only_under_pressure_mutes_nothing() -> None:
    pressed = replace(NODE, errors=("n1 has condition of type DiskPressure, reason X: full",))
    assert parent_of(ON_N1, replace(NODE, state=State.RESOLVED), pressed) is None


@pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.SILENCED])
def test_a_parent_that_is_acknowledged_or_silenced_still_mutes(state: State) -> None:
    assert parent_of(ON_N1, replace(NODE, state=state)) == "node"


def test_of_all_that_lack_a_storage_class_the_oldest_speaks() -> None:
    later = replace(CLAIM, id="later", subject=ObjectRef("PersistentVolumeClaim", "x", "dev"))
    later = replace(later, first_seen=START + timedelta(hours=1))
    assert parent_of(later, CLAIM, later) == "claim"
    assert parent_of(CLAIM, CLAIM, later) is None
    other = replace(later, errors=('storageclass.storage.k8s.io "slow" not found',))
    assert parent_of(other, CLAIM) is None


def test_a_pod_that_waits_for_the_claim_follows_from_it() -> None:
    text = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    waiting = with_pods(
        incident("pg", "StatefulSet", "pg", text), PodFacts(pending_claims=("data-pg-0",))
    )
    assert parent_of(waiting, CLAIM) == "claim"
    assert parent_of(with_pods(waiting, PodFacts(pending_claims=("other",))), CLAIM) is None
    elsewhere = replace(waiting, subject=ObjectRef("StatefulSet", "pg", "dev"))
    assert parent_of(elsewhere, CLAIM) is None


def test_an_admission_webhook_mutes_what_it_refuses() -> None:
    text = 'Internal error occurred: failed calling webhook "check.example.com": connection refused'
    assert parent_of(incident("rs", "Deployment", "web", text), HOOK) == "hook"
    other = text.replace("check.", "other.")
    assert parent_of(incident("rs", "Deployment", "web", other), HOOK) is None


def test_what_is_on_several_dead_nodes_follows_from_the_oldest() -> None:
    other = incident("n2", "Node", "n2", NODE.errors[0].replace("n1", "n2"), namespace="")
    other = replace(other, first_seen=START + timedelta(seconds=30))
    both = with_pods(ON_N1, PodFacts(node="n1"), PodFacts(node="n2"))
    assert parent_of(both, other, NODE) == "node"
    muting = muted_by_parent(both, (NODE, other))
    assert muting is not None
    assert muting.because.endswith("all its pods that were looked at are on 2 nodes that are not")
    assert parent_of(both, NODE, replace(other, state=State.RESOLVED)) is None


def test_of_what_a_webhook_refuses_the_oldest_speaks_until_the_webhook_itself_is_reported() -> None:
    text = 'Internal error occurred: failed calling webhook "check.example.com": connection refused'
    first = incident("first", "Deployment", "web", text)
    second = incident("second", "Deployment", "api", text, namespace="bank", minutes=1)
    assert [parent_of(one, first, second) for one in (first, second)] == [None, "first"]
    hook = replace(HOOK, first_seen=START + timedelta(minutes=2))
    assert [parent_of(one, first, second, hook) for one in (first, second)] == ["hook", "hook"]


def test_what_is_silenced_or_follows_from_a_third_does_not_speak_for_others() -> None:
    later = incident("b", "Deployment", "b", QUOTA, minutes=1)
    mute = Mute(MuteKind.SILENCE, "s1", "silenced by ada")
    assert parent_of(later, replace(FULL, mute=mute)) is None
    assert parent_of(later, replace(FULL, state=State.SILENCED)) is None
    by_node = Mute(MuteKind.INCIDENT, "node", "follows from Node n1")
    assert parent_of(later, replace(FULL, mute=by_node)) is None


def test_a_parent_that_nobody_is_ever_told_of_explains_nothing() -> None:
    def muted(scope: Scope) -> Mute | None:
        return mute_of(ON_N1, now=START, scope=scope, silences=(), parents=(NODE,))

    assert muted(Scope()) is not None
    assert muted(Scope(exclude_kinds=("Node",))) is None


def test_a_full_quota_is_told_once_for_its_namespace() -> None:
    later = incident("b", "Deployment", "b", QUOTA, minutes=1)
    assert parent_of(later, FULL, later) == "full"
    assert parent_of(FULL, FULL, later) is None
    elsewhere = incident("c", "Deployment", "c", QUOTA, namespace="dev", minutes=1)
    assert parent_of(elsewhere, FULL) is None
    other = incident("d", "Deployment", "d", QUOTA.replace("compute", "memory"), minutes=1)
    assert parent_of(other, FULL) is None


def test_two_incidents_never_mute_each_other_even_when_seen_at_once() -> None:
    twin = replace(FULL, id="twin", subject=ObjectRef("Deployment", "b", "shop"))
    assert [parent_of(FULL, FULL, twin), parent_of(twin, FULL, twin)] == [None, "full"]
