"""How causes stand to each other: ranked, and how surely the first leads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.playbook import Cause, Weight
from aegis_sink.model import Fix, RuledOut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Standing(StrEnum):
    """How the leading cause stands. Ordered from best to worst."""

    CERTAIN = "certain"
    SEVERAL = "several"
    """Several causes are certain: all are true, and which one a person has to mend first is open."""
    STATED = "stated"
    """Certain, but by K8sGPT's text alone: nothing of the cluster was read to confirm it."""
    STRONG = "strong"
    CLEAR = "clear"
    SLIGHT = "slight"
    NARROW = "narrow"
    SYMPTOM = "symptom"
    """Only a cause which restates the symptom."""
    NONE = "none"


CONFIDENCE: Mapping[Standing, float] = {
    Standing.CERTAIN: 0.95,
    Standing.SEVERAL: 0.69,
    Standing.STATED: 0.65,
    Standing.STRONG: 0.69,
    Standing.CLEAR: 0.55,
    Standing.SLIGHT: 0.4,
    Standing.NARROW: 0.3,
    Standing.SYMPTOM: 0.25,
    Standing.NONE: 0.0,
}
"""Below 0.7 nothing is said with confidence: only an exact statement of the cluster is."""

STATED_LIMIT = 0.5
"""What is scored from K8sGPT's texts without any evidence is never more than this."""

ASKED = frozenset(
    {
        Standing.STRONG,
        Standing.CLEAR,
        Standing.SLIGHT,
        Standing.NARROW,
        Standing.SYMPTOM,
        Standing.NONE,
    }
)
"""Where a model may add something: an objection, a tie-break, or a cause of its own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cause that may be, with what speaks for it. `score` is comparable within one case."""

    cause: Cause
    score: int
    certain: bool
    cites: tuple[str, ...]
    root_cause: str
    missing: tuple[str, ...]
    fixes: tuple[Fix, ...]
    mild: bool = False
    """It rests on log lines that the program does not call errors, or says less than any other
    cause that fits: it loses a tie."""

    @property
    def id(self) -> str:
        """The cause's id."""
        return self.cause.id


def ranked(
    candidates: Sequence[Candidate],
) -> tuple[tuple[Candidate, ...], tuple[RuledOut, ...]]:
    """Best first; causes that are consequences of a better founded one are taken out."""
    strong = [c for c in candidates if not c.cause.open and c.score >= Weight.STRONG]
    masters = {o: c for c in strong for o in c.cause.outranks}
    consequences = [c for c in candidates if c.id in masters and masters[c.id].id != c.id]
    rest = [c for c in candidates if c not in consequences]
    ranked = sorted(rest, key=_standing_order, reverse=True)
    told = tuple(
        RuledOut(c.id, c.cause.title, f"a consequence of: {masters[c.id].cause.title}")
        for c in consequences
    )
    return tuple(ranked), told


def _standing_order(candidate: Candidate) -> tuple[bool, bool, int, bool]:
    return (
        candidate.certain,
        not candidate.cause.open,
        candidate.score,
        not candidate.mild,
    )


def standing(candidates: tuple[Candidate, ...]) -> tuple[Standing, tuple[Candidate, ...]]:
    """How the first stands, and the candidates that share the lead (the first one alone, or a
    tie)."""
    if not candidates:
        return Standing.NONE, ()
    first = candidates[0]
    if first.cause.open:
        return Standing.SYMPTOM, (first,)
    related = {first.cause.part_of} | {c.id for c in candidates if c.cause.part_of == first.id}
    rivals = [c for c in candidates[1:] if c.id not in related and not c.cause.open]
    certain = [c for c in rivals if c.certain]
    if first.certain:
        faults = tuple(c for c in certain if not c.cause.harmless)
        if not faults:
            return (Standing.CERTAIN if first.cites else Standing.STATED), (first,)
        if not first.cause.harmless:
            return Standing.SEVERAL, (first, *faults)
        rivals = certain
    lead = first.score - max((c.score for c in rivals), default=0)
    if lead <= 0:
        tied = tuple(c for c in (first, *rivals) if c.score == first.score and c.mild == first.mild)
        if len(tied) > 1:
            return Standing.NARROW, tied
    if first.score >= 2 * Weight.STRONG and lead >= Weight.STRONG and len(first.cites) > 1:
        return Standing.STRONG, (first,)
    if first.score >= Weight.STRONG and lead >= Weight.MEDIUM:
        return Standing.CLEAR, (first,)
    if first.score >= Weight.MEDIUM:
        return Standing.SLIGHT, (first,)
    return Standing.NARROW, (first,)
