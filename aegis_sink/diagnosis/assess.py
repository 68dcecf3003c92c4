"""Score first: what the playbooks make of a case, complete and without a model.

Pure. Every candidate cause is scored by the conditions that hold; the verdict and the confidence
follow from a table (`CONFIDENCE`), never from a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.conditions import Condition, Held, holds, topics_of
from aegis_sink.diagnosis.digest import digest
from aegis_sink.diagnosis.filling import Values, fill, fill_or_ask
from aegis_sink.diagnosis.fixes import render
from aegis_sink.diagnosis.observations import Observations, View
from aegis_sink.diagnosis.playbooks import Cause, FixPlan, Playbook, Playbooks, Weight
from aegis_sink.model import Diagnosis, Fix, FixAction, ObjectRef, Risk, RuledOut, Verdict
from aegis_sink.model.facts import ObjectFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aegis_sink.diagnosis.case import Case

CERTAIN_SCORE = 10
MOST_CANDIDATES = 4
MOST_CITES = 6
MOST_MISSING = 6
MOST_FIXES = 5


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

SETTLED = "settled without a model"
UNASKED = "answered by the playbooks; no model took part"


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
    """It rests on log lines that the program does not call errors: it loses a tie."""

    @property
    def id(self) -> str:
        """The cause's id."""
        return self.cause.id


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
    candidates, consequences = _ranked([s.candidate for s in scored if not s.excluded])
    standing, lead = _standing(candidates)
    diagnosis = _diagnosis(case, candidates, standing, lead)
    if _is_gone(case):
        diagnosis = _of_the_past(case, diagnosis)
    diagnosis = replace(
        diagnosis,
        ruled_out=(*ruled_out, *consequences),
        model_note=SETTLED if standing not in ASKED else UNASKED,
    )
    return Assessment(
        diagnosis=diagnosis,
        ask=standing in ASKED or always_ask,
        key=digest(case, playbooks.version),
        candidates=candidates[:MOST_CANDIDATES],
        standing=standing,
    )


def choose(case: Case, assessment: Assessment, cause_id: str) -> Diagnosis:
    """The diagnosis had this candidate led: for a tie which a model broke."""
    chosen = next(c for c in assessment.candidates if c.id == cause_id)
    before = assessment.diagnosis
    confidence = min(0.5, max(before.confidence, CONFIDENCE[Standing.SLIGHT]))
    if not case.collected.evidence:
        confidence = min(confidence, CONFIDENCE[Standing.SLIGHT])
    return replace(
        _answer(case, chosen, Verdict.LIKELY, confidence, ()),
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
    if wider is not None:
        score += wider.candidate.score
    cites = tuple(dict.fromkeys(i for held in reversed(grounds) for i in held.cites))[:MOST_CITES]
    about = case.findings[0].object if case.findings else case.subject
    candidate = Candidate(
        cause=cause,
        score=score,
        certain=bool(certain.truth),
        cites=tuple(sorted(cites, key=_by_number)),
        root_cause=_first_filled(cause.root_cause, values),
        missing=tuple(fill_or_ask(text, values)[0] for text in cause.missing),
        mild=any(held.mild for held in grounds[1:]),
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


def _by_number(evidence_id: str) -> tuple[int, str]:
    digits = evidence_id.lstrip("E")
    return (int(digits) if digits.isdigit() else 0, evidence_id)


def _ranked(
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


def _standing(candidates: tuple[Candidate, ...]) -> tuple[Standing, tuple[Candidate, ...]]:
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


def _diagnosis(
    case: Case,
    candidates: tuple[Candidate, ...],
    standing: Standing,
    lead: tuple[Candidate, ...],
) -> Diagnosis:
    confidence = CONFIDENCE[standing]
    if not case.collected.evidence:
        limit = CONFIDENCE[Standing.STATED] if standing is Standing.STATED else STATED_LIMIT
        confidence = min(confidence, limit)
    match standing:
        case Standing.NONE:
            return _nothing(case)
        case Standing.SYMPTOM:
            others = tuple(c for c in candidates[1:] if c.cause.open)
            return _answer(case, lead[0], Verdict.CANNOT_TELL, confidence, others)
        case Standing.NARROW:
            wider = _shared_parent(candidates, lead)
            if wider is not None:
                verdict = Verdict.CANNOT_TELL if wider.cause.open else Verdict.LIKELY
                return _answer(case, wider, verdict, confidence, lead)
            if len(lead) > 1:
                return _tie(case, lead, confidence)
            return _answer(case, lead[0], Verdict.LIKELY, confidence, ())
        case Standing.SEVERAL:
            return _together(case, lead, confidence)
        case Standing.CERTAIN:
            return _answer(case, lead[0], Verdict.CAUSE_FOUND, confidence, ())
        case _:
            return _answer(case, lead[0], Verdict.LIKELY, confidence, ())


def _shared_parent(
    candidates: tuple[Candidate, ...], lead: tuple[Candidate, ...]
) -> Candidate | None:
    parents = {c.cause.part_of for c in lead}
    if len(lead) < 2 or len(parents) != 1:
        return None
    return next((c for c in candidates if c.id in parents), None)


def _answer(
    case: Case,
    candidate: Candidate,
    verdict: Verdict,
    confidence: float,
    others: Sequence[Candidate],
) -> Diagnosis:
    if candidate.cause.harmless and verdict is not Verdict.CANNOT_TELL:
        verdict = Verdict.NOT_A_PROBLEM
    missing = (candidate.missing, *(c.missing for c in others if c is not candidate))
    fixes = tuple(f for f in candidate.fixes if not _acts(f) or verdict is not Verdict.CANNOT_TELL)
    looks = _looks(case) if verdict is Verdict.CANNOT_TELL else ()
    return Diagnosis(
        verdict=verdict,
        root_cause=candidate.root_cause,
        confidence=confidence,
        cause_id=candidate.id,
        runbook=candidate.cause.runbook,
        cites=candidate.cites,
        missing=()
        if verdict is Verdict.CAUSE_FOUND
        else _missing(case, [text for texts in missing for text in texts]),
        fixes=_distinct((*fixes, *looks)),
    )


def _together(case: Case, certain: tuple[Candidate, ...], confidence: float) -> Diagnosis:
    """Each of them is true, so each is said; the first names the answer."""
    first, *others = certain[:MOST_CANDIDATES]
    answer = _answer(case, first, Verdict.LIKELY, confidence, ())
    also = " ".join(c.root_cause for c in others)
    return replace(
        answer,
        root_cause=f"{first.root_cause} Also found: {also}",
        cites=tuple(dict.fromkeys(i for c in (first, *others) for i in c.cites))[:MOST_CITES],
        missing=_missing(case, ()),
        fixes=_distinct([f for c in (first, *others) for f in c.fixes]),
    )


def _is_gone(case: Case) -> bool:
    """Whether the cluster says that what a person would act on is not there. The pods of an owner
    come and go, and say nothing of it."""
    subject = (case.subject.resource_kind, case.subject.namespace, case.subject.name)
    seen = (e.facts for e in case.collected.evidence if isinstance(e.facts, ObjectFacts))
    return any((f.kind, f.namespace, f.name) == subject and f.exists is False for f in seen)


def _of_the_past(case: Case, diagnosis: Diagnosis) -> Diagnosis:
    """It was deleted after K8sGPT had looked: what was wrong rests on K8sGPT's words alone, and
    nothing of it can be changed."""
    found = diagnosis.verdict is Verdict.CAUSE_FOUND
    return replace(
        diagnosis,
        verdict=Verdict.LIKELY if found else diagnosis.verdict,
        root_cause=f"{case.subject} does not exist any more. When K8sGPT looked: {diagnosis.root_cause}",
        confidence=min(diagnosis.confidence, CONFIDENCE[Standing.SLIGHT]),
        fixes=tuple(f for f in diagnosis.fixes if not _acts(f)),
    )


def _acts(fix: Fix) -> bool:
    return fix.action not in {FixAction.INSPECT, FixAction.ADVISE}


def _tie(case: Case, tied: tuple[Candidate, ...], confidence: float) -> Diagnosis:
    titles = "; ".join(c.cause.title for c in tied[:MOST_CANDIDATES])
    return Diagnosis(
        verdict=Verdict.CANNOT_TELL,
        root_cause=f"What is known fits several causes equally well: {titles}.",
        confidence=confidence,
        cites=tuple(
            sorted({i for c in tied for i in c.cites}, key=_by_number),
        )[:MOST_CITES],
        missing=_missing(case, [text for c in tied for text in c.missing]),
        fixes=_looks(case),
    )


def _nothing(case: Case) -> Diagnosis:
    # What K8sGPT says stands beside it wherever a diagnosis is shown.
    said = "" if case.errors else " K8sGPT gave no error text."
    return Diagnosis(
        verdict=Verdict.CANNOT_TELL,
        root_cause=f"No playbook explains what is wrong with {case.subject}.{said}",
        confidence=0.0,
        missing=_missing(case, ["The state, the events and the log of the object"]),
        fixes=_looks(case),
    )


def _missing(case: Case, texts: Sequence[str]) -> tuple[str, ...]:
    unread = case.collected.missing
    if not case.collected.evidence and not unread:
        unread = ("The cluster was not read: this rests on K8sGPT's text alone",)
    return tuple(dict.fromkeys((*texts, *unread)))[:MOST_MISSING]


def _distinct(fixes: Sequence[Fix]) -> tuple[Fix, ...]:
    seen: dict[str, Fix] = {}
    for fix in fixes:
        seen.setdefault(fix.command or fix.title, fix)
    return tuple(seen.values())[:MOST_FIXES]


def _looks(case: Case) -> tuple[Fix, ...]:
    """Where a person would look next when the cause is open: reading commands only."""
    about = case.findings[0].object if case.findings else case.subject
    kind = about.resource_kind
    if not kind.isalpha() or not about.name:
        return ()
    target = ObjectRef(kind, about.name.partition("/")[0], about.namespace)
    plans = [FixPlan(f"Read the state and the events of {kind} {target.path}", *_LOOK)]
    if kind == "Pod":
        plans.append(
            FixPlan(
                "Read what the container wrote before it ended",
                *_LOOK,
                parameters={"look": "previous_logs"},
            )
        )
    values = Values(View((), {}, ()), {})
    return tuple(render(plan, values, case.subject, target) for plan in plans)


_LOOK = (FixAction.INSPECT, Risk.NONE, "object")
