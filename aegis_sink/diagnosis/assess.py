"""Score first: what the playbooks make of a case, complete and without a model.

Pure. Every candidate cause is scored by the conditions that hold; how they stand
(`standing`) gives the verdict and the confidence (`conclusion`), never a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.conclusion import (
    MOST_CANDIDATES,
    MOST_CITES,
    answer_with,
    by_number,
    conclude,
)
from aegis_sink.diagnosis.conditions import Condition, Held, holds, topics_of
from aegis_sink.diagnosis.digest import digest
from aegis_sink.diagnosis.filling import Values, fill, fill_or_ask
from aegis_sink.diagnosis.fixes import render
from aegis_sink.diagnosis.observations import Observations, View
from aegis_sink.diagnosis.playbook import Cause, Playbook, Weight
from aegis_sink.diagnosis.standing import ASKED, CONFIDENCE, Candidate, Standing, ranked, standing
from aegis_sink.model import Diagnosis, RuledOut, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aegis_sink.diagnosis.case import Case
    from aegis_sink.diagnosis.playbooks import Playbooks

CERTAIN_SCORE = 10

SETTLED = "settled without a model"
UNASKED = "answered by the playbooks; no model took part"


@dataclass(frozen=True, slots=True)
class Assessment:
    """The answer without a model, and what a model would need to add to it.

    `ask` says whether a model would add something. `key` is the same for the same problem with
    the same evidence (uids, times and counters do not change it) and the same playbooks.
    `candidates` are ranked, best first.
    """

    diagnosis: Diagnosis
    ask: bool
    key: str
    candidates: tuple[Candidate, ...]
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Scored:
    candidate: Candidate
    excluded: str


def assess(case: Case, playbooks: Playbooks, *, always_ask: bool = False) -> Assessment:
    """Score every cause against the case and answer. Never fails for want of evidence."""
    observations = Observations.of(case)
    scored = [s for p in playbooks.playbooks for s in _score(p, observations, case)]
    ruled_out = tuple(
        RuledOut(s.candidate.id, s.candidate.cause.title, s.excluded) for s in scored if s.excluded
    )
    candidates, consequences = ranked([s.candidate for s in scored if not s.excluded])
    stands, lead = standing(candidates)
    diagnosis = conclude(case, candidates, stands, lead)
    diagnosis = replace(
        diagnosis,
        ruled_out=(*ruled_out, *consequences),
        model_note=SETTLED if stands not in ASKED else UNASKED,
    )
    return Assessment(
        diagnosis=diagnosis,
        ask=stands in ASKED or always_ask,
        key=digest(case, playbooks.version),
        candidates=candidates[:MOST_CANDIDATES],
        standing=stands,
    )


def choose(case: Case, assessment: Assessment, cause_id: str) -> Diagnosis:
    """The diagnosis had this candidate led: for a tie which a model broke."""
    chosen = next(c for c in assessment.candidates if c.id == cause_id)
    before = assessment.diagnosis
    confidence = min(0.5, max(before.confidence, CONFIDENCE[Standing.SLIGHT]))
    if not case.collected.evidence:
        confidence = min(confidence, CONFIDENCE[Standing.SLIGHT])
    return replace(
        answer_with(case, chosen, Verdict.LIKELY, confidence, ()),
        ruled_out=before.ruled_out,
        model_note=before.model_note,
    )


def _score(playbook: Playbook, observations: Observations, case: Case) -> Iterable[_Scored]:
    applies_in = _Applies(playbook.when)
    if not any(applies_in(view).truth for view in observations.views(applies_in.topics)):
        return ()  # most playbooks, at the cost of one condition
    done: dict[str, _Scored] = {}
    for cause in sorted(playbook.causes, key=lambda c: bool(c.part_of)):
        wider = done.get(cause.part_of)
        if cause.part_of and (wider is None or wider.excluded):
            continue
        topics = applies_in.topics | cause.topics
        best: _Scored | None = None
        for view in observations.views(topics):
            applies = applies_in(view)
            if not applies.truth:
                continue
            scored = _weigh(cause, view, applies, case, wider)
            if scored is not None and (best is None or _rank(scored) > _rank(best)):
                best = scored
        if best is not None:
            done[cause.id] = best
    return done.values()


class _Applies:
    """A playbook's `when`, answered once for each of the things it asks about.

    A log is one container's, so a `when` that asks of logs is answered for each container.
    """

    def __init__(self, when: Condition) -> None:
        topics = topics_of(when)
        self.topics = topics | {"container"} if "log" in topics else topics
        self._when = when
        self._known: dict[tuple[int, ...], Held] = {}

    def __call__(self, view: View) -> Held:
        key = tuple(id(view.focus.get(topic)) for topic in self.topics)
        if key not in self._known:
            self._known[key] = holds(self._when, view)
        return self._known[key]


def _rank(scored: _Scored) -> tuple[bool, bool, int, int]:
    return (
        not scored.excluded,
        scored.candidate.certain,
        scored.candidate.score,
        len(scored.candidate.cites),
    )


def _weigh(
    cause: Cause, view: View, applies: Held, case: Case, wider: _Scored | None
) -> _Scored | None:
    """One cause in one view; None when nothing of its own speaks for it, or too little: a weak
    sign adds to a case and never makes one."""
    certain = holds(cause.certain, view) if cause.certain is not None else Held(False)
    grounds = [applies, certain] if certain.truth else [applies]
    score = CERTAIN_SCORE if certain.truth else 0
    for weighed in cause.speaks_for:
        held = holds(weighed.condition, view)
        if held.truth:
            score += weighed.weight
            grounds.append(held)
    if score < Weight.MEDIUM and not cause.open:
        return None
    excluded = ""
    values = Values(view, _words(case, grounds))
    for weighed in cause.speaks_against:
        if holds(weighed.condition, view).truth:
            if weighed.weight is Weight.EXCLUDES:
                excluded = excluded or fill_or_ask(weighed.why, values)[0]
            else:
                score -= weighed.weight
    if score < Weight.MEDIUM and not cause.open and not excluded:
        return None  # what speaks against it outweighs what speaks for it
    if wider is not None:
        score += wider.candidate.score
    cites = tuple(dict.fromkeys(i for held in reversed(grounds) for i in held.cites))[:MOST_CITES]
    about = case.findings[0].object if case.findings else case.subject
    candidate = Candidate(
        cause=cause,
        score=score,
        certain=bool(certain.truth),
        cites=tuple(sorted(cites, key=by_number)),
        root_cause=_first_filled(cause.root_cause, values),
        missing=tuple(fill_or_ask(text, values)[0] for text in cause.missing),
        mild=cause.general or any(held.mild for held in grounds[1:]),
        fixes=tuple(
            render(plan, values, case.subject, about)
            for plan in cause.fixes
            if plan.condition is None or holds(plan.condition, view).truth
        ),
    )
    return _Scored(candidate, excluded)


def _words(case: Case, grounds: Sequence[Held]) -> Mapping[str, str]:
    about = case.findings[0].object if case.findings else case.subject
    captured = {k: v for held in grounds for k, v in held.captures.items()}
    return {
        "subject": str(case.subject),
        "object": str(about),
        "namespace": case.subject.namespace,
        "name": about.name,
        **captured,
    }


def _first_filled(templates: Sequence[str], values: Values) -> str:
    filled = (fill(template, values) for template in templates)
    return next((text for text in filled if text is not None), templates[-1])
