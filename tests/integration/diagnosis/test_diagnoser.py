"""The diagnoser against the fake Ollama: rounds, limits, the ledger, and what is left of lies."""

import asyncio
import re
from dataclasses import replace

import pytest

from aegis_sink.diagnosis.circuit import Circuit
from aegis_sink.diagnosis.diagnoser import (
    MOST_WAITING,
    Call,
    Diagnoser,
    Outcome,
    Trust,
    unanswered,
)
from aegis_sink.diagnosis.errors import AnswerInvalid, ModelRefused, ModelUnavailable
from aegis_sink.diagnosis.model import Ask, LLMOptions, Reply
from aegis_sink.diagnosis.ollama import OllamaModel
from aegis_sink.diagnosis.standing import Standing
from aegis_sink.diagnosis.wire import Wire
from aegis_sink.model import Verdict
from tests.fakes.diagnosis_cases import answer_text, assessed, crashing, make_case
from tests.fakes.ollama import Fails, FakeOllama, NeverDone, Says, Silent

REFUSED = "dial tcp 10.3.2.1:5432: connect: connection refused"


async def _no_wait(_: float) -> None:
    pass


class Rig:
    """A diagnoser and what it reported."""

    def __init__(
        self, ollama: FakeOllama, trust: Trust = Trust.TIEBREAK, **changes: object
    ) -> None:
        settings = {"first_byte_timeout": 5.0, "idle_timeout": 5.0, "deadline": 10.0, **changes}
        options = LLMOptions(url=ollama.url, **settings)  # type: ignore[arg-type]
        self.calls: list[Call] = []
        self.now = 0.0
        self.circuit = Circuit(clock=lambda: self.now)
        self.diagnoser = Diagnoser(
            OllamaModel(options, wire=Wire(options, sleep=_no_wait)),
            options,
            trust=trust,
            observe=self.calls.append,
            fence=lambda: "f3nce",
            circuit=self.circuit,
        )


async def test_a_model_that_agrees_adds_its_proved_prose(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing("starting", REFUSED))
    assessment = assessed(case)
    ollama.script.append(
        Says(
            answer_text(
                cause="dependency-unreachable",
                explanation="The log ends with a refused connection to 10.3.2.1:5432.",
                quotes=["E2: connection refused"],
            )
        )
    )
    rig = Rig(ollama)
    told = await rig.diagnoser.ask(case, assessment)
    await rig.diagnoser.close()
    assert told.cause_id == "dependency-unreachable"
    assert told.explanation == "The log ends with a refused connection to 10.3.2.1:5432."
    assert "E2" in told.cites
    assert told.confidence == assessment.diagnosis.confidence
    assert told.model == "llama3.2:latest"
    assert (told.prompt_tokens > 200, told.answer_tokens) == (True, 40)
    assert rig.calls[0].outcome is Outcome.OK


async def test_an_unusable_answer_gets_one_repair_round_in_the_same_conversation(
    ollama: FakeOllama,
) -> None:
    case = make_case(seen=crashing(REFUSED))
    ollama.script.extend([Says('{"cause": "database"}'), Says(answer_text())])
    rig = Rig(ollama)
    told = await rig.diagnoser.ask(case, assessed(case))
    await rig.diagnoser.close()
    assert [m["role"] for m in ollama.chats[1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert "cannot be used" in ollama.chats[1]["messages"][3]["content"]
    assert told.answer_tokens == 80
    assert rig.calls[0].outcome is Outcome.REPAIRED


async def test_two_unusable_answers_leave_the_playbooks_answer(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing(REFUSED))
    assessment = assessed(case)
    ollama.default = Says("I think it is the database.")
    rig = Rig(ollama)
    with pytest.raises(AnswerInvalid) as invalid:
        await rig.diagnoser.ask(case, assessment)
    await rig.diagnoser.close()
    assert len(ollama.chats) == 2
    left = unanswered(assessment, invalid.value)
    assert replace(left, model_note="") == replace(assessment.diagnosis, model_note="")
    assert left.model_note.startswith("the model did not answer")
    assert rig.calls[0].outcome is Outcome.INVALID


@pytest.mark.parametrize("turn", [Says(answer_text(), done_reason="length"), NeverDone("500, 500")])
async def test_a_cut_answer_is_never_read_and_asked_once_more_with_more_room(
    ollama: FakeOllama, turn: Says | NeverDone
) -> None:
    case = make_case(seen=crashing(REFUSED))
    ollama.script.extend([turn, Says(answer_text())])
    rig = Rig(ollama)
    await rig.diagnoser.ask(case, assessed(case))
    await rig.diagnoser.close()
    rooms = [body["options"]["num_predict"] for body in ollama.chats]
    assert rooms[1] == 2 * rooms[0]


async def test_a_server_that_cut_the_prompt_is_not_believed(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing(*(f"line {n} of a long story" for n in range(400)), REFUSED))
    ollama.knows_truncate, ollama.window = False, 512
    ollama.default = Says(answer_text())
    rig = Rig(ollama)
    with pytest.raises(ModelRefused, match="AEGIS_LLM_NUM_CTX"):
        await rig.diagnoser.ask(case, assessed(case))
    await rig.diagnoser.close()
    assert rig.calls[0].outcome is Outcome.TRUNCATED


class Mute:
    """A model that never answers, without a socket: for virtual time."""

    name = "mute"

    async def answer(self, _: Ask) -> Reply:
        """Nothing, for ever."""
        await asyncio.Event().wait()
        raise AssertionError

    async def warm_up(self) -> None:
        """Nothing."""

    async def status(self) -> str:
        """Nothing."""
        return ""

    async def close(self) -> None:
        """Nothing."""


@pytest.mark.looptime
async def test_a_question_that_waited_half_its_time_is_shed() -> None:
    case = make_case(seen=crashing(REFUSED))
    assessment = assessed(case)
    calls: list[Call] = []
    clock = asyncio.get_running_loop().time
    diagnoser = Diagnoser(Mute(), LLMOptions(deadline=600), observe=calls.append, clock=clock)
    asking = [diagnoser.ask(case, assessment) for _ in range(2)]
    errors = await asyncio.gather(*asking, return_exceptions=True)
    assert ["AEGIS_LLM_CONCURRENCY" in str(error) for error in errors] == [False, True]
    assert [call.outcome for call in calls] == [Outcome.SHED, Outcome.TIMEOUT]
    assert [call.queue_seconds for call in calls] == pytest.approx([300, 0], abs=1)


async def test_the_ledger_holds_what_the_server_tells_of_its_work(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing(REFUSED))
    ollama.script.append(Says(answer_text(), prompt_tokens=2048))
    rig = Rig(ollama, num_ctx=8192)
    await rig.diagnoser.ask(case, assessed(case))
    await rig.diagnoser.close()
    (call,) = rig.calls
    assert call.load_seconds == pytest.approx(0.5)
    assert call.answer_seconds == pytest.approx(1.25)
    assert call.window_used == pytest.approx(0.25)


async def test_no_more_questions_run_at_once_than_are_allowed(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing(REFUSED))
    ollama.default = Says(answer_text())
    rig = Rig(ollama, concurrency=2)
    ollama.gate.clear()
    asking = [asyncio.create_task(rig.diagnoser.ask(case, assessed(case))) for _ in range(6)]
    async with asyncio.timeout(5):
        await ollama.arrivals.acquire()
        await ollama.arrivals.acquire()
    ollama.gate.set()
    await asyncio.gather(*asking)
    await rig.diagnoser.close()
    assert ollama.most_at_once == 2
    assert len(ollama.chats) == 6


async def test_a_long_queue_sheds_instead_of_growing(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing(REFUSED))
    assessment = assessed(case)
    ollama.default = Silent()
    rig = Rig(ollama)
    waiting = [
        asyncio.create_task(rig.diagnoser.ask(case, assessment)) for _ in range(MOST_WAITING + 1)
    ]
    await ollama.arrived.wait()
    with pytest.raises(ModelUnavailable, match="waiting for the model"):
        await rig.diagnoser.ask(case, assessment)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await rig.diagnoser.close()
    assert rig.calls[0].outcome is Outcome.SHED


async def test_the_deadline_covers_everything(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing(REFUSED))
    ollama.default = Silent()
    rig = Rig(ollama, deadline=0.2)
    with pytest.raises(ModelUnavailable, match="AEGIS_LLM_DEADLINE"):
        await rig.diagnoser.ask(case, assessed(case))
    await rig.diagnoser.close()
    assert rig.calls[0].outcome is Outcome.TIMEOUT


async def test_a_server_that_is_silent_until_the_deadline_rests_too(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing(REFUSED))
    ollama.default = Silent()
    rig = Rig(ollama, deadline=0.1)
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            await rig.diagnoser.ask(case, assessed(case))
    assert rig.circuit.state == "open"
    with pytest.raises(ModelUnavailable, match="no answer in time"):
        await rig.diagnoser.ask(case, assessed(case))
    await rig.diagnoser.close()


async def test_after_three_failures_the_server_rests_and_one_probe_goes_first(
    ollama: FakeOllama,
) -> None:
    case = make_case(seen=crashing(REFUSED))
    assessment = assessed(case)
    ollama.default = Fails(500, "load failed")
    rig = Rig(ollama)
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            await rig.diagnoser.ask(case, assessment)
    asked = len(ollama.chats)
    with pytest.raises(ModelUnavailable, match="next try") as rests:
        await rig.diagnoser.ask(case, assessment)
    # This stays in a message for hours: the reason belongs there, the seconds that are left do not.
    assert "load failed" in str(rests.value)
    assert not re.search(r"\d+ s\b", str(rests.value))
    assert len(ollama.chats) == asked
    assert rig.calls[-1].outcome is Outcome.OPEN
    assert "circuit open" in await rig.diagnoser.status()
    rig.now += 60
    ollama.default = Says(answer_text())
    await rig.diagnoser.ask(case, assessment)
    assert rig.circuit.state == "closed"
    await rig.diagnoser.close()


async def test_the_key_is_stable_and_changes_with_model_and_trust(ollama: FakeOllama) -> None:
    assessment = assessed(make_case(seen=crashing(REFUSED)))
    keys = {
        Rig(ollama).diagnoser.key(assessment),
        Rig(ollama).diagnoser.key(assessment),
        Rig(ollama, model="qwen3:4b").diagnoser.key(assessment),
        Rig(ollama, trust=Trust.CHOOSE).diagnoser.key(assessment),
    }
    assert len(keys) == 3


async def test_a_model_breaks_a_tie(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing("lookup vault: no such host", "invalid credentials", "bye"))
    assessment = assessed(case)
    assert assessment.standing is Standing.NARROW
    assert assessment.diagnosis.verdict is Verdict.CANNOT_TELL
    ollama.script.append(Says(answer_text(cause="dependency-login-refused")))
    rig = Rig(ollama)
    told = await rig.diagnoser.ask(case, assessment)
    await rig.diagnoser.close()
    assert (told.cause_id, told.verdict) == ("dependency-login-refused", Verdict.LIKELY)
    assert told.confidence <= 0.5
    assert "broke the tie" in told.model_note


async def test_a_hypothesis_needs_a_proved_quote_and_has_no_fix(ollama: FakeOllama) -> None:
    case = make_case(seen=crashing("the moon is in the wrong house"))
    assessment = assessed(case)
    assert assessment.diagnosis.verdict is Verdict.CANNOT_TELL
    own = {"cause": "other", "own_cause": "The program dislikes where the moon stands."}
    ollama.script.append(Says(answer_text(**own, quotes=["E2: the sun is shining"])))
    ollama.script.append(Says(answer_text(**own, quotes=["E2: the moon is in the wrong house"])))
    rig = Rig(ollama)
    unproved = await rig.diagnoser.ask(case, assessment)
    proved = await rig.diagnoser.ask(case, assessment)
    await rig.diagnoser.close()
    assert not unproved.hypothesis
    assert unproved.root_cause == assessment.diagnosis.root_cause
    assert proved.hypothesis
    assert proved.verdict is Verdict.CANNOT_TELL
    assert proved.confidence <= 0.3
    assert not any(fix.runnable for fix in proved.fixes)
