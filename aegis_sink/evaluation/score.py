"""What a diagnosis of a case is worth, and the figures of many (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass

from aegis_sink.evaluation.folder import Expected, Proof, Remedy
from aegis_sink.model import Diagnosis, Evidence, Fix, Verdict

CONFIDENT = 0.7
"""From here on a diagnosis is told as sure (`Diagnosis.confidence_words`)."""


@dataclass(frozen=True, slots=True)
class Score:
    """One case. `evidence_right` and `fix_right` are None where the case asks for none."""

    name: str
    diagnosis: Diagnosis
    cause_right: bool
    evidence_right: bool | None
    fix_right: bool | None
    confidently_wrong: bool
    cannot_tell: bool
    settled: bool
    seconds: float
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures of a run. Shares are 0..1, None where nothing was asked; tokens are means over
    the cases in which a model was asked."""

    cases: int
    cause_right: float
    evidence_right: float | None
    fix_right: float | None
    confidently_wrong: int
    cannot_tell: int
    settled: float
    asked: int
    prompt_tokens: float
    answer_tokens: float
    seconds: float


def score(
    name: str,
    expected: Expected,
    diagnosis: Diagnosis,
    evidence: Sequence[Evidence],
    *,
    settled: bool,
    seconds: float,
) -> Score:
    """A diagnosis held against what is true."""
    claims = [c for c in expected.must_not_claim if _claims(diagnosis, c)]
    verdict_right = diagnosis.verdict in expected.verdicts
    named = diagnosis.cause_id in expected.causes or not expected.causes
    if diagnosis.verdict is Verdict.CANNOT_TELL:
        cause_right = verdict_right
    else:
        cause_right = verdict_right and named and not claims
    unproved = [p for p in expected.cites if not _proved(p, diagnosis, evidence)]
    unfixed = expected.fixes and not any(
        _mends(f, r) for f in diagnosis.fixes for r in expected.fixes
    )
    told = diagnosis.verdict is not Verdict.CANNOT_TELL
    sure = diagnosis.confidence >= CONFIDENT or diagnosis.verdict is Verdict.NOT_A_PROBLEM
    return Score(
        name=name,
        diagnosis=diagnosis,
        cause_right=cause_right,
        evidence_right=not unproved if expected.cites else None,
        fix_right=not unfixed if expected.fixes else None,
        confidently_wrong=told and sure and not cause_right,
        cannot_tell=not told,
        settled=settled,
        seconds=seconds,
        why=(
            *(() if verdict_right else (f"verdict {diagnosis.verdict}",)),
            *(() if cause_right or not told else (f"cause {diagnosis.cause_id or '(its own)'}",)),
            *(f"claims {c!r}" for c in claims),
            *(f"does not cite {p.source or 'evidence'} with {p.text!r}" for p in unproved),
            *(("no acceptable fix",) if unfixed else ()),
        ),
    )


def totals(scores: Sequence[Score]) -> Totals:
    """The figures of a run of at least one case."""
    asked = [s.diagnosis for s in scores if s.diagnosis.prompt_tokens]
    return Totals(
        cases=len(scores),
        cause_right=sum(s.cause_right for s in scores) / len(scores),
        evidence_right=_share([s.evidence_right for s in scores]),
        fix_right=_share([s.fix_right for s in scores]),
        confidently_wrong=sum(s.confidently_wrong for s in scores),
        cannot_tell=sum(s.cannot_tell for s in scores),
        settled=sum(s.settled for s in scores) / len(scores),
        asked=len(asked),
        prompt_tokens=_mean([d.prompt_tokens for d in asked]),
        answer_tokens=_mean([d.answer_tokens for d in asked]),
        seconds=sum(s.seconds for s in scores),
    )


def _share(known: Sequence[bool | None]) -> float | None:
    asked = [k for k in known if k is not None]
    return sum(asked) / len(asked) if asked else None


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def _claims(diagnosis: Diagnosis, claim: str) -> bool:
    if diagnosis.verdict is Verdict.CANNOT_TELL:
        return False
    return claim == diagnosis.cause_id or claim.lower() in diagnosis.root_cause.lower()


def _proved(proof: Proof, diagnosis: Diagnosis, evidence: Sequence[Evidence]) -> bool:
    return any(
        proof.source.lower() in one.source.lower() and proof.text.lower() in one.text.lower()
        for one in evidence
        if one.id in diagnosis.cites
    )


def _mends(fix: Fix, remedy: Remedy) -> bool:
    text = f"{fix.title}\n{fix.command}\n{fix.patch or ''}".lower()
    return fix.action is remedy.action and remedy.contains.lower() in text
