"""`POST /slack/actions`: pressed buttons over HTTP."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aegis_sink.intake.body import BodyTooLarge, ClientGone, header, read_body
from aegis_sink.intake.problem import problem
from aegis_sink.notify.actions import NotAnAction, is_from_slack, payload_of_form
from aegis_sink.notify.desk import ActionDesk

log = logging.getLogger(__name__)

PATH = "/slack/actions"


@dataclass(frozen=True, slots=True)
class SlackActions:
    """Checks that it is Slack who says so, then hands the press to the desk.

    `signing_secret` is None where buttons do not come over HTTP.
    """

    signing_secret: str | None
    desk: ActionDesk | None
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """For Starlette."""
        return [Route(PATH, self.press, methods=["POST"])]

    async def press(self, request: Request) -> Response:
        """An empty 200 once the press is on disk; Slack shows anything else to the person."""
        if self.signing_secret is None or self.desk is None:
            return problem(
                404, "buttons do not come over HTTP here: AEGIS_SLACK_SIGNING_SECRET is not set"
            )
        try:
            body = await read_body(request.scope, request.receive)
        except BodyTooLarge:
            return problem(413, "the body is over 2 MiB")
        except ClientGone:
            return problem(400, "the body did not arrive")
        if not is_from_slack(
            body,
            timestamp=_header(request, b"x-slack-request-timestamp"),
            signature=_header(request, b"x-slack-signature"),
            signing_secret=self.signing_secret,
            now=self.clock(),
        ):
            log.warning("refused a button press that Slack did not sign, or more than 5 min ago")
            return problem(401, "Slack's signature is missing, wrong, or older than five minutes")
        try:
            payload = payload_of_form(body)
        except NotAnAction as error:
            log.warning("Slack posted something else than a button press: %s", error)
            return problem(400, str(error))
        if not await self.desk.take(payload):
            return problem(503, "the press was not stored", headers={"retry-after": "5"})
        return Response(status_code=200)


def _header(request: Request, name: bytes) -> str:
    return header(request.scope, name).decode("latin-1")
