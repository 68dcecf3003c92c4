"""The model: does its server answer, has it the model, how much fits, and does it keep to a shape?"""

import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from aegis_sink.cluster.lease import pod_namespace
from aegis_sink.diagnosis.adapters import build_model
from aegis_sink.diagnosis.errors import (
    AnswerInvalid,
    LLMError,
    ModelRefused,
    ModelTooSlow,
    ModelUnavailable,
)
from aegis_sink.diagnosis.model import Ask, LLMOptions, Message, Model
from aegis_sink.diagnosis.ollama import OllamaModel, is_cloud, tagged
from aegis_sink.diagnosis.wire import ServerAnswered, Wire
from aegis_sink.doctor.check import Check, failed, ok, skipped, warning
from aegis_sink.settings import is_loopback, mask_url
from aegis_sink.unreached import TRUST_CA, UNKNOWN_CA

SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
QUESTION = 'Is water wet? Answer with JSON: {"answer": "yes"} or {"answer": "no"}.'
MOST_TOKENS = 512
"""The answer needs ten; what a model thinks before it counts too."""
SLOW_SECONDS = 60.0


async def check_model(options: LLMOptions, *, wire: Wire | None = None) -> AsyncIterator[Check]:
    """Everything about the model, one tiny question included. A cold model takes minutes."""
    if options.api == "off":
        yield skipped("model", "AEGIS_LLM_API=off: the playbooks answer alone")
        return
    wire = wire or Wire(options)
    try:
        model = build_model(replace(options))
    except ModelRefused as refused:
        yield failed("model", str(refused), "AEGIS_LLM_MODEL=llama3.2:latest")
        return
    assert model is not None
    try:
        if isinstance(model, OllamaModel):
            steps = _ollama(model, options, wire)
        else:
            steps = _openai(model, options, wire)
        async for check in steps:
            yield check
    finally:
        await model.close()
        await wire.close()


async def _ollama(model: OllamaModel, options: LLMOptions, wire: Wire) -> AsyncIterator[Check]:
    try:
        version = _member(await wire.fetch("/api/version"), "version")
        tags = await wire.fetch("/api/tags")
    except ServerAnswered as error:
        yield failed("model server", str(model.meaning(error)), _server_fix(error.status, options))
        return
    except ModelUnavailable as error:
        fix = TRUST_CA if UNKNOWN_CA in str(error) else _start(options)
        yield failed("model server", str(error), fix)
        return
    yield ok("model server", f"Ollama {version} at {options.url}")
    installed = {tagged(str(_member(m, "name"))) for m in _items(tags, "models")}
    if tagged(options.model) not in installed:
        there = ", ".join(sorted(installed)[:5]) or "none"
        yield failed(
            "model",
            f"{options.model} is not there; there is: {there}",
            f"ollama pull {options.model}   # on that server",
        )
        return
    if is_cloud(options.model):
        yield warning(
            "model",
            f"{options.model} is served by Ollama's cloud: evidence leaves the cluster",
            "AEGIS_LLM_MODEL=llama3.2:latest   # and AEGIS_LLM_ALLOW_CLOUD=false",
        )
    else:
        yield ok("model", f"{options.model} is there")
    yield await _trained(model, options, wire)
    answered = await _answer(model)
    yield answered
    if answered.fix:
        return
    yield await _allocated(model, options, wire)


async def _trained(model: OllamaModel, options: LLMOptions, wire: Wire) -> Check:
    name = "context length"
    try:
        shown = await wire.fetch("/api/show", {"model": options.model})
    except (ServerAnswered, ModelUnavailable) as error:
        return skipped(name, f"the server does not tell what the model was trained for: {error}")
    info = _member(shown, "model_info")
    members = info.items() if isinstance(info, Mapping) else ()
    trained = next((v for k, v in members if str(k).endswith(".context_length")), None)
    if not isinstance(trained, int):
        return skipped(name, "the server does not tell what the model was trained for")
    if trained < options.num_ctx:
        return failed(
            name,
            f"{options.model} was trained for {trained} tokens, AEGIS_LLM_NUM_CTX asks for "
            f"{options.num_ctx}: beyond its own length a model talks nonsense",
            f"AEGIS_LLM_NUM_CTX={trained}",
        )
    return ok(name, f"trained for {trained} tokens, AEGIS_LLM_NUM_CTX={options.num_ctx}")


async def _allocated(model: OllamaModel, options: LLMOptions, wire: Wire) -> Check:
    """The window the model was really loaded with, which only shows after a question."""
    name = "context window"
    try:
        running = await wire.fetch("/api/ps")
    except (ServerAnswered, ModelUnavailable) as error:
        return skipped(name, f"the server does not tell what it allocated: {error}")
    wanted = tagged(options.model)
    for one in _items(running, "models"):
        window = one.get("context_length")
        if tagged(str(one.get("name"))) == wanted and isinstance(window, int):
            if window < options.num_ctx:
                return failed(
                    name,
                    f"loaded with {window} tokens, less than AEGIS_LLM_NUM_CTX={options.num_ctx}: "
                    "long prompts are refused or lose their beginning",
                    f"AEGIS_LLM_NUM_CTX={window}   # or give Ollama more memory, or fewer "
                    "OLLAMA_NUM_PARALLEL",
                )
            return ok(name, f"loaded with {window} tokens")
    return skipped(name, "the server does not list the model as loaded (before Ollama 0.12)")


async def _openai(model: Model, options: LLMOptions, wire: Wire) -> AsyncIterator[Check]:
    root = "" if options.url.rstrip("/").endswith("/v1") else "/v1"
    try:
        listed = await wire.fetch(f"{root}/models")
    except ServerAnswered as error:
        if error.status in (401, 403):
            yield failed("model server", f"it refuses the token ({error})", "AEGIS_LLM_TOKEN=…")
        else:
            yield failed(
                "model server",
                f"{options.url} answers {error} to {root}/models: it speaks another language",
                "AEGIS_LLM_API=ollama   # when it is Ollama; else check AEGIS_LLM_URL",
            )
        return
    except ModelUnavailable as error:
        look = f"curl -sS {options.url.rstrip('/')}{root}/models"
        fix = TRUST_CA if UNKNOWN_CA in str(error) else look
        yield failed("model server", str(error), fix)
        return
    yield ok("model server", f"OpenAI's wire at {options.url}")
    names = [str(one.get("id")) for one in _items(listed, "data")]
    if options.model in names:
        yield ok("model", f"{options.model} is there")
    else:
        there = ", ".join(names[:5])
        yield warning(
            "model",
            f"{options.model} is not listed; there is: {there or 'none'}",
            f"AEGIS_LLM_MODEL={names[0] if names else '…'}",
        )
    yield skipped(
        "context window",
        f"this wire does not tell it; start the server with at least {options.num_ctx} tokens "
        "(AEGIS_LLM_NUM_CTX)",
    )
    yield await _answer(model)


async def _answer(model: Model) -> Check:
    """One tiny question whose answer must fit a schema."""
    name = "model answer"
    ask = Ask((Message("user", QUESTION),), SCHEMA, MOST_TOKENS)
    look = "ollama ps" if isinstance(model, OllamaModel) else "curl -sS $AEGIS_LLM_URL/v1/models"
    started = time.monotonic()
    try:
        reply = await model.answer(ask)
    except AnswerInvalid as error:
        return failed(
            name, str(error), "AEGIS_LLM_MODEL=llama3.2:latest   # a model that keeps to a shape"
        )
    except ModelTooSlow as error:
        return failed(name, str(error), f"{look}   # is it loading, or busy with others?")
    except LLMError as error:
        if "memory" in str(error):
            smaller = (
                "AEGIS_LLM_MODEL=llama3.2:1b   # a smaller model, or more memory for the server"
            )
            return failed(name, str(error), smaller)
        return failed(name, str(error), f"{look}   # and the server's own log")
    seconds = time.monotonic() - started
    said = f"{reply.text.strip()[:60]} in {seconds:.1f} s"
    if reply.cut:
        return failed(
            name,
            f"no answer within {MOST_TOKENS} tokens: it thinks, or repeats itself",
            "AEGIS_LLM_MODEL=llama3.2:latest   # a model that keeps to a shape",
        )
    if not _fits(reply.text):
        return failed(
            name,
            f"the answer does not keep to the schema it was given: {reply.text.strip()[:60]!r}",
            "update Ollama (structured outputs came with 0.5), or choose another AEGIS_LLM_MODEL",
        )
    if seconds > SLOW_SECONDS:
        return ok(name, f"{said} (a cold load; the service loads it at start and keeps it)")
    return ok(name, said)


def _fits(text: str) -> bool:
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("answer") in ("yes", "no")


def _start(options: LLMOptions) -> str:
    """What brings an Ollama to where it is looked for."""
    here = is_loopback(urlsplit(options.url).hostname or "")
    if here and pod_namespace():
        return "AEGIS_LLM_URL=http://ollama.ollama.svc:11434   # 127.0.0.1 is this pod itself"
    # An Ollama that only this machine asks is not to listen to others.
    start = "ollama serve" if here else "OLLAMA_HOST=0.0.0.0 ollama serve"
    return f"{start}   # where AEGIS_LLM_URL points; for playbooks alone: AEGIS_LLM_API=off"


def _server_fix(status: int, options: LLMOptions) -> str:
    if status == 403:
        return (
            "OLLAMA_HOST=0.0.0.0 ollama serve   # in a container: -e OLLAMA_HOST=0.0.0.0; bound "
            "to loopback Ollama checks the Host header, and a Service's name is not on its list"
        )
    if status == 401:
        return "AEGIS_LLM_TOKEN=…"
    path = urlsplit(options.url).path.rstrip("/")
    if status == 404 and path in ("/v1", "/api"):
        whole = options.url.rstrip("/").removesuffix(path)
        return f"AEGIS_LLM_URL={mask_url(whole)}   # without {path}; K8sGPT's baseUrl has it"
    if status == 404:
        return "AEGIS_LLM_API=openai   # for LocalAI, vLLM, llama.cpp"
    return f"curl -sS {options.url.rstrip('/')}/api/version"


def _items(body: Any, name: str) -> list[Mapping[str, Any]]:
    found = body.get(name) if isinstance(body, Mapping) else None
    return [one for one in found or () if isinstance(one, Mapping)]


def _member(body: Any, name: str) -> Any:
    return body.get(name, "?") if isinstance(body, Mapping) else "?"
