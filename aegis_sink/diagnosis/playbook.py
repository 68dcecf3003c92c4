"""A playbook: what is known about one failure class of Kubernetes, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from aegis_sink.errors import Explained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aegis_sink.diagnosis.conditions import Condition
    from aegis_sink.model import FixAction, Risk


class PlaybookError(Explained):
    """A playbook that cannot be used. The text names file, line, path and reason of each fault."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Weight(IntEnum):
    """How much one true condition counts for or against a cause."""

    WEAK = 1
    MEDIUM = 2
    STRONG = 3
    EXCLUDES = 100
    """Only against: the cause cannot be."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A condition, how much it counts, and (against a cause) why in words."""

    condition: Condition
    weight: Weight
    why: str = ""


@dataclass(frozen=True, slots=True)
class FixPlan:
    """A fix with templates in it, to be rendered by `fixes.render`.

    `target` is "subject", "object", or "Kind/name template".
    """

    title: str
    action: FixAction
    risk: Risk
    target: str = "subject"
    condition: Condition | None = None
    parameters: Mapping[str, str] | None = None
    patch: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """One candidate.

    `root_cause` are templates, best first: the first whose values are all known is used.
    `part_of` names the wider cause this one narrows down: it needs evidence of its own, and
    inherits the wider one's. `open` marks a cause which only restates the symptom: alone it gives
    the verdict cannot_tell. `harmless` gives not_a_problem. `general`
    marks one that says less than any other that fits: it loses a tie. `outranks` are causes which are
    consequences of this one. `missing` is what would settle it. `topics` are those its conditions
    and its root cause speak of, worked out once for all assessments. `runbook` is the address of
    what a person should read, "" for none.
    """

    id: str
    title: str
    root_cause: tuple[str, ...]
    part_of: str = ""
    open: bool = False
    harmless: bool = False
    general: bool = False
    certain: Condition | None = None
    speaks_for: tuple[Weighed, ...] = ()
    speaks_against: tuple[Weighed, ...] = ()
    outranks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fixes: tuple[FixPlan, ...] = ()
    topics: frozenset[str] = frozenset()
    runbook: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A small case inside a playbook and the cause it must lead to; run by `check`."""

    expect: str
    kind: str = "Pod"
    errors: tuple[str, ...] = ()
    facts: tuple[Mapping[str, Mapping[str, object]], ...] = ()
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Playbook:
    """One failure class: when it applies and which causes it knows."""

    id: str
    title: str
    when: Condition
    causes: tuple[Cause, ...]
    examples: tuple[Example, ...]
    source: str
