"""A strict fake of Ollama's HTTP contract (facts/ollama.md §3), for every fault a client meets.

It refuses what Ollama does not know, counts tokens the way Ollama reports them, and plays what a
test puts into `script`: one entry for each POST /api/chat with messages. Any tier may use it:

    async with serve_ollama() as ollama:
        ollama.script.append(Says('{"cause": …}'))
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from aiohttp import web

CHARACTERS_PER_TOKEN = 3.0
KNOWN_FIELDS = frozenset(
    [
        "model",
        "messages",
        "stream",
        "format",
        "options",
        "keep_alive",
        "think",
        "tools",
        "truncate",
        "shift",
        "logprobs",
        "top_logprobs",
    ]
)
KNOWN_OPTIONS = frozenset(
    [
        "num_ctx",
        "num_predict",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "seed",
        "stop",
        "repeat_penalty",
        "num_keep",
        "num_gpu",
        "num_thread",
        "num_batch",
    ]
)


@dataclass(frozen=True)
class Says:
    """An answer in chunks. `prompt_tokens` None: counted from the prompt."""

    text: str
    done_reason: str = "stop"
    thinking: str = ""
    prompt_tokens: int | None = None
    answer_tokens: int = 40


@dataclass(frozen=True)
class Fails:
    """An error status with Ollama's body."""

    status: int
    error: str


@dataclass(frozen=True)
class Silent:
    """Nothing is sent until the client hangs up: a cold load, or a queue before this request."""


@dataclass(frozen=True)
class Stalls:
    """A first token, then silence until the client hangs up."""


@dataclass(frozen=True)
class NeverDone:
    """A stream that ends without `done: true`: a token was repeated more than 30 times."""

    text: str = "500, 500, 500,"


@dataclass(frozen=True)
class ErrorInside:
    """An error line inside a 200 stream."""

    error: str = "model runner has unexpectedly stopped"


@dataclass(frozen=True)
class Drops:
    """The connection ends in the middle of the stream."""


@dataclass(frozen=True)
class Floods:
    """Tokens without end."""


@dataclass(frozen=True)
class Garbage:
    """A line which is not JSON (a proxy's error page with status 200)."""


Turn: TypeAlias = (
    "Says | Fails | Silent | Stalls | NeverDone | ErrorInside | Drops | Floods | Garbage"
)


@dataclass
class FakeOllama:
    """The fake's knobs and what it saw."""

    models: set[str] = field(default_factory=lambda: {"llama3.2:latest"})
    thinking_models: set[str] = field(default_factory=set)
    script: deque[Turn] = field(default_factory=deque)
    default: Turn = field(default_factory=lambda: Fails(500, "the test gave no turn"))
    chats: list[dict[str, Any]] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)
    hangups: int = 0
    trained: int = 131_072
    """The context length the model was trained for."""
    window: int | None = None
    """What is really allocated, when it is not the num_ctx that was asked."""
    knows_truncate: bool = True
    """False for servers before 0.12.6: they cut a long prompt in silence."""
    allowed_hosts: frozenset[str] | None = None
    url: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    arrivals: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Released once for each question: acquire it to wait for the n-th."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared by a test to hold every answer back."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._host_check])
        app.router.add_get("/", self._root)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/chat", self._chat)
        return app

    @web.middleware
    async def _host_check(self, request: web.Request, handler: Any) -> web.StreamResponse:
        host = request.host.partition(":")[0]
        if self.allowed_hosts is not None and host not in self.allowed_hosts:
            return web.Response(status=403)
        response: web.StreamResponse = await handler(request)
        return response

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.33.0"})

    async def _tags(self, _: web.Request) -> web.Response:
        models = [{"name": m, "model": m, "digest": f"{abs(hash(m)):x}"} for m in self.models]
        return web.json_response({"models": models})

    async def _show(self, request: web.Request) -> web.Response:
        model = (await request.json())["model"]
        info = {"general.architecture": "llama", "llama.context_length": self.trained}
        if model not in self.models:
            return _error(404, f"model '{model}' not found")
        able = ["completion", "thinking"] if model in self.thinking_models else ["completion"]
        return web.json_response({"model_info": info, "capabilities": able})

    async def _ps(self, _: web.Request) -> web.Response:
        loaded = [
            {"name": body["model"], "context_length": self._allocated(body)}
            for body in (*self.loads, *self.chats)[-1:]
        ]
        return web.json_response({"models": loaded})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        wrong = self._refusal(body)
        if wrong is not None:
            return _error(*wrong)
        if not body["messages"]:
            self.loads.append(body)
            return web.json_response({"model": body["model"], "done": True, "done_reason": "load"})
        self.chats.append(body)
        self.arrived.set()
        self.arrivals.release()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            turn = self.script.popleft() if self.script else self.default
            return await self._play(turn, request, body)
        finally:
            self.at_once -= 1

    def _refusal(self, body: Mapping[str, Any]) -> tuple[int, str] | None:
        """What Ollama answers to a request it does not take; None for a good one."""
        if unknown := set(body) - KNOWN_FIELDS:
            return 400, f"unknown fields {sorted(unknown)}"
        if unknown := set(body.get("options", {})) - KNOWN_OPTIONS:
            return 400, f"unknown options {sorted(unknown)}"
        model = str(body.get("model", ""))
        if not model:
            return 400, "model is required"
        tagged = model if ":" in model.rpartition("/")[2] else f"{model}:latest"
        if tagged not in self.models:
            return 404, f"model '{model}' not found"
        if body.get("think") is True and tagged not in self.thinking_models:
            return 400, f'"{model}" does not support thinking'
        shape = body.get("format")
        if shape is not None and shape != "json" and not isinstance(shape, dict):
            return 500, "invalid format"
        if any(
            set(m) - {"role", "content", "thinking", "images", "tool_calls"}
            for m in body["messages"]
        ):
            return 400, "invalid message"
        over = self._tokens(body) > self._allocated(body)
        if over and self.knows_truncate and body.get("truncate") is False:
            inner = {
                "error": {"code": 400, "message": "request exceeds the available context size"}
            }
            return 400, json.dumps(inner)
        return None

    def _allocated(self, body: Mapping[str, Any]) -> int:
        return self.window or int(body.get("options", {}).get("num_ctx", 4096))

    def _tokens(self, body: Mapping[str, Any]) -> int:
        return int(sum(len(m["content"]) for m in body["messages"]) / CHARACTERS_PER_TOKEN)

    def _evaluated(self, body: Mapping[str, Any]) -> int:
        tokens, window = self._tokens(body), self._allocated(body)
        return tokens if tokens <= window else window // 2 + 2

    async def _play(
        self, turn: Turn, request: web.Request, body: Mapping[str, Any]
    ) -> web.StreamResponse:
        if isinstance(turn, Fails):
            return _error(turn.status, turn.error)
        if isinstance(turn, Silent):
            await self._until_hangup(request)
            return web.Response(status=499)
        stream = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await stream.prepare(request)
        match turn:
            case Says():
                await self._say(stream, turn, body)
            case Stalls():
                await _line(stream, _delta(body, "{"))
                await self._until_hangup(request)
            case NeverDone(text):
                await _line(stream, _delta(body, text))
            case ErrorInside(error):
                await _line(stream, _delta(body, "{"))
                await _line(stream, {"error": error})
            case Drops():
                await _line(stream, _delta(body, "{"))
                assert request.transport is not None
                request.transport.abort()
            case Floods():
                try:
                    while not self.closing.is_set():
                        await _line(stream, _delta(body, "x" * 8192))
                except ConnectionError:
                    self.hangups += 1
            case Garbage():
                await stream.write(b"<html>gateway</html>\n")
        return stream

    async def _say(self, stream: web.StreamResponse, turn: Says, body: Mapping[str, Any]) -> None:
        model = str(body["model"])
        thinks = model in self.thinking_models and body.get("think", True) is not False
        if turn.thinking or thinks:
            chunk = _delta(body, "")
            chunk["message"]["thinking"] = turn.thinking or turn.text
            await _line(stream, chunk)
        for start in range(0, len(turn.text), 40):
            await _line(stream, _delta(body, turn.text[start : start + 40]))
        evaluated = self._evaluated(body) if turn.prompt_tokens is None else turn.prompt_tokens
        last = _delta(body, "") | {
            "done": True,
            "done_reason": turn.done_reason,
            "total_duration": 2_000_000_000,
            "load_duration": 500_000_000,
            "eval_count": turn.answer_tokens,
            "eval_duration": 1_250_000_000,
        }
        if evaluated:
            last["prompt_eval_count"] = evaluated
        await _line(stream, last)

    async def _until_hangup(self, request: web.Request) -> None:
        while not self.closing.is_set():
            if request.transport is None or request.transport.is_closing():
                self.hangups += 1
                self.gone.set()
                return
            try:
                async with asyncio.timeout(0.01):
                    await self.closing.wait()
            except TimeoutError:
                continue


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


def _delta(body: Mapping[str, Any], text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": body["model"], "created_at": "", "message": message, "done": False}


async def _line(stream: web.StreamResponse, chunk: Mapping[str, Any]) -> None:
    await stream.write(json.dumps(chunk).encode() + b"\n")


@asynccontextmanager
async def serve_ollama() -> AsyncIterator[FakeOllama]:
    """The fake on a free port of 127.0.0.1."""
    fake = FakeOllama()
    fake.gate.set()
    runner = web.AppRunner(fake.application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        fake.closing.set()
        await runner.cleanup()


@pytest.fixture
async def ollama() -> AsyncIterator[FakeOllama]:
    """The fake, for `from tests.fakes.ollama import ollama` in a conftest."""
    async with serve_ollama() as fake:
        yield fake
