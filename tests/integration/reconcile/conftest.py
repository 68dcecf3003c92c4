"""A fake API server with Results, the real flow on a real SQLite file, and the reconciler between."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from aegis_sink.cluster.results import Pace, Results
from aegis_sink.flow.reconciler import Reconciler
from tests.fakes.results_api import ResultsApi, connection, serving
from tests.integration.flow.conftest import HOLD, Channel, Clock, Cluster, Flow, Model, make_flow
from tests.stores import new_store

PATIENCE_SECONDS = 30
PACE = Pace(resync=3600, silence=3600, watch=3600, first_wait=0.02, longest_wait=0.1)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():  # noqa: ASYNC110 — a server has no event
            await asyncio.sleep(0.005)


@dataclass(repr=False)
class Sink:
    """Flow, reconciler and API server together."""

    flow: Flow
    api: ResultsApi
    reconciler: Reconciler
    restarts: list[str]
    pace: Pace
    _running: asyncio.Task[None] | None = None
    _connections: list[object] = field(default_factory=list)

    def start(self) -> None:
        self._running = asyncio.create_task(self.reconciler.run())

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
            self._running = None
        await self.reconciler.results.connection.close()

    async def restart(self, *, while_down: Callable[[], None] = lambda: None) -> None:
        """As after a crash: memory is lost, the file stays."""
        await self.stop()
        await self.flow.restart()
        while_down()
        fresh = make_sink(self.flow, self.api, self.pace)
        self.reconciler, self.restarts = fresh.reconciler, fresh.restarts
        self.start()

    async def seen(self) -> None:
        """Until everything that happened in the cluster was taken in, proved by a new list."""
        before = self.api.lists
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.reconciler.once()
        assert self.api.lists > before
        await self.flow.after(0)

    async def watched(self) -> None:
        """Until a watch stands, so that what happens next comes through it."""
        await until(lambda: self.api.watching)

    async def after(self, seconds: float) -> None:
        await self.flow.after(seconds)

    @property
    def messages(self) -> list[str]:
        """Root messages: the states of the incidents they show."""
        return [str(incident.state) for incident in self.flow.channel.roots.values()]


def make_sink(flow: Flow, api: ResultsApi, pace: Pace) -> Sink:
    restarts: list[str] = []
    reconciler = Reconciler(
        database=flow.database,
        results=Results(connection(api), "", pace, lambda: 1.0, restarts.append),
        redact=str,
        clock=flow.clock,
        new_id=flow.ids,
        wake=flow.worker.wake,
        cluster="east",
        hold=HOLD,
    )
    return Sink(flow, api, reconciler, restarts, pace)


@pytest.fixture
async def api() -> AsyncIterator[ResultsApi]:
    fake = ResultsApi()
    async with serving(fake):
        yield fake


@pytest.fixture
def pace() -> Pace:
    return PACE


@pytest.fixture
async def sink(tmp_path: Path, api: ResultsApi, pace: Pace) -> AsyncIterator[Sink]:
    file = tmp_path / "sink.db"
    new_store(file)
    numbers = count(1)
    cluster, model = Cluster(), Model()
    cluster.gate.set()
    model.gate.set()
    flow = make_flow(file, Clock(), cluster, model, Channel(), lambda: f"id{next(numbers):014}")
    flow.database.start()
    await flow.start()
    one = make_sink(flow, api, pace)
    yield one
    await one.stop()
    await one.flow.stop()
