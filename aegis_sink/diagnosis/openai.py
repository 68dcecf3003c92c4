"""The OpenAI wire, POST /v1/chat/completions, for LocalAI, vLLM, llama.cpp (facts/ollama.md §3.6).

The window cannot be set on this wire: the server's own is what counts, and AEGIS_LLM_NUM_CTX must
not be larger.
"""

import json
from collections.abc import Mapping
from typing import Any

from aegis_sink.diagnosis.errors import AnswerInvalid, ModelRefused, ModelUnavailable
from aegis_sink.diagnosis.model import Ask, LLMOptions, Message, Reply
from aegis_sink.diagnosis.wire import ServerAnswered, Wire, count, error_text, read_json


class OpenAIModel:
    """One model behind an OpenAI-compatible server."""

    def __init__(self, options: LLMOptions, *, wire: Wire | None = None) -> None:
        self._options = options
        self._wire = wire or Wire(options)
        self._path = "" if options.url.rstrip("/").endswith("/v1") else "/v1"

    @property
    def name(self) -> str:
        """The model's name as it was configured."""
        return self._options.model

    async def answer(self, ask: Ask) -> Reply:
        """Ask once."""
        try:
            return await self._chat(ask)
        except ServerAnswered as error:
            raise self._meaning(error) from error

    async def warm_up(self) -> None:
        """One token: this wire has no other way to have a model loaded."""
        greeting = (Message("user", "Answer with {}."),)
        body = self._body(Ask(greeting, {"type": "object"}, max_tokens=1))
        try:
            async for _ in self._wire.stream(f"{self._path}/chat/completions", body):
                pass
        except ServerAnswered as error:
            raise self._meaning(error) from error

    async def status(self) -> str:
        """Whether the server answers and lists the model."""
        at = f"OpenAI-compatible server at {self._options.url}"
        try:
            body = await self._wire.fetch(f"{self._path}/models")
        except ServerAnswered as error:
            return f"{at}: {self._meaning(error)}"
        except ModelUnavailable as error:
            return f"{at}: {error}"
        data = body.get("data") if isinstance(body, Mapping) else None
        names = [str(m.get("id")) for m in data or () if isinstance(m, Mapping)]
        if self.name in names:
            return f"{at}: {self.name} is there"
        return f"{at}: {self.name} is not listed; it lists: {', '.join(names[:5]) or 'nothing'}"

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    def _body(self, ask: Ask) -> dict[str, object]:
        return {
            "model": self._options.model,
            "messages": [{"role": m.role, "content": m.text} for m in ask.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "seed": 1,
            "max_tokens": ask.max_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "diagnosis", "strict": True, "schema": ask.schema},
            },
        }

    async def _chat(self, ask: Ask) -> Reply:
        parts: list[str] = []
        finish, usage = "", Reply("")
        async for line in self._wire.stream(f"{self._path}/chat/completions", self._body(ask)):
            data = line.strip().removeprefix(b"data:").strip()
            if not line.startswith(b"data:") and not line.startswith(b"{"):
                continue  # comments and event names of the stream
            if data == b"[DONE]":
                break
            chunk = _chunk(data)
            if chunk.get("error"):
                raise ModelUnavailable(
                    f"the model server broke off: {error_text(json.dumps(chunk))}"
                )
            usage = _usage(chunk) or usage
            for choice in _choices(chunk):
                delta = choice.get("delta")
                if isinstance(delta, Mapping):
                    parts.append(str(delta.get("content") or ""))
                finish = choice.get("finish_reason") or finish
        if not finish:
            raise AnswerInvalid("the model's answer ended without being finished")
        return Reply(
            "".join(parts),
            cut=finish == "length",
            prompt_tokens=usage.prompt_tokens,
            answer_tokens=usage.answer_tokens,
        )

    def _meaning(self, error: ServerAnswered) -> ModelUnavailable | ModelRefused:
        status, text = error.status, error.text
        if status in {401, 403}:
            return ModelRefused(
                f"the model server refused the token ({status} {text}): AEGIS_LLM_TOKEN"
            )
        if status == 404:
            return ModelRefused(
                f"{self._options.url} knows neither {self.name} nor this path ({text}): check "
                "AEGIS_LLM_MODEL and AEGIS_LLM_URL; for Ollama set AEGIS_LLM_API=ollama"
            )
        if status == 400 and "context" in text:
            return ModelRefused(
                f"the prompt did not fit the model's window ({text}): lower AEGIS_LLM_NUM_CTX to "
                "the window the server was started with"
            )
        if status in {408, 425, 429} or status >= 500:
            return ModelUnavailable(f"the model server is not well ({status} {text})")
        return ModelRefused(f"the model server refused the request ({status} {text})")


def _chunk(data: bytes) -> Mapping[str, Any]:
    try:
        chunk = read_json(data)
    except ValueError as error:
        raise ModelUnavailable(
            f"the model server sent a line which is not JSON: {data[:80]!r}"
        ) from error
    return chunk if isinstance(chunk, Mapping) else {}


def _choices(chunk: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = chunk.get("choices")
    return [c for c in choices if isinstance(c, Mapping)] if isinstance(choices, list) else []


def _usage(chunk: Mapping[str, Any]) -> Reply | None:
    usage = chunk.get("usage")
    if not isinstance(usage, Mapping):
        return None
    return Reply(
        "",
        prompt_tokens=count(usage.get("prompt_tokens")),
        answer_tokens=count(usage.get("completion_tokens")),
    )
