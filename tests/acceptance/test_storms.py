"""Very many Results at once: what people and the model get of it."""

import os
from pathlib import Path

import pytest

from tests.acceptance.timeline import LONG, Timeline
from tests.fakes.diagnosis_cases import answer_text
from tests.fakes.ollama import Says
from tests.fakes.small_cluster import Problem

STORM = 2000
STEADY_MIB = 200
"""Some 90 are usual, and the cluster, the Slack and the operator of this test are among them."""


def resident_mib() -> float:
    """What this process holds in memory, the fakes and the whole program among it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def failing(number: int) -> Problem:
    """A Deployment that nobody can look at: its objects are gone."""
    path = f"team-{number % 40}/app{number:05}"
    text = f"Deployment {path} has 1 replicas but 0 are available with status running"
    return Problem("Deployment", path, (text,))


@pytest.mark.skipif(not os.environ.get("AEGIS_TEST_LONG"), reason=LONG)
@pytest.mark.timeout(1200)
def test_two_thousand_results_at_once_are_few_messages_and_few_questions(
    timeline: Timeline,
) -> None:
    timeline.cluster.more += [failing(number) for number in range(STORM)]
    timeline.answer = Says(answer_text())
    timeline.settings["llm_always_ask"] = "true"
    timeline.shielded = True  # the webhook brings none of them
    timeline.check = lambda: None  # type: ignore[method-assign]
    before = resident_mib()
    timeline.run("2m")
    assert resident_mib() - before < STEADY_MIB
    roots = [told for told in timeline.told if told.kind == "root"]
    [digest] = [told for told in timeline.told if told.kind == "digest"]
    assert len(roots) + 1 <= 10
    assert timeline.model is not None
    assert 1 <= len(timeline.model.chats) <= 5
    assert len(timeline.incidents) == STORM
    assert digest.subject == f"{STORM - len(roots)} problems"
    assert {len(one["notices"]) for one in timeline.incidents} <= {1, 2}
