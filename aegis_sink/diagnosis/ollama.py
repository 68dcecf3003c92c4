"""Ollama's native wire, POST /api/chat (facts/ollama.md §3)."""

import json
import re
from collections.abc import Mapping
from typing import Any

from aegis_sink.diagnosis.errors import AnswerInvalid, ModelRefused, ModelUnavailable
from aegis_sink.diagnosis.model import Ask, LLMOptions, Reply
from aegis_sink.diagnosis.wire import ServerAnswered, Wire, count, error_text, read_json

KEEP_ALIVE = "30m"
NANOSECONDS = 1e-9
_CLOUD = re.compile(r"[:-]cloud$", re.IGNORECASE)


class OllamaModel:
    """One model behind Ollama. Refuses names which Ollama serves from its cloud."""

    def __init__(self, options: LLMOptions, *, wire: Wire | None = None) -> None:
        if is_cloud(options.model) and not options.allow_cloud:
            raise ModelRefused(
                f"{options.model} is served by Ollama's cloud: evidence of your cluster would "
                "leave it. Choose a local model (AEGIS_LLM_MODEL)"
            )
        self._options = options
        self._wire = wire or Wire(options)
        # gpt-oss knows levels only and ignores booleans; every other thinking model thinks unless
        # told not to, and spends the answer's tokens on it (facts/ollama.md §3.5.2).
        self._think: bool | str | None = "low" if "gpt-oss" in options.model else False

    @property
    def name(self) -> str:
        """The model's name as it was configured."""
        return self._options.model

    async def answer(self, ask: Ask) -> Reply:
        """Ask once; once more without `think` where the server or the model stumbles over it."""
        try:
            reply = await self._chat(ask)
        except ServerAnswered as error:
            if error.status == 400 and "think" in error.text and self._think is not None:
                self._think = None
                return await self.answer(ask)
            raise self.meaning(error) from error
        if not reply.text.strip() and self._think is not None:
            self._think = None
            return await self.answer(ask)
        if await self._forgets_the_schema(ask, reply):
            without = await self._chat(ask, think=False)
            return without if "{" in without.text else reply
        return reply

    async def warm_up(self) -> None:
        """Load the model: an empty conversation with the same options (§3.1). Raises ModelRefused
        when it was loaded with a smaller window than was asked for, which only shows now."""
        body = self._body(()) | {"stream": False}
        try:
            await self._wire.fetch("/api/chat", body, seconds=self._options.first_byte_timeout)
            running = await self._wire.fetch("/api/ps")
        except ServerAnswered as error:
            raise self.meaning(error) from error
        small = self._window_too_small(running)
        if small:
            raise ModelRefused(small)

    async def status(self) -> str:
        """Version, whether the model is there, and the window it was really loaded with."""
        at = f"Ollama at {self._options.url}"
        try:
            version = await self._wire.fetch("/api/version")
            tags = await self._wire.fetch("/api/tags")
            running = await self._wire.fetch("/api/ps")
        except ServerAnswered as error:
            return f"{at}: {self.meaning(error)}"
        except ModelUnavailable as error:
            return f"{at}: {error}"
        here = f"{at} ({_word(version, 'version')})"
        wanted = tagged(self._options.model)
        if wanted not in {tagged(str(m.get("name"))) for m in _models(tags)}:
            return f"{here}: {self._missing()}"
        if wanted not in {tagged(str(m.get("name"))) for m in _models(running)}:
            return f"{here}: {self.name} is there, not loaded"
        return f"{here}: {self._window_too_small(running) or f'{self.name} is loaded'}"

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def _forgets_the_schema(self, ask: Ask, reply: Reply) -> bool:
        """Some servers ignore `format` for thinking models that are told not to think
        (§3.5.2): a repaired answer without any JSON, from a model that can think."""
        repaired = any(m.role == "assistant" for m in ask.messages)
        if not repaired or reply.cut or "{" in reply.text or self._think is None:
            return False
        try:
            shown = await self._wire.fetch("/api/show", {"model": self._options.model})
        except (ServerAnswered, ModelUnavailable):
            return False
        abilities = shown.get("capabilities") if isinstance(shown, Mapping) else None
        return isinstance(abilities, list) and "thinking" in abilities

    def _window_too_small(self, running: object) -> str:
        """What is wrong with the window of the loaded model, by /api/ps; "" when nothing is."""
        wanted = tagged(self._options.model)
        for one in _models(running):
            window = one.get("context_length")
            if tagged(str(one.get("name"))) != wanted or not isinstance(window, int):
                continue
            if window < self._options.num_ctx:
                return (
                    f"{self.name} is loaded with a window of {window} tokens, less than "
                    f"AEGIS_LLM_NUM_CTX={self._options.num_ctx}; lower the setting"
                )
        return ""

    async def _chat(self, ask: Ask, *, think: bool = True) -> Reply:
        messages = tuple({"role": m.role, "content": m.text} for m in ask.messages)
        body = self._body(messages) | {"format": ask.schema, "stream": True}
        if not think:
            body.pop("think", None)
        body["options"] = {**self._options_sent(), "num_predict": ask.max_tokens}
        parts: list[str] = []
        async for line in self._wire.stream("/api/chat", body):
            chunk = _chunk(line)
            if "error" in chunk:
                # After the first line errors come inside the 200 (§3.5.5).
                raise ModelUnavailable(f"Ollama broke off: {error_text(json.dumps(chunk))}")
            message = chunk.get("message")
            if isinstance(message, Mapping):
                parts.append(str(message.get("content", "")))
            if chunk.get("done") is True and chunk.get("done_reason") == "error":
                # LocalAI's way to report an error of its stream (§3.6).
                raise ModelUnavailable("the model server broke off and does not say why")
            if chunk.get("done") is True:
                return _reply("".join(parts), chunk)
        # More than 30 repeats of one token end the stream without a last line (§3.5.4).
        raise AnswerInvalid("the model's answer ended without being finished (it repeats itself)")

    def _body(self, messages: tuple[Mapping[str, str], ...]) -> dict[str, object]:
        # truncate and shift off: a prompt over the window becomes an error instead of losing its
        # beginning in silence (§3.5.1). Servers before 0.12.6 ignore both.
        body: dict[str, object] = {
            "model": self._options.model,
            "messages": list(messages),
            "keep_alive": KEEP_ALIVE,
            "truncate": False,
            "shift": False,
            "options": self._options_sent(),
        }
        if self._think is not None:
            body["think"] = self._think
        return body

    def _options_sent(self) -> dict[str, object]:
        return {"num_ctx": self._options.num_ctx, "temperature": 0, "seed": 1}

    def _missing(self) -> str:
        return f"the model {self.name} is not there: run `ollama pull {self.name}` on that server"

    def meaning(self, error: ServerAnswered) -> ModelUnavailable | ModelRefused:
        text = error.text
        if error.status == 404 and "model" in text and "not found" in text:
            return ModelRefused(self._missing())
        if error.status == 404:
            return ModelRefused(
                f"{self._options.url} has no /api/chat: it is not Ollama. For LocalAI, vLLM or "
                "llama.cpp set AEGIS_LLM_API=openai"
            )
        if error.status == 403:
            return ModelRefused(
                f"Ollama refused the request (403 {text}): bound to loopback it only accepts the "
                "Host names localhost, *.localhost, *.local and *.internal. Start it with "
                "OLLAMA_HOST=0.0.0.0, or use such a name in AEGIS_LLM_URL"
            )
        if error.status == 401:
            return ModelRefused("the model server wants a token (401): set AEGIS_LLM_TOKEN")
        if error.status == 400 and ("context" in text or "exceed" in text):
            return ModelRefused(
                f"the prompt did not fit the model's window ({text}): lower AEGIS_LLM_NUM_CTX to "
                "what the server really allocates, see `ollama ps`"
            )
        if error.status in {429, 499, 502, 503, 504}:
            return ModelUnavailable(f"Ollama is busy ({error.status} {text})")
        if error.status >= 500 and "invalid format" not in text:
            return ModelUnavailable(f"Ollama failed ({error.status} {text})")
        return ModelRefused(f"Ollama refused the request ({error.status} {text})")


def is_cloud(name: str) -> bool:
    """Whether Ollama asks its cloud for a model of this name."""
    return bool(_CLOUD.search(name))


def tagged(name: str) -> str:
    """A model's name with its tag: Ollama appends ":latest" (§3.2)."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _chunk(line: bytes) -> Mapping[str, Any]:
    try:
        chunk = read_json(line)
    except ValueError as error:
        raise ModelUnavailable(
            f"Ollama sent a line which is not JSON: {line[:80]!r}; is a proxy in between?"
        ) from error
    if not isinstance(chunk, Mapping):
        raise ModelUnavailable(f"Ollama sent a line which is no object: {line[:80]!r}")
    return chunk


def _reply(text: str, last: Mapping[str, Any]) -> Reply:
    return Reply(
        text=text,
        cut=last.get("done_reason") == "length",
        prompt_tokens=count(last.get("prompt_eval_count")),
        answer_tokens=count(last.get("eval_count")),
        load_seconds=count(last.get("load_duration")) * NANOSECONDS,
        answer_seconds=count(last.get("eval_duration")) * NANOSECONDS,
    )


def _models(body: object) -> list[Mapping[str, Any]]:
    models = body.get("models") if isinstance(body, Mapping) else None
    return [m for m in models or () if isinstance(m, Mapping)]


def _word(body: object, name: str) -> str:
    return str(body.get(name, "?")) if isinstance(body, Mapping) else "?"
