"""What stands before the router: the operator's door has a way of its own.

A post is answered in some tens of microseconds, of which the router and its middleware would take
half; K8sGPT posts one finding after the other and waits for each answer.
"""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from aegis_sink.intake.webhook import WebhookDoor

PATH = "/webhook"


@dataclass(frozen=True, slots=True)
class Front:
    """The ASGI application: `/webhook` and `/webhook/{token}` to the door, all else to `others`."""

    webhook: WebhookDoor
    others: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        if scope["type"] == "http":
            path = scope["path"]
            if path == PATH:
                return await self.webhook(scope, receive, send)
            if path.startswith(PATH + "/"):
                scope["path_params"] = {"token": path[len(PATH) + 1 :]}
                return await self.webhook(scope, receive, send)
        return await self.others(scope, receive, send)
