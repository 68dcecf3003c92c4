"""What every route below `/v1` does first, and the parameters they share."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from aegis_sink.intake.authentication import ApiGate
from aegis_sink.intake.body import header
from aegis_sink.intake.problem import problem
from aegis_sink.store.errors import StoreError

LIST_LIMIT = 50
LIST_LIMIT_MAX = 500
NAME_LIMIT = 200
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Wraps an endpoint: 401 without a token, 503 when the store refuses.

    `settle` makes incidents of the bodies that were answered and are not sorted yet.
    """

    gate: ApiGate
    settle: Callable[[], Awaitable[None]]

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """The guarded endpoint."""

        async def guarded(request: Request) -> Response:
            if not self.gate.admits(header(request.scope, b"authorization")):
                return problem(401, self.gate.hint, headers={"www-authenticate": "Bearer"})
            try:
                await self.settle()
                return await endpoint(request)
            except StoreError as error:
                return problem(503, str(error), headers={"retry-after": "5"})

        return guarded


def limit_of(request: Request) -> int:
    """`?limit=`. ValueError says what it must be."""
    text = request.query_params.get("limit", str(LIST_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4):
        raise ValueError(f"limit={text[:40]} is not a number from 1 to {LIST_LIMIT_MAX}")
    limit = int(text)
    if not 1 <= limit <= LIST_LIMIT_MAX:
        raise ValueError(f"limit={text} is not a number from 1 to {LIST_LIMIT_MAX}")
    return limit


async def object_in(request: Request, example: str) -> dict[str, object]:
    """The body as a JSON object, {} when there is none. ValueError says what it must be."""
    body = await request.body()
    if not body:
        return {}
    try:
        data = await request.json()
    except (ValueError, RecursionError) as error:
        raise ValueError("the body is not JSON") from error
    if not isinstance(data, dict):
        raise ValueError(f"the body is no object; write {example}")
    return data


def plain(text: str) -> str:
    """A text of a person on one line, short enough for a list."""
    return CONTROL.sub(" ", text.encode("utf-8", "replace").decode())[:NAME_LIMIT]
