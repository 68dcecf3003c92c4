"""A person's or a script's door: `POST /v1/findings`, any dialect, JSON or YAML."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from aegis_sink.dialects.errors import DialectError, InvalidBody, NotReadable
from aegis_sink.intake.authentication import ApiGate
from aegis_sink.intake.body import (
    MAX_BODY_BYTES,
    BodyTooLarge,
    ClientGone,
    header,
    read_body,
)
from aegis_sink.intake.problem import problem
from aegis_sink.intake.reading import read_aside
from aegis_sink.intake.receipt import Accept, CannotStore, Receipt

DOOR = "findings"
MAX_WAIT_SECONDS = 600.0

JSON_TYPES = frozenset({"", "application/json", "application/cloudevents+json", "text/plain"})
YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})

Describe = Callable[[str, float], Awaitable[dict[str, object]]]
"""(incident id, seconds to wait for its diagnosis) → what the answer says of it."""


@dataclass(frozen=True, slots=True)
class FindingsDoor:
    """The ASGI app behind the route. `count` hears of each outcome, for the metrics."""

    accept: Accept
    describe: Describe
    gate: ApiGate
    cluster: str
    count: Callable[[str, str], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        response = await self._respond(Request(scope, receive), receive)
        if response is None:
            self.count(DOOR, "client_gone")
        else:
            self.count(DOOR, str(response.status_code))
            await response(scope, receive, send)

    async def _respond(self, request: Request, receive: Receive) -> Response | None:
        if request.method != "POST":
            return problem(405, "only POST", headers={"allow": "POST"})
        authorization = header(request.scope, b"authorization")
        if not self.gate.may_admit(authorization, request.headers):
            return self._unknown()
        try:
            body = await read_body(request.scope, receive)
        except BodyTooLarge:
            return problem(413, f"the body is over {MAX_BODY_BYTES} bytes")
        except ClientGone:
            return None
        if not self.gate.admits_finding(authorization, request.headers, body):
            return self._unknown()
        media = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if media not in JSON_TYPES | YAML_TYPES:
            return problem(
                415,
                f"cannot read {media}; send application/json or application/yaml",
                headers={"accept": "application/json, application/yaml"},
            )
        try:
            force = _flag(request.query_params.get("force", "false"))
            wait = _seconds(request.query_params.get("wait", "0"))
        except ValueError as error:
            return problem(400, str(error))
        try:
            recognised = await read_aside(body, cluster=self.cluster, yaml=media in YAML_TYPES)
            receipt = await self.accept(body, recognised, door=DOOR, force=force)
        except NotReadable as error:
            return problem(400, str(error))
        except InvalidBody as error:
            return problem(
                422, str(error), path=error.path, reason=error.reason, dialect=error.dialect
            )
        except DialectError as error:
            return problem(422, str(error), path="$", reason=str(error))
        except CannotStore as error:
            return problem(
                503,
                f"nothing was stored: {error}",
                headers={"retry-after": str(error.retry_after)},
            )
        return JSONResponse({"incidents": await self._described(receipt, wait)})

    def _unknown(self) -> Response:
        return problem(401, self.gate.hint, headers={"www-authenticate": "Bearer"})

    async def _described(self, receipt: Receipt, wait: float) -> list[dict[str, object]]:
        created = {item.incident_id: item.created for item in reversed(receipt.items)}
        created |= {item.incident_id: True for item in receipt.items if item.created}
        ids = list(dict.fromkeys(item.incident_id for item in receipt.items))
        described = await asyncio.gather(*(self.describe(one, wait) for one in ids))
        return [{**what, "created": created[one]} for one, what in zip(ids, described, strict=True)]


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    raise ValueError(f"force={text[:40]} is neither true nor false")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"wait={text[:40]} is not a number of seconds") from None
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise ValueError(f"wait takes 0 to {MAX_WAIT_SECONDS:.0f} seconds")
    return seconds
