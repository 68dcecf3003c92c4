"""Diagnosis and Fix: what AEGIS Sink says about an incident."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aegis_sink.model.objects import ObjectRef


class Verdict(StrEnum):
    """How far a diagnosis goes."""

    CAUSE_FOUND = "cause_found"
    LIKELY = "likely"
    CANNOT_TELL = "cannot_tell"
    NOT_A_PROBLEM = "not_a_problem"


class Risk(StrEnum):
    """What a fix may break."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class FixAction(StrEnum):
    """The closed set of things a fix can be. Code renders a command for each; a model never does."""

    SET_IMAGE = "set_image"
    SET_RESOURCES = "set_resources"
    SET_ENV = "set_env"
    PATCH = "patch"
    CREATE = "create"
    ROLL_BACK = "roll_back"
    RESTART = "restart"
    SCALE = "scale"
    LABEL = "label"
    INSPECT = "inspect"
    ADVISE = "advise"


class CheckStatus(StrEnum):
    """What the API server said of a fix."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class FixCheck:
    """The check of a fix (server-side dry-run), with the server's words or why there was none."""

    status: CheckStatus = CheckStatus.NOT_CHECKED
    reason: str = "nothing tried it on the cluster"


@dataclass(frozen=True, slots=True)
class Fix:
    """A structured change.

    `command` was rendered from the structure by code and is "" for advice without one; it may
    hold placeholders in angle brackets, which `runnable` then says. `patch` is a JSON merge or
    strategic patch as text, None where the action has none.
    """

    title: str
    action: FixAction
    target: ObjectRef
    risk: Risk
    command: str = ""
    patch: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    runnable: bool = False
    check: FixCheck = FixCheck()


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A cause that was considered and why it is not the one."""

    cause_id: str
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why, with proof, and what to do.

    `confidence` is 0..1, computed by code from the evidence; a model may only lower it.
    `cites` are Evidence ids. `missing` is what to look at next. `model` is "" when no model took
    part, and `model_note` then says why in one line a person can read ("the model did not answer:
    …", "settled without a model"). `hypothesis` marks a cause that a model proposed by itself.
    `explanation` is the model's checked prose, "" without one. `runbook` is an address of the
    playbooks or the settings, "" without one.
    """

    verdict: Verdict
    root_cause: str
    confidence: float
    cause_id: str = ""
    ruled_out: tuple[RuledOut, ...] = ()
    cites: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    explanation: str = ""
    objection: str = ""
    hypothesis: bool = False
    model: str = ""
    model_note: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    runbook: str = ""

    @property
    def confidence_words(self) -> str:
        """The confidence as people say it."""
        if self.confidence >= 0.9:
            return "certain"
        if self.confidence >= 0.7:
            return "confident"
        if self.confidence >= 0.4:
            return "fairly likely"
        return "unsure"
