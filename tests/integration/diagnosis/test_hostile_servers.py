"""Servers that answer what no server of that name answers: each is an LLMError, never a crash."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from aegis_sink.diagnosis.adapters import build_model
from aegis_sink.diagnosis.diagnoser import Diagnoser
from aegis_sink.diagnosis.errors import LLMError, ModelUnavailable
from aegis_sink.diagnosis.model import LLMOptions
from tests.fakes.diagnosis_cases import answer_text, assessed, crashing, make_case

CASE = make_case(seen=crashing("dial tcp 10.3.2.1:5432: connection refused"))
DEEP = b"[" * 60_000 + b"]" * 60_000


def ok(*lines: bytes) -> bytes:
    body = b"\n".join(lines) + b"\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def refused(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


def chat(text: str, **members: object) -> bytes:
    return json.dumps({"message": {"content": text}, **members}).encode()


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode()


def delta(text: object, **members: object) -> bytes:
    return event({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}], **members})


@asynccontextmanager
async def diagnoser(api: Literal["ollama", "openai"], answer: bytes) -> AsyncIterator[Diagnoser]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        await reader.readexactly(length)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = LLMOptions(api=api, url=f"http://127.0.0.1:{port}", model="m")
    model = build_model(options)
    assert model is not None
    one = Diagnoser(model, options)
    try:
        yield one
    finally:
        await one.close()
        server.close()


@pytest.mark.parametrize(
    ("api", "answer"),
    [
        ("ollama", ok(DEEP)),
        ("ollama", ok(chat('{"a":' * 60_000, done=True))),
        ("ollama", refused(400, b"[" * 4000)),
        ("openai", ok(b"data: " + DEEP)),
        ("openai", ok(event({"choices": {"a": 1}}))),
        ("openai", ok(event({"choices": ["a"]}))),
        ("openai", ok(event({"choices": 7}))),
        ("openai", ok(event({"choices": [{"delta": [1]}]}))),
        ("openai", ok(event({"usage": {"prompt_tokens": "many"}}))),
        ("openai", ok(event({"usage": {"prompt_tokens": [1]}}))),
    ],
)
async def test_what_is_no_answer_is_an_error_of_the_model(
    api: Literal["ollama", "openai"], answer: bytes
) -> None:
    async with diagnoser(api, answer) as one:
        with pytest.raises(LLMError):
            await one.ask(CASE, assessed(CASE))


@pytest.mark.parametrize(
    ("api", "answer"),
    [
        ("ollama", ok(chat(answer_text(), done=True, prompt_eval_count=10**400))),
        ("ollama", ok(chat(answer_text(), done=True, load_duration=-5, eval_count=True))),
        ("openai", ok(delta(answer_text(), usage={"prompt_tokens": "many"}, error=None))),
        ("openai", ok(event({"choices": ["a"]}), delta(answer_text()))),
    ],
)
async def test_an_answer_with_impossible_counts_counts_nothing(
    api: Literal["ollama", "openai"], answer: bytes
) -> None:
    async with diagnoser(api, answer) as one:
        told = await one.ask(CASE, assessed(CASE))
    assert (told.model, told.prompt_tokens, told.answer_tokens) == ("m", 0, 0)


async def test_an_error_that_looks_like_an_end_is_an_error() -> None:
    """LocalAI reports errors of a stream so (facts/ollama.md §3.6)."""
    async with diagnoser("ollama", ok(chat(answer_text(), done=True, done_reason="error"))) as one:
        with pytest.raises(ModelUnavailable):
            await one.ask(CASE, assessed(CASE))
