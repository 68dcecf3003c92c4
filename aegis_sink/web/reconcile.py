"""`POST /v1/reconcile`: have the cluster's Results listed now."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_sink.flow.reconciler import NotListed, Report
from aegis_sink.intake.authentication import ApiGate
from aegis_sink.intake.body import header
from aegis_sink.intake.problem import problem


@dataclass(frozen=True, slots=True)
class ReconcileApi:
    """`once` takes one list in; None where no cluster is read."""

    gate: ApiGate
    once: Callable[[], Awaitable[Report]] | None

    def routes(self) -> list[Route]:
        """For Starlette."""
        return [Route("/v1/reconcile", self.reconcile, methods=["POST"])]

    async def reconcile(self, request: Request) -> Response:
        """What the list held against what was known."""
        if not self.gate.admits(header(request.scope, b"authorization")):
            return problem(401, self.gate.hint, headers={"www-authenticate": "Bearer"})
        if self.once is None:
            return problem(409, "no cluster is read: set KUBECONFIG, or see AEGIS_KUBERNETES")
        try:
            return JSONResponse(asdict(await self.once()))
        except NotListed as error:
            return problem(409, str(error))
