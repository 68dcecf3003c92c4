"""The one line of proof says what a person would look for first."""

import pytest

from aegis_sink.model import Evidence
from aegis_sink.model.facts import (
    ContainerFacts,
    EventsFacts,
    Facts,
    LogFacts,
    PodFacts,
    RolloutFacts,
)
from aegis_sink.notify.proof import LINE_CHARACTERS, evidence_line
from aegis_sink.notify.text import units
from tests.fakes.notify_incidents import NOW


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
        " · image: registry.example/shop/api:1 · requests: none"
    )


def test_why_an_image_is_not_pulled_stays() -> None:
    text = "waiting: ErrImagePull toomanyrequests\nlimits: none"
    told = line(text, ContainerFacts(name="api", waiting_reason="ErrImagePull"))
    assert told.startswith("waiting: ErrImagePull toomanyrequests")


def test_a_pod_that_cannot_be_scheduled_is_quoted_by_the_scheduler() -> None:
    told = line("phase: Pending", PodFacts(unschedulable_message="0/3 nodes are available"))
    assert told == "0/3 nodes are available"


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
