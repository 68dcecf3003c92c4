"""Reading a request's body within limits, below Starlette's Request: this is the hot path."""

from starlette.types import Receive, Scope

MAX_BODY_BYTES = 2 * 1024 * 1024


class BodyTooLarge(Exception):
    """Over MAX_BODY_BYTES."""


class ClientGone(Exception):
    """The client hung up before the body was complete."""


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body; BodyTooLarge, or ClientGone (also when the connection cut off a slow one)."""
    length = header(scope, b"content-length")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else chunk


def header(scope: Scope, name: bytes) -> bytes:
    """A header's value, b"" without one. `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""
