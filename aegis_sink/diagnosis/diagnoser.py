"""The diagnoser: asks a model about an assessed case, checks the answer, and joins the two.

Whatever happens here, the playbooks' answer is untouched: an error means "the model added
nothing", and `unanswered` says so in the diagnosis.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from aegis_sink.diagnosis.answer import Answer, checked, read_answer
from aegis_sink.diagnosis.assess import Assessment, choose
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.circuit import Circuit
from aegis_sink.diagnosis.errors import (
    AnswerCut,
    AnswerInvalid,
    CircuitOpen,
    LLMError,
    ModelRefused,
    ModelTooSlow,
    PromptCut,
    QueueTooLong,
)
from aegis_sink.diagnosis.model import Ask, LLMOptions, Model, Reply
from aegis_sink.diagnosis.prompt import (
    ANSWER_TOKENS,
    CANNOT_TELL,
    OTHER,
    PROMPT_VERSION,
    SCHEMA_VERSION,
    build,
    repair,
)
from aegis_sink.diagnosis.standing import Standing
from aegis_sink.model import Diagnosis, Verdict

PROSE_CHARACTERS_PER_TOKEN = 3.5
LEAST_SHARE_EVALUATED = 0.6
"""A server that evaluated less than this share of the estimate has cut the prompt."""

MOST_WAITING = 16
QUEUE_SHARE = 0.5
"""Of the deadline: a question that waited longer for its turn has too little left to be answered."""

HYPOTHESIS_CONFIDENCE = 0.3
OBJECTION_FACTOR = 0.75


class Trust(StrEnum):
    """How much the model decides (`AEGIS_LLM_TRUST`)."""

    EXPLAIN = "explain"
    TIEBREAK = "tiebreak"
    CHOOSE = "choose"


class Outcome(StrEnum):
    """How a call ended, for the metrics. `truncated`: the prompt or the answer was cut. `open`: the
    circuit breaker. `shed`: the queue."""

    OK = "ok"
    REPAIRED = "repaired"
    TRUNCATED = "truncated"
    INVALID = "invalid"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    OPEN = "open"
    SHED = "shed"


@dataclass(frozen=True, slots=True)
class Call:
    """The ledger's entry for one `ask`: times in seconds, tokens over all rounds of it.

    `answer_seconds` is what the answer's tokens took, 0 where the server does not tell.
    `window_used` is the fullest prompt's share of the window, 0..1.
    """

    outcome: Outcome
    seconds: float
    queue_seconds: float = 0.0
    load_seconds: float = 0.0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    answer_seconds: float = 0.0
    window_used: float = 0.0
    dropped: int = 0


@dataclass(slots=True)
class _Ledger:
    """What one `ask` has used so far."""

    load_seconds: float = 0.0
    prompt_tokens: int = 0
    longest_prompt: int = 0
    answer_tokens: int = 0
    answer_seconds: float = 0.0
    rounds: int = 0

    def add(self, reply: Reply) -> None:
        self.rounds += 1
        self.load_seconds += reply.load_seconds
        self.prompt_tokens += reply.prompt_tokens
        self.longest_prompt = max(self.longest_prompt, reply.prompt_tokens)
        self.answer_tokens += reply.answer_tokens
        self.answer_seconds += reply.answer_seconds


def _ignore(_: Call) -> None:
    pass


class Diagnoser:
    """Asks one model, a few at a time. `observe` is told of every call (metrics)."""

    def __init__(
        self,
        model: Model,
        options: LLMOptions,
        *,
        trust: Trust = Trust.TIEBREAK,
        observe: Callable[[Call], None] = _ignore,
        fence: Callable[[], str] = lambda: secrets.token_hex(8),
        clock: Callable[[], float] = time.monotonic,
        circuit: Circuit | None = None,
    ) -> None:
        self._model = model
        self._options = options
        self._trust = trust
        self._observe = observe
        self._fence = fence
        self._clock = clock
        self._circuit = circuit or Circuit(clock=clock)
        self._slots = asyncio.Semaphore(options.concurrency)
        self._waiting = 0

    @property
    def model_name(self) -> str:
        """The configured model's name."""
        return self._model.name

    def key(self, assessment: Assessment) -> str:
        """The idempotency key of a call: the assessment's, and everything that shapes the answer.

        The model goes in by name: its digest is only known while the server answers, and a key
        that depends on that would cause a second call after a restart.
        """
        parts = (
            assessment.key,
            self._options.api,
            self._model.name,
            self._trust,
            PROMPT_VERSION,
            SCHEMA_VERSION,
        )
        return sha256("\n".join(parts).encode()).hexdigest()[:32]

    async def ask(self, case: Case, assessment: Assessment) -> Diagnosis:
        """The assessment's diagnosis with what the model adds. Raises LLMError (errors.py)."""
        ledger, started = _Ledger(), self._clock()
        queue_seconds = 0.0
        outcome, dropped = Outcome.OK, 0
        try:
            async with asyncio.timeout(self._options.deadline):
                try:
                    await self._turn()
                finally:
                    queue_seconds = self._clock() - started
                try:
                    with self._circuit.passage():
                        answer = await self._answer(case, assessment, ledger)
                finally:
                    self._slots.release()
            outcome, dropped = (Outcome.REPAIRED if ledger.rounds > 1 else outcome), answer.dropped
        except TimeoutError as error:
            outcome = Outcome.TIMEOUT
            raise ModelTooSlow(
                f"no answer within {self._options.deadline:.0f} s (AEGIS_LLM_DEADLINE)"
            ) from error
        except LLMError as error:
            outcome = _outcome(error)
            raise
        finally:
            seconds = self._clock() - started
            self._observe(
                Call(
                    outcome,
                    seconds,
                    queue_seconds,
                    ledger.load_seconds,
                    ledger.prompt_tokens,
                    ledger.answer_tokens,
                    ledger.answer_seconds,
                    ledger.longest_prompt / self._options.num_ctx,
                    dropped,
                )
            )
        return replace(
            join(case, assessment, answer, self._trust, self._model.name),
            prompt_tokens=ledger.prompt_tokens,
            answer_tokens=ledger.answer_tokens,
            seconds=seconds,
        )

    async def warm_up(self) -> None:
        """Have the model loaded. Raises LLMError; nothing depends on it having worked."""
        await self._model.warm_up()

    async def status(self) -> str:
        """One line for `/readyz` and `aegis-sink doctor`. Never raises."""
        line = await self._model.status()
        return (
            line if self._circuit.state == "closed" else f"{line} (circuit {self._circuit.state})"
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._model.close()

    async def _turn(self) -> None:
        """Wait for a slot. Raises QueueTooLong at once when many wait, or after half the deadline:
        a loaded Ollama lets requests wait without end and says nothing (facts/ollama.md §3.4)."""
        if self._slots.locked() and self._waiting >= MOST_WAITING:
            raise QueueTooLong(f"{self._waiting} questions are waiting for the model")
        longest = self._options.deadline * QUEUE_SHARE
        self._waiting += 1
        try:
            async with asyncio.timeout(longest):
                await self._slots.acquire()
        except TimeoutError as error:
            raise QueueTooLong(
                f"other questions kept the model busy for {longest:.0f} s (AEGIS_LLM_CONCURRENCY)"
            ) from error
        finally:
            self._waiting -= 1

    async def _answer(self, case: Case, assessment: Assessment, ledger: _Ledger) -> Answer:
        """One round, and one repair round when its answer cannot be used."""
        ask = build(case, assessment, fence=self._fence(), num_ctx=self._options.num_ctx)
        schema_text = json.dumps(ask.schema)
        text = ""
        try:
            text = await self._round(ask, ledger)
            return checked(read_answer(text, schema_text), case, assessment)
        except AnswerInvalid as fault:
            again = repair(ask, text, str(fault)) if text else ask
            if not text:
                # Cut or endless: the same question with more room to finish.
                again = replace(ask, max_tokens=2 * ANSWER_TOKENS)
        text = await self._round(again, ledger)
        return checked(read_answer(text, schema_text), case, assessment)

    async def _round(self, ask: Ask, ledger: _Ledger) -> str:
        reply = await self._model.answer(ask)
        ledger.add(reply)
        if reply.cut:
            # Never parsed: valid JSON around half a thought is worse than none.
            raise AnswerCut("the answer was cut off before its end")
        _whole_prompt_was_read(ask, reply, self._options.num_ctx)
        return reply.text


def unanswered(assessment: Assessment, error: LLMError) -> Diagnosis:
    """The playbooks' answer, with the line that says the model did not add to it."""
    return replace(assessment.diagnosis, model_note=f"the model did not answer: {error}")


def join(
    case: Case, assessment: Assessment, answer: Answer, trust: Trust, model_name: str
) -> Diagnosis:
    """The diagnosis after a model's checked answer. Confidence never rises above what the
    evidence gives the cause that is named."""
    before, standing = assessment.diagnosis, assessment.standing
    lead = assessment.candidates[0].id if assessment.candidates else ""
    ids = {c.id for c in assessment.candidates}
    note, diagnosis, objection = "agrees", before, answer.objection
    picked_other = answer.cause in ids and answer.cause not in {lead, before.cause_id}
    if standing is Standing.NARROW and answer.cause in ids and trust is not Trust.EXPLAIN:
        diagnosis, note = choose(case, assessment, answer.cause), "broke the tie"
        objection = ""
    elif picked_other and trust is Trust.CHOOSE and standing not in _EXACT:
        diagnosis, note = choose(case, assessment, answer.cause), "chose another cause"
        objection = ""
    elif answer.cause == OTHER and _may_propose(answer, standing, trust):
        diagnosis, note = _hypothesis(before, answer, trust), "names a cause of its own"
    elif picked_other or objection:
        title = next((c.cause.title for c in assessment.candidates if c.id == answer.cause), "")
        objection = objection or f"It takes another cause for more likely: {title}."
        factor = 0.9 if standing in _EXACT else OBJECTION_FACTOR
        diagnosis, note = replace(before, confidence=before.confidence * factor), "objects"
    elif answer.cause in {CANNOT_TELL, OTHER}:
        note = "cannot tell either" if before.verdict is Verdict.CANNOT_TELL else "adds nothing"
    cites = tuple(dict.fromkeys((*diagnosis.cites, *answer.cites)))
    dropped = f"; {answer.dropped} unproved statements were dropped" if answer.dropped else ""
    return replace(
        diagnosis,
        cites=cites,
        explanation=answer.explanation,
        objection=objection if note == "objects" else "",
        model=model_name,
        model_note=f"{model_name} {note}{dropped}",
    )


_EXACT = frozenset({Standing.CERTAIN, Standing.SEVERAL, Standing.STATED})


def _may_propose(answer: Answer, standing: Standing, trust: Trust) -> bool:
    """A cause of the model's own needs a proved quote, and a case without a better answer."""
    open_case = standing in {Standing.NONE, Standing.SYMPTOM}
    return trust is not Trust.EXPLAIN and open_case and bool(answer.own_cause and answer.cites)


def _hypothesis(before: Diagnosis, answer: Answer, trust: Trust) -> Diagnosis:
    return replace(
        before,
        verdict=Verdict.LIKELY if trust is Trust.CHOOSE else Verdict.CANNOT_TELL,
        root_cause=answer.own_cause,
        confidence=min(HYPOTHESIS_CONFIDENCE, before.confidence or HYPOTHESIS_CONFIDENCE),
        cause_id="",
        runbook="",
        hypothesis=True,
        fixes=(),
    )


def _outcome(error: LLMError) -> Outcome:
    match error:
        case PromptCut() | AnswerCut():
            return Outcome.TRUNCATED
        case ModelTooSlow():
            return Outcome.TIMEOUT
        case QueueTooLong():
            return Outcome.SHED
        case CircuitOpen():
            return Outcome.OPEN
        case ModelRefused():
            return Outcome.REFUSED
        case AnswerInvalid():
            return Outcome.INVALID
        case _:
            return Outcome.UNAVAILABLE


def _whole_prompt_was_read(ask: Ask, reply: Reply, num_ctx: int) -> None:
    """Raise PromptCut when the server cut the prompt: it answers 200 and has lost the rules
    (facts/ollama.md §3.5.1). Servers that tell no count cannot be checked."""
    if not reply.prompt_tokens:
        return
    least = ask.characters / PROSE_CHARACTERS_PER_TOKEN * LEAST_SHARE_EVALUATED
    if reply.prompt_tokens < least or reply.prompt_tokens >= num_ctx - ask.max_tokens:
        raise PromptCut(
            f"the server read {reply.prompt_tokens} tokens of a prompt of {ask.characters} "
            f"characters: its window is not AEGIS_LLM_NUM_CTX={num_ctx} (see `ollama ps`)"
        )
