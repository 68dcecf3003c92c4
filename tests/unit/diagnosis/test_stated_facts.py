"""What K8sGPT's error texts state, and that its details state nothing."""

from aegis_sink.diagnosis.stated import stated_facts
from aegis_sink.model import Finding, ObjectRef
from aegis_sink.model.facts import (
    ContainerFacts,
    Facts,
    LogFacts,
    NodeFacts,
    PodFacts,
    ServiceFacts,
)


def stated(text: str, kind: str = "Pod", container: str = "") -> tuple[Facts, ...]:
    about = ObjectRef(kind, "ledger", "books")
    return stated_facts(
        [Finding("east", about, "result", errors=(text,), container=container, details="OOMKilled")]
    )


def test_a_termination_text_names_container_reason_and_code() -> None:
    text = "the termination reason is Error exitCode=127 container=web pod=web-7d9c5bb69d-x2lqk"
    assert stated(text) == (ContainerFacts(name="web", termination_reason="Error", exit_code=127),)


def test_the_schedulers_words_are_kept_whole() -> None:
    (facts,) = stated("0/3 nodes are available: 3 Insufficient cpu.")
    assert isinstance(facts, PodFacts)
    assert facts.unschedulable_message == "0/3 nodes are available: 3 Insufficient cpu."


def test_a_service_text_states_selector_and_no_endpoints() -> None:
    (facts,) = stated("Service has no endpoints, expected label app=x", kind="Service")
    assert facts == ServiceFacts(name="ledger", selector={"app": "x"}, ready_endpoints=0)


def test_not_ready_pods_are_counted_from_a_go_slice() -> None:
    (facts,) = stated(
        "Service has not ready endpoints, pods: [Pod/a Pod/b], expected 3", kind="Service"
    )
    assert isinstance(facts, ServiceFacts)
    assert (facts.not_ready_endpoints, facts.ready_endpoints) == (2, 1)


def test_a_node_text_states_its_condition() -> None:
    (facts,) = stated(
        "n1 has condition of type Ready, reason NodeStatusUnknown: Kubelet stopped", kind="Node"
    )
    assert isinstance(facts, NodeFacts)
    assert (facts.ready, facts.ready_reason) == ("Unknown", "NodeStatusUnknown")


def test_texts_of_the_log_analyzer_are_log_lines() -> None:
    (facts,) = stated("level=error msg=boom", container="web")
    assert isinstance(facts, LogFacts)
    assert facts.error_lines == ("level=error msg=boom",)


def test_an_unknown_text_and_the_details_state_nothing() -> None:
    assert stated("something nobody has seen before") == ()
