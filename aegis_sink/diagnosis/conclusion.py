"""What is answered: verdict, confidence, cause, proof, what is missing and fixes, as causes stand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.filling import Values
from aegis_sink.diagnosis.fixes import render
from aegis_sink.diagnosis.observations import View
from aegis_sink.diagnosis.playbook import FixPlan
from aegis_sink.diagnosis.standing import CONFIDENCE, STATED_LIMIT, Candidate, Standing
from aegis_sink.model import Diagnosis, Fix, FixAction, ObjectRef, Risk, Verdict
from aegis_sink.model.facts import ObjectFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aegis_sink.diagnosis.case import Case

MOST_CANDIDATES = 4
MOST_CITES = 6
MOST_MISSING = 6
MOST_FIXES = 5


def conclude(
    case: Case,
    candidates: tuple[Candidate, ...],
    standing: Standing,
    lead: tuple[Candidate, ...],
) -> Diagnosis:
    """The diagnosis of a case whose `candidates` are ranked and whose `lead` stands so."""
    diagnosis = _as_they_stand(case, candidates, standing, lead)
    return _of_the_past(case, diagnosis) if _is_gone(case) else diagnosis


def _as_they_stand(
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
            return answer_with(case, lead[0], Verdict.CANNOT_TELL, confidence, others)
        case Standing.NARROW:
            wider = _shared_parent(candidates, lead)
            if wider is not None:
                verdict = Verdict.CANNOT_TELL if wider.cause.open else Verdict.LIKELY
                return answer_with(case, wider, verdict, confidence, lead)
            if len(lead) > 1:
                return _tie(case, lead, confidence)
            return answer_with(case, lead[0], Verdict.LIKELY, confidence, ())
        case Standing.SEVERAL:
            return _together(case, lead, confidence)
        case Standing.CERTAIN:
            return answer_with(case, lead[0], Verdict.CAUSE_FOUND, confidence, ())
        case _:
            return answer_with(case, lead[0], Verdict.LIKELY, confidence, ())


def _shared_parent(
    candidates: tuple[Candidate, ...], lead: tuple[Candidate, ...]
) -> Candidate | None:
    parents = {c.cause.part_of for c in lead}
    if len(lead) < 2 or len(parents) != 1:
        return None
    return next((c for c in candidates if c.id in parents), None)


def answer_with(
    case: Case,
    candidate: Candidate,
    verdict: Verdict,
    confidence: float,
    others: Sequence[Candidate],
) -> Diagnosis:
    """The diagnosis that this candidate gives; what `others` miss is missed too."""
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
    answer = answer_with(case, first, Verdict.LIKELY, confidence, ())
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
    past = f"{case.subject} does not exist any more"
    if not diagnosis.cause_id:
        text = f"{past}: it was deleted after K8sGPT had looked."
        return replace(diagnosis, root_cause=text, missing=_missing(case, ()), fixes=())
    found = diagnosis.verdict is Verdict.CAUSE_FOUND
    return replace(
        diagnosis,
        verdict=Verdict.LIKELY if found else diagnosis.verdict,
        root_cause=f"{past}. When K8sGPT looked: {diagnosis.root_cause}",
        confidence=min(diagnosis.confidence, CONFIDENCE[Standing.SLIGHT]),
        fixes=tuple(f for f in diagnosis.fixes if not _acts(f)),
    )


def by_number(evidence_id: str) -> tuple[int, str]:
    """Orders evidence ids: E2 before E10."""
    digits = evidence_id.lstrip("E")
    return (int(digits) if digits.isdigit() else 0, evidence_id)


def _acts(fix: Fix) -> bool:
    return fix.action not in {FixAction.INSPECT, FixAction.ADVISE}


def _tie(case: Case, tied: tuple[Candidate, ...], confidence: float) -> Diagnosis:
    titles = "; ".join(c.cause.title for c in tied[:MOST_CANDIDATES])
    return Diagnosis(
        verdict=Verdict.CANNOT_TELL,
        root_cause=f"What is known fits several causes equally well: {titles}.",
        confidence=confidence,
        cites=tuple(
            sorted({i for c in tied for i in c.cites}, key=by_number),
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
