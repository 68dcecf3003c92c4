"""`/healthz`, `/readyz` and `/metrics`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from aegis_sink.metrics import Metrics
from aegis_sink.store import inbox, installation, jobs, listing, quarantine
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.errors import StoreError

STATUS_SECONDS = 2.0

Status = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Health:
    """Live, ready, and the numbers. Readiness never depends on Ollama, Slack or the API server:
    what is away is said in the body, and told about later."""

    database: Database
    metrics: Metrics
    worker_alive: Callable[[], bool]
    dependencies: Mapping[str, Status]

    def routes(self) -> list[Route]:
        """For Starlette."""
        return [
            Route("/healthz", self.live, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.numbers, methods=["GET"]),
        ]

    async def live(self, request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok")

    async def ready(self, request: Request) -> Response:
        """200 when bodies can be stored and worked on, else 503; each part's state in the body."""
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                await self.database.read(listing.counts)
                if self.database.refuses:  # reading works on a full disk; a write tells
                    await self.database.write(installation.touch)
            database = "ok"
        except (StoreError, TimeoutError) as error:
            database = str(error) or "does not answer"
        worker = "ok" if self.worker_alive() else "not running"
        states = await asyncio.gather(*(_state(ask) for ask in self.dependencies.values()))
        ready = database == worker == "ok"
        return JSONResponse(
            {
                "ready": ready,
                "database": database,
                "worker": worker,
                **dict(zip(self.dependencies, states, strict=True)),
            },
            200 if ready else 503,
        )

    async def numbers(self, request: Request) -> Response:
        """Prometheus' text format."""
        try:
            states, waiting, failing, posts, (count, stored) = await self.database.read(_counts)
        except StoreError as error:
            return PlainTextResponse(f"the store cannot be read: {error}\n", 503)
        body = self.metrics.show(
            incidents=states,
            jobs=waiting,
            failing=failing,
            quarantined=count,
            quarantine_bytes=stored,
            waiting_writes=self.database.waiting,
            refuses=self.database.refuses,
            inbox=posts,
        )
        return Response(body, media_type=CONTENT_TYPE_LATEST)


async def _state(ask: Status) -> str:
    try:
        async with asyncio.timeout(STATUS_SECONDS):
            return await ask()
    except TimeoutError:
        return f"does not answer within {STATUS_SECONDS:.0f} s"


def _counts(
    connection: Connection,
) -> tuple[dict[str, int], dict[str, int], dict[str, int], int, tuple[int, int]]:
    return (
        listing.counts(connection),
        jobs.counts(connection),
        jobs.failing(connection),
        inbox.count(connection),
        quarantine.size(connection),
    )
