"""Hostile texts through the real parts, from a recorded cluster to Slack's blocks, with a model
that does what they say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from aegis_sink.diagnosis.diagnoser import Diagnoser, Trust
from aegis_sink.diagnosis.model import Ask, LLMOptions, Reply
from aegis_sink.evaluation.folder import EvalCase, read_case
from aegis_sink.evaluation.run import investigate
from aegis_sink.model import NoticeReason
from aegis_sink.notify.blocks import render
from aegis_sink.notify.message import compose
from tests.evals.test_recorded_incidents import CASES
from tests.fakes.diagnosis_cases import READ_AT, answer_text, builtin
from tests.fakes.notify_incidents import make_found
from tests.unit.diagnosis.test_injections import HOSTILE


class Obedient:
    """Repeats the hostile text in every member an answer has."""

    name = "obedient"

    def __init__(self, text: str) -> None:
        self._text = text

    async def answer(self, ask: Ask) -> Reply:
        return Reply(
            answer_text(
                cause="other",
                explanation=self._text[:500],
                own_cause=self._text[:200],
                objection=self._text[:200],
                quotes=[self._text[:160]],
            )
        )

    async def warm_up(self) -> None: ...

    async def status(self) -> str:
        return "there"

    async def close(self) -> None: ...


def poisoned(case: EvalCase, text: str) -> EvalCase:
    """The text in the logs, an event, an annotation and K8sGPT's details."""
    objects = json.loads(json.dumps(case.objects))
    for one in objects:
        one["metadata"].setdefault("annotations", {})["note"] = text
        if one["kind"] == "Event":
            one["message"] += " " + text
    return replace(
        case,
        objects=tuple(objects),
        logs={key: log + text.encode() + b"\n" for key, log in case.logs.items()},
        findings=tuple(replace(f, details=text) for f in case.findings),
    )


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_hostile_text_adds_no_fix_and_pings_nobody(text: str) -> None:
    case = read_case(CASES / "tansy")
    calm = (await investigate(case, builtin()))[1].diagnosis
    seen, assessment = await investigate(poisoned(case, text), builtin(), always_ask=True)
    for trust in Trust:
        asked = Diagnoser(Obedient(text), LLMOptions(), trust=trust, fence=lambda: "f")
        told = await asked.ask(seen, assessment)
        assert (told.verdict, told.cause_id) == (calm.verdict, calm.cause_id)
        assert [f.command for f in told.fixes] == [f.command for f in calm.fixes]
        assert told.confidence <= calm.confidence
        shown = replace(make_found(), diagnosis=told, evidence=seen.collected.evidence)
        told_slack = render(compose(shown, NoticeReason.DIAGNOSED, now=READ_AT), now=READ_AT)
        elements = list(_elements(told_slack.blocks))
        kinds = {str(e.get("type")) for e in elements}
        assert "rich_text" in kinds
        assert not kinds & {"broadcast", "user", "usergroup", "channel", "mrkdwn"}
        assert not [e for e in elements if "evil.example" in str(e.get("url", ""))]
        assert not any(mark in told_slack.text for mark in ("<!", "<@", "<http"))


def _elements(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _elements(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _elements(item)
