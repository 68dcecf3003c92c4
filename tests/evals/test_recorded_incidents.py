"""The recorded incidents of tests/evals/cases, diagnosed without a model."""

import asyncio
from pathlib import Path

import pytest

from aegis_sink.evaluation.folder import EvalCase, read_cases
from aegis_sink.evaluation.run import evaluate
from aegis_sink.evaluation.score import Score, totals
from aegis_sink.model import Verdict
from tests.fakes.diagnosis_cases import builtin

CASES = Path(__file__).parent / "cases"


@pytest.fixture(scope="module")
def cases() -> tuple[EvalCase, ...]:
    return read_cases(CASES)


@pytest.fixture(scope="module")
def scores(cases: tuple[EvalCase, ...]) -> list[Score]:
    async def all_of_them() -> list[Score]:
        return [await evaluate(case, builtin()) for case in cases]

    return asyncio.run(all_of_them())


def test_at_least_seven_of_ten_causes_are_right_without_a_model(scores: list[Score]) -> None:
    wrong = {s.name: s.why for s in scores if not s.cause_right}
    assert totals(scores).cause_right >= 0.7, wrong


def test_no_recorded_incident_that_was_understood_is_misunderstood_again(
    scores: list[Score],
) -> None:
    assert {s.name: s.why for s in scores if not s.cause_right} == {}


def test_nothing_is_said_with_confidence_that_is_wrong(scores: list[Score]) -> None:
    assert [s.name for s in scores if s.confidently_wrong] == []


def test_most_of_what_is_said_rests_on_the_right_evidence(scores: list[Score]) -> None:
    assert (totals(scores).evidence_right or 0) >= 0.7


def test_the_set_is_large_and_has_honest_and_misleading_cases(cases: tuple[EvalCase, ...]) -> None:
    honest = {Verdict.CANNOT_TELL, Verdict.NOT_A_PROBLEM}
    assert len(cases) >= 40
    assert sum(bool(case.expected.verdicts & honest) for case in cases) >= 8
    assert sum(bool(case.expected.red_herring) for case in cases) >= 6


def test_every_cause_a_case_names_is_one_of_a_playbook(cases: tuple[EvalCase, ...]) -> None:
    named = {cause for case in cases for cause in case.expected.causes}
    assert named - set(builtin().causes) == set()


def test_a_name_gives_no_cause_away(cases: tuple[EvalCase, ...]) -> None:
    words = {word for cause in builtin().causes for word in cause.split("-")}
    assert [c.name for c in cases if words & set(c.name.split("-"))] == []
