"""AEGIS_LLM_TRUST: what a model's answer may change at each level."""

import pytest

from aegis_sink.diagnosis.answer import Answer
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.diagnoser import Trust, join
from aegis_sink.model import Diagnosis, Verdict
from aegis_sink.model.facts import ContainerFacts
from tests.fakes.diagnosis_cases import assessed, crashing, evidence, make_case

TIE = make_case(seen=crashing("lookup vault: no such host", "invalid credentials", "bye"))
CLEAR = make_case(seen=crashing("invalid credentials", "lookup vault: no such host"))
SILENT = make_case(seen=crashing("bye"))
EXACT = make_case(
    seen=(
        evidence(
            1,
            "limit 256Mi, heap 512Mi",
            ContainerFacts(
                name="ledger",
                termination_reason="OOMKilled",
                exit_code=137,
                ready=False,
                memory_limit=256 << 20,
                java_max_heap=512 << 20,
            ),
        ),
    )
)


def joined(case: Case, trust: Trust, cause: str, own: str = "", cited: str = "") -> Diagnosis:
    answer = Answer(cause, "", (cited,) if cited else (), "", own, 0)
    return join(case, assessed(case), answer, trust, "m")


@pytest.mark.parametrize(
    ("trust", "told"),
    [
        (Trust.EXPLAIN, ""),
        (Trust.TIEBREAK, "dependency-login-refused"),
        (Trust.CHOOSE, "dependency-login-refused"),
    ],
)
def test_a_tie_is_broken_from_tiebreak_on(trust: Trust, told: str) -> None:
    assert joined(TIE, trust, "dependency-login-refused").cause_id == told


@pytest.mark.parametrize(
    ("trust", "told"),
    [
        (Trust.EXPLAIN, "name-not-resolved"),
        (Trust.TIEBREAK, "name-not-resolved"),
        (Trust.CHOOSE, "dependency-login-refused"),
    ],
)
def test_a_clear_lead_is_left_at_choose_only(trust: Trust, told: str) -> None:
    before = assessed(CLEAR).diagnosis
    after = joined(CLEAR, trust, "dependency-login-refused")
    assert after.cause_id == told
    assert after.confidence <= 0.5 < before.confidence
    assert bool(after.objection) is (trust is not Trust.CHOOSE)


@pytest.mark.parametrize("trust", list(Trust))
def test_an_exact_cause_is_left_by_no_model(trust: Trust) -> None:
    after = joined(EXACT, trust, "memory-limit-exceeded")
    assert after.cause_id == "jvm-heap-above-limit"
    assert after.verdict is Verdict.CAUSE_FOUND
    assert after.fixes == assessed(EXACT).diagnosis.fixes


@pytest.mark.parametrize(
    ("trust", "hypothesis"),
    [(Trust.EXPLAIN, False), (Trust.TIEBREAK, True), (Trust.CHOOSE, True)],
)
def test_a_cause_of_its_own_is_a_hypothesis_without_a_fix(trust: Trust, hypothesis: bool) -> None:
    after = joined(SILENT, trust, "other", own="It ends by itself.", cited="E2")
    assert after.hypothesis is hypothesis
    assert after.confidence <= 0.3
    if hypothesis:
        assert after.fixes == ()
        assert after.root_cause == "It ends by itself."


@pytest.mark.parametrize("trust", list(Trust))
@pytest.mark.parametrize("case", [TIE, CLEAR, SILENT, EXACT])
def test_no_answer_makes_anything_surer_than_the_evidence_does(case: Case, trust: Trust) -> None:
    assessment = assessed(case)
    most = max(0.5, assessment.diagnosis.confidence)
    for cause in (*(c.id for c in assessment.candidates), "other", "cannot_tell"):
        assert joined(case, trust, cause, own="It ends.", cited="E2").confidence <= most
