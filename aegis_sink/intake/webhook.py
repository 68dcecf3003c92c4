"""The operator's door: `POST /webhook` and `POST /webhook/{token}`.

K8sGPT's sink takes only 200 for success and blocks every Result behind one that got anything else
(facts/k8sgpt.md §0.2, §0.3). So whatever an authorised sender sends and can be read gets 200; what
is not understood is quarantined. A redirect is never sent: Go would repeat the POST as a GET
without a body and count its 200 as success (§1.4).
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from aegis_sink.dialects.errors import DialectError
from aegis_sink.intake.authentication import WebhookGate
from aegis_sink.intake.body import (
    MAX_BODY_BYTES,
    BodyTooLarge,
    ClientGone,
    header,
    read_body,
)
from aegis_sink.intake.reading import read_aside
from aegis_sink.intake.receipt import CannotStore, Post, Quarantine, Receipt

log = logging.getLogger(__name__)

DOOR = "webhook"


@dataclass(frozen=True, slots=True)
class WebhookDoor:
    """The ASGI app behind both routes. `count` hears of each outcome, for the metrics."""

    post: Post
    quarantine: Quarantine
    gate: WebhookGate
    cluster: str
    count: Callable[[str, str], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["method"] != "POST":
            await _answer(
                send, 405, {"error": "only POST; K8sGPT's sink posts here"}, (b"allow", b"POST")
            )
            return
        token = scope.get("path_params", {}).get("token", "")
        if not self.gate.admits(token, header(scope, b"authorization")):
            log.warning("refused a post from %s: wrong or missing token", _sender(scope))
            self.count(DOOR, "refused")
            await _answer(
                send,
                401,
                {
                    "error": "wrong or missing token: put it into the sink's URL, as "
                    "/webhook/TOKEN or https://aegis:TOKEN@host/webhook"
                },
                (b"www-authenticate", b'Basic realm="aegis-sink"'),
            )
            return
        try:
            body = await read_body(scope, receive)
        except BodyTooLarge:
            self.count(DOOR, "too_large")
            # The rest is read away: most clients hear an answer only after they have sent all.
            await _answer(send, 413, {"error": f"the body is over {MAX_BODY_BYTES} bytes"})
            return
        except ClientGone:
            self.count(DOOR, "client_gone")
            return
        try:
            receipt = await self._receive(body)
        except CannotStore as error:
            self.count(DOOR, "not_stored")
            await _answer(
                send,
                503,
                {"error": f"nothing was stored: {error}"},
                (b"retry-after", str(error.retry_after).encode()),
            )
            return
        self.count(DOOR, receipt.status)
        # Both are plain words of ours: nothing in them needs escaping.
        await _send(send, 200, f'{{"status":"{receipt.status}","id":"{receipt.id}"}}'.encode())

    async def _receive(self, body: bytes) -> Receipt:
        try:
            recognised = await read_aside(body, cluster=self.cluster)
        except DialectError as error:
            log.warning("quarantined a webhook body of %d bytes: %s", len(body), error)
            return await self.quarantine(body, str(error), door=DOOR)
        return await self.post(body, recognised, door=DOOR)


def _sender(scope: Scope) -> str:
    client = scope.get("client")
    # An IPv4 address, as a socket of both families names it.
    return client[0].removeprefix("::ffff:") if client else "an unknown address"


async def _answer(
    send: Send, status: int, document: dict[str, str], *headers: tuple[bytes, bytes]
) -> None:
    await _send(send, status, json.dumps(document).encode(), *headers)


async def _send(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
