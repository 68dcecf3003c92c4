"""A small fake of an OpenAI-compatible server (llama.cpp's shapes, facts/ollama.md §1b)."""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Completes:
    """An answer with how it ended; `finish` "" leaves the end out."""

    text: str
    finish: str = "stop"
    usage: bool = True


@dataclass(frozen=True)
class Refuses:
    """An error status with the shape of OpenAI's errors."""

    status: int
    message: str


@dataclass
class FakeOpenAI:
    """What it plays, and what it saw."""

    script: deque[Completes | Refuses] = field(default_factory=deque)
    chats: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    error_inside: str = ""
    url: str = ""

    async def models(self, _: web.Request) -> web.Response:
        """GET /v1/models."""
        return web.json_response({"object": "list", "data": [{"id": "small", "object": "model"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        self.chats.append(await request.json())
        self.tokens.append(request.headers.get("Authorization", ""))
        turn = self.script.popleft()
        if isinstance(turn, Refuses):
            error = {"code": turn.status, "message": turn.message, "type": "invalid_request_error"}
            return web.json_response({"error": error}, status=turn.status)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b": ping\n\n")
        for start in range(0, len(turn.text), 30):
            await _event(
                stream, {"choices": [{"delta": {"content": turn.text[start : start + 30]}}]}
            )
        if self.error_inside:
            await _event(stream, {"error": {"message": self.error_inside}})
        if turn.finish:
            await _event(stream, {"choices": [{"delta": {}, "finish_reason": turn.finish}]})
        if turn.usage:
            usage = {"prompt_tokens": 900, "completion_tokens": 30}
            await _event(stream, {"choices": [], "usage": usage})
        await stream.write(b"data: [DONE]\n\n")
        return stream


async def _event(stream: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await stream.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


@asynccontextmanager
async def serve_openai() -> AsyncIterator[FakeOpenAI]:
    """The fake on a free port of 127.0.0.1."""
    fake = FakeOpenAI()
    app = web.Application()
    app.router.add_get("/v1/models", fake.models)
    app.router.add_post("/v1/chat/completions", fake.chat)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()
