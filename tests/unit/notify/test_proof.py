"""The one line of proof says what a person would look for first."""

from dataclasses import replace

import pytest

from aegis_sink.model import Evidence
from aegis_sink.model.facts import (
    ContainerFacts,
    EventsFacts,
    Facts,
    LogFacts,
    NodeFacts,
    PodFacts,
    RolloutFacts,
    WorkloadFacts,
)
from aegis_sink.notify.proof import LINE_CHARACTERS, evidence_line, proof_lines
from aegis_sink.notify.text import units
from tests.fakes.notify_incidents import NOW, make_found


def line(text: str, facts: Facts | None = None) -> str:
    return evidence_line(Evidence("E1", "source", text, NOW, facts=facts)).removeprefix(
        "E1 source: "
    )


def test_a_log_is_quoted_by_its_last_error() -> None:
    facts = LogFacts(container="api", previous=True, empty=False, error_lines=("first", "the last"))
    assert line("line\n" * 50, facts) == "the last"


def test_a_log_without_an_error_is_quoted_by_its_last_line() -> None:
    facts = LogFacts(container="api", previous=True, empty=False, last_line="served")
    assert line("line\n" * 50, facts) == "served"


def test_events_are_quoted_by_the_newest_warning_that_is_no_back_off() -> None:
    text = """\
2026-03-03T08:55:00Z Normal Scheduled x1: assigned
2026-03-03T09:37:00Z Warning Unhealthy x31: connection refused
2026-03-03T09:38:00Z Warning Failed x2: toomanyrequests
2026-03-03T09:39:00Z Warning BackOff x118: Back-off restarting"""
    told = line(text, EventsFacts())
    assert told.split(" · ") == [
        "Warning Failed x2: toomanyrequests",
        "Warning Unhealthy x31: connection refused",
        "Warning BackOff x118: Back-off restarting",
        "Normal Scheduled x1: assigned",
    ]


def test_a_container_is_quoted_by_what_it_did_and_its_limits() -> None:
    text = """\
waiting: CrashLoopBackOff back-off 5m0s restarting failed container=api pod=api_shop(uid)
last run: OOMKilled, exit code 137
image: registry.example/shop/api:1
requests: none
limits: memory 96Mi"""
    told = line(text, ContainerFacts(name="api", waiting_reason="CrashLoopBackOff"))
    assert told == (
        "waiting: CrashLoopBackOff · last run: OOMKilled, exit code 137 · limits: memory 96Mi"
    )


def test_a_container_that_never_ran_is_quoted_by_what_it_asks_for() -> None:
    text = "restarts: 0\nimage: registry.example/ml/cedar:1\nrequests: cpu 12\nlimits: none"
    assert line(text, ContainerFacts(name="cedar")) == "requests: cpu 12"


def test_a_container_that_runs_is_quoted_with_where_it_is_asked() -> None:
    text = """\
running since 2026-03-03T03:00:00Z, not ready
restarts: 0
image: registry.example/shop/api:1
requests: none
ports: http:8080/TCP
readiness probe: http GET :8081/ready"""
    assert line(text, ContainerFacts(name="api")) == (
        "running since 2026-03-03T03:00:00Z, not ready · ports: http:8080/TCP · "
        "readiness probe: http GET :8081/ready"
    )


def test_why_an_image_is_not_pulled_stays() -> None:
    text = "waiting: ErrImagePull toomanyrequests\nlimits: none"
    told = line(text, ContainerFacts(name="api", waiting_reason="ErrImagePull"))
    assert told.startswith("waiting: ErrImagePull toomanyrequests")


def test_a_pod_that_cannot_be_scheduled_is_quoted_by_the_scheduler() -> None:
    told = line("phase: Pending", PodFacts(unschedulable_message="0/3 nodes are available"))
    assert told == "0/3 nodes are available"


def test_a_node_is_quoted_by_the_condition_it_is_ill_with() -> None:
    text = """\
condition DiskPressure=Unknown since 2026-03-01T07:40:00Z NodeStatusUnknown
condition Ready=Unknown since 2026-03-01T07:40:00Z NodeStatusUnknown"""
    assert line(text, NodeFacts(name="n")).startswith("condition Ready=Unknown")
    text = "condition Ready=True since x KubeletReady\ncondition MemoryPressure=True since x Little"
    assert line(text, NodeFacts(name="n")).startswith("condition MemoryPressure=True")


def test_when_something_was_made_and_what_is_well_stand_last() -> None:
    text = """\
created 2026-04-14T19:20:00Z, strategy RollingUpdate
condition Progressing=True since 2026-04-14T19:20:00Z
condition Available=False since 2026-05-12T13:42:00Z
desired 3, current 3, ready 2"""
    assert line(text, WorkloadFacts(kind="Deployment")) == (
        "condition Available=False since 2026-05-12T13:42:00Z · desired 3, current 3, ready 2 · "
        "condition Progressing=True since 2026-04-14T19:20:00Z · "
        "created 2026-04-14T19:20:00Z, strategy RollingUpdate"
    )


def test_what_an_event_and_a_condition_say_alike_is_one_line_of_proof() -> None:
    words = "0/3 nodes are available: 3 node(s) had untolerated taint {dedicated: batch}"
    event = Evidence("E1", "events", f"{NOW:%FT%TZ} Warning FailedScheduling x9: {words}.", NOW)
    evidence = (
        replace(event, facts=EventsFacts()),
        Evidence("E2", "Pod", "x", NOW, facts=PodFacts(unschedulable_message=words)),
        Evidence("E3", "Node", "another thing", NOW),
    )
    incident = replace(make_found(), evidence=evidence)
    assert [one[:2] for one in proof_lines(incident, shown=3)] == ["E1", "E3"]


def test_a_rollout_is_quoted_by_what_it_changed() -> None:
    text = "revision 6 → revision 7:\n+ args: -v\n~ limits.memory: 512Mi → 96Mi"
    told = line(text, RolloutFacts())
    assert told == "~ limits.memory: 512Mi → 96Mi · + args: -v · revision 6 → revision 7"


@pytest.mark.parametrize(
    "facts",
    [
        None,
        LogFacts(container="api", previous=True, empty=True),
        EventsFacts(),
        ContainerFacts(name="api"),
        PodFacts(),
        RolloutFacts(),
    ],
)
@pytest.mark.parametrize("text", ["", "\n\n", "one", "👩‍👩‍👧‍👦" * 300])
def test_any_evidence_is_one_short_line(facts: Facts | None, text: str) -> None:
    shown = evidence_line(Evidence("E1", "source", text, NOW, facts=facts))
    assert "\n" not in shown
    assert units(shown) <= LINE_CHARACTERS
