"""Observations: everything a case knows as fields, and the views a playbook looks at it through.

A field's value comes from evidence when any evidence speaks of its topic, else from what K8sGPT's
texts state (`stated.py`), which cites nothing and so earns less confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, TypeAlias

from aegis_sink.diagnosis.stated import stated_facts
from aegis_sink.model.facts import ContainerFacts, Facts, LogFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aegis_sink.diagnosis.case import Case
    from aegis_sink.model import ObjectRef

Value: TypeAlias = "str | int | bool | tuple[str, ...] | Mapping[str, str] | None"
"""What a field of the facts can hold."""

FOCUSED = frozenset(
    {
        "container",
        "claim",
        "service",
        "node",
        "quota",
        "admission_webhook",
        "config_map",
        "workload",
    }
)
"""Topics of which a case may hold several things that must not be mixed: the limit of one
container says nothing about the heap of another."""

MOST_VIEWS = 64
LOG_LINES_READ = 200


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing's facts, the evidence they stand in ("" when K8sGPT's text stated them)."""

    facts: Facts
    evidence: str = ""
    object: ObjectRef | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The observations with at most one thing in focus for each focused topic."""

    instances: tuple[Instance, ...]
    focus: Mapping[str, Instance]
    errors: tuple[str, ...]

    def values(self, field: str) -> Iterator[tuple[str, Value]]:
        """Each known instance's (evidence id, value) for "topic.field"."""
        topic, _, name = field.partition(".")
        for instance in self.of(topic):
            value: Value = getattr(instance.facts, name)
            yield instance.evidence, value

    def of(self, topic: str) -> tuple[Instance, ...]:
        """The instances of a topic: the one in focus, else all of them."""
        if topic in self.focus:
            return (self.focus[topic],)
        found = tuple(i for i in self.instances if i.facts.topic == topic)
        if topic == "log":
            focus = self.focus.get("container")
            return tuple(i for i in found if _same_container(i, focus))
        return found

    def log_lines(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """(evidence id, lines) of each log of the container in focus, or of all containers."""
        for instance in self.of("log"):
            facts = instance.facts
            if isinstance(facts, LogFacts):
                lines = tuple(instance.text.splitlines()[-LOG_LINES_READ:])
                yield instance.evidence, (*facts.error_lines, facts.last_line, *lines)


@dataclass(frozen=True, slots=True)
class Observations:
    """All instances of a case."""

    instances: tuple[Instance, ...]
    errors: tuple[str, ...]

    @classmethod
    def of(cls, case: Case) -> Observations:
        """Evidence first; what K8sGPT's texts state only for topics no evidence speaks of."""
        seen = tuple(
            Instance(e.facts, e.id, e.object, e.text)
            for e in case.collected.evidence
            if e.facts is not None
        )
        topics = {i.facts.topic for i in seen}
        told = tuple(
            Instance(facts) for facts in stated_facts(case.findings) if facts.topic not in topics
        )
        return cls(_named_first(seen, case) + told, case.errors)

    def views(self, topics: frozenset[str]) -> Iterator[View]:
        """One view for each combination of the focused things among `topics`."""
        focused = sorted(
            t for t in topics & FOCUSED if any(i.facts.topic == t for i in self.instances)
        )
        choices = [[i for i in self.instances if i.facts.topic == t] for t in focused]
        for chosen in islice(product(*choices), MOST_VIEWS):
            yield View(self.instances, dict(zip(focused, chosen, strict=True)), self.errors)


def _named_first(seen: tuple[Instance, ...], case: Case) -> tuple[Instance, ...]:
    """Where K8sGPT names a container, the others of that pod are not looked at.

    A noisy sidecar must not explain the container beside it.
    """
    named = {f.container for f in case.findings if f.container} | {
        f.name for f in stated_facts(case.findings) if isinstance(f, ContainerFacts) and f.name
    }
    present = {i.facts.name for i in seen if isinstance(i.facts, ContainerFacts)}
    if not named & present:
        return seen
    return tuple(
        i for i in seen if not isinstance(i.facts, ContainerFacts) or i.facts.name in named
    )


def _same_container(log: Instance, focus: Instance | None) -> bool:
    if focus is None or not isinstance(focus.facts, ContainerFacts):
        return True
    facts = log.facts
    if focus.facts.name and isinstance(facts, LogFacts) and facts.container != focus.facts.name:
        return False
    return log.object is None or focus.object is None or log.object == focus.object
