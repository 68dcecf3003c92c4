"""Conditions: yes, no, and not known."""

import re

import pytest

from aegis_sink.diagnosis.conditions import (
    AllOf,
    AnyOf,
    Condition,
    FieldIs,
    LogSays,
    NoneOf,
    Says,
    Threshold,
    holds,
    is_mild,
)
from aegis_sink.diagnosis.observations import Observations
from aegis_sink.model.facts import ContainerFacts, LogFacts, PodFacts
from tests.fakes.diagnosis_cases import evidence, make_case

WEB = ContainerFacts(
    name="web",
    memory_limit=256 << 20,
    java_max_heap=512 << 20,
    probe_ports=("81",),
    ports=("http:8080/TCP",),
)
SIDE = ContainerFacts(name="side", memory_limit=64 << 20, waiting_reason="CrashLoopBackOff")


def truth(condition: Condition, *topics: str) -> list[bool | None]:
    case = make_case(
        "something failed: code 7",
        seen=(
            evidence(1, "", WEB),
            evidence(2, "", SIDE),
            evidence(3, "web: ok", LogFacts(container="web", previous=False, empty=False)),
            evidence(4, "side: boom 42", LogFacts(container="side", previous=True, empty=False)),
        ),
    )
    views = Observations.of(case).views(frozenset(topics))
    return [holds(condition, view).truth for view in views]


def test_a_number_is_compared_with_another_field_of_the_same_thing() -> None:
    heap = FieldIs("container.java_max_heap", above=Threshold(field="container.memory_limit"))
    assert truth(heap, "container") == [True, None]


def test_the_limit_of_one_container_says_nothing_about_another() -> None:
    mixed = AllOf(
        (
            FieldIs("container.waiting_reason", one_of=("CrashLoopBackOff",)),
            FieldIs("container.java_max_heap", above=Threshold(number=1)),
        )
    )
    assert True not in truth(mixed, "container")
    assert truth(mixed) == [True]


def test_a_log_line_counts_for_its_own_container_only() -> None:
    assert truth(LogSays(re.compile("boom")), "container") == [False, True]


def test_what_is_not_known_is_not_no() -> None:
    unknown = FieldIs("node.ready", one_of=("False",))
    assert truth(unknown) == [None]
    assert truth(AllOf((unknown, FieldIs("container.name", one_of=("web",))))) == [None]
    assert truth(AnyOf((unknown, FieldIs("container.name", one_of=("web",))))) == [True]
    assert truth(NoneOf((unknown,))) == [True]
    assert truth(FieldIs("node.ready", known=False)) == [True]


def test_named_groups_are_kept_and_evidence_is_cited() -> None:
    case = make_case("code 7", seen=(evidence(4, "", PodFacts(unschedulable_message="code 9")),))
    (view,) = Observations.of(case).views(frozenset())
    places = ("errors", "pod.unschedulable_message")
    held = holds(Says(re.compile(r"code (?P<code>\d)"), places), view)
    assert held.truth
    assert held.captures == {"code": "7"}
    assert held.cites == ("E4",)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (FieldIs("container.probe_ports", absent_from="container.ports"), [True, None]),
        (FieldIs("container.ports", matches=re.compile("8080")), [True, False]),
        (FieldIs("container.ports", empty=True), [False, True]),
        (FieldIs("container.memory_limit", below=Threshold(number=100 << 20)), [False, True]),
        (FieldIs("container.ports", contains="http:8080/TCP"), [True, False]),
        (FieldIs("pod.node_selector", key="disk", one_of=("ssd",)), [None, None]),
    ],
)
def test_each_operator_answers(condition: Condition, expected: list[bool | None]) -> None:
    assert truth(condition, "container") == expected


@pytest.mark.parametrize(
    ("line", "mild"),
    [
        ("2026-05-12 13:56:51 [WARNING] statsd: connection refused, metrics disabled", True),
        ('time="…" level=warning msg="dial tcp 10.0.0.1:443: connection refused"', True),
        ('{"level":"info","msg":"lookup failed: no such host"}', True),
        ("W0512 13:56:56.2 1 reflector.go:547] failed to list *v1.Pod", True),
        ("connect ECONNREFUSED 127.0.0.1:6379, retrying", True),
        ("2026-05-12 ERROR [INFO-bus] connection refused, retrying", False),
        ("KeyError: 'STRIPE_API_KEY'", False),
        ("fatal: information schema is missing", False),
    ],
)
def test_a_line_the_program_calls_a_warning_is_mild(line: str, mild: bool) -> None:
    assert is_mild(line) is mild
