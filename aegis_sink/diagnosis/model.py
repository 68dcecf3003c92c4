"""The port to a language model: what is asked, what comes back, and which adapter does it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class LLMOptions:
    """The model settings (`AEGIS_LLM_*`). Times are seconds.

    `num_ctx` and the other options sent are constant: a change makes Ollama load the model anew.
    `token` is a bearer token for servers behind a proxy, "" for none.
    """

    api: Literal["ollama", "openai", "off"] = "ollama"
    url: str = "http://127.0.0.1:11434"
    model: str = "llama3.2:latest"
    num_ctx: int = 8192
    concurrency: int = 1
    first_byte_timeout: float = 300.0
    idle_timeout: float = 30.0
    deadline: float = 600.0
    token: str = field(default="", repr=False)
    allow_cloud: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: the conversation, the JSON Schema of the answer, and how long it may be."""

    messages: tuple[Message, ...]
    schema: Mapping[str, object]
    max_tokens: int

    @property
    def characters(self) -> int:
        """Of all messages together."""
        return sum(len(m.text) for m in self.messages)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `cut` means it stopped at `max_tokens`. Token counts and seconds are 0 where not
    told; `answer_seconds` is the time the answer's tokens took."""

    text: str
    cut: bool = False
    prompt_tokens: int = 0
    answer_tokens: int = 0
    load_seconds: float = 0.0
    answer_seconds: float = 0.0


class Model(Protocol):
    """A model behind a wire. Raises ModelUnavailable, ModelRefused, AnswerInvalid (errors.py)."""

    @property
    def name(self) -> str:
        """The model's name as it was configured."""
        ...

    async def answer(self, ask: Ask) -> Reply:
        """Ask once."""
        ...

    async def warm_up(self) -> None:
        """Have the model loaded with the same options as `answer` uses."""
        ...

    async def status(self) -> str:
        """One line for a person: what is there and what to do. Never raises."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
