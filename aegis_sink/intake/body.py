"""Reading a request's body within limits, below Starlette's Request: this is the hot path."""

import asyncio
from typing import Any

from starlette.types import Receive, Scope

MAX_BODY_BYTES = 2 * 1024 * 1024
BODY_SECONDS = 20.0  # the operator's own client gives up after 30 s (facts/k8sgpt.md §0.4)


class BodyTooLarge(Exception):
    """Over MAX_BODY_BYTES."""


class BodyTooSlow(Exception):
    """Not complete after BODY_SECONDS."""


class ClientGone(Exception):
    """The client hung up before the body was complete."""


async def read_body(scope: Scope, receive: Receive, *, seconds: float = BODY_SECONDS) -> bytes:
    """The whole body; BodyTooLarge, BodyTooSlow or ClientGone."""
    length = header(scope, b"content-length")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise BodyTooLarge
    message: Any = await _first(receive, seconds)
    if message["type"] == "http.disconnect":
        raise ClientGone
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        return body
    try:
        async with asyncio.timeout(seconds):
            return await _rest(receive, message.get("body", b""))
    except TimeoutError as error:
        raise BodyTooSlow from error


def header(scope: Scope, name: bytes) -> bytes:
    """A header's value, b"" without one. `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


async def _first(receive: Receive, seconds: float) -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await receive()
    except TimeoutError as error:
        raise BodyTooSlow from error


async def _rest(receive: Receive, start: bytes) -> bytes:
    chunks, size = [start], len(start)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        if not message.get("more_body"):
            return b"".join(chunks)
