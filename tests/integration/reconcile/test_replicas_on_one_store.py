"""Two replicas on one store: one reads Results, the other goes on where that one stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from math import isnan

import pytest

from aegis_sink.building.reconciling import Reconciling, build_reconciling, reconcile_now
from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.cluster.lease import Elector, Timing
from aegis_sink.flow.reconciler import NotListed
from aegis_sink.metrics import Metrics
from aegis_sink.settings import load
from tests.fakes.results_api import connection, result
from tests.integration.reconcile.conftest import PACE, PATIENCE_SECONDS, Sink, make_sink, until

TIMING = Timing(duration=15, renew=10, retry=0.05)
CRASH = "the last termination reason is Error container={0} pod={0}-1"


@asynccontextmanager
async def replica(sink: Sink, name: str, timing: Timing = TIMING) -> AsyncIterator[Reconciling]:
    """A reconciler of its own on the sink's store and cluster, which wants to lead."""
    lease = connection(sink.api)
    elector = Elector(lease, "aegis", "sink", name, lambda: 0.5, lambda: datetime.now(UTC), timing)
    reconciler = make_sink(sink.flow, sink.api, PACE).reconciler
    reconciler.leads = elector.holds
    reconciling = Reconciling(reconciler, elector)
    running = asyncio.create_task(reconciling.run())
    try:
        yield reconciling
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await lease.close()
        await reconciler.results.connection.close()


async def test_what_one_took_in_the_next_knows_and_what_came_between_it_finds(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH.format("api")))
    async with replica(sink, "a") as a:
        await until(lambda: a.reconciler.listed_at)
        async with replica(sink, "b") as b:
            await until(lambda: b.elector and b.elector.state == "replica a reads them")
            with pytest.raises(NotListed, match="replica a reads them"):
                await b.once()
            await sink.flow.after(10)
            assert sink.messages == ["open"]
            assert b.reconciler.listed_at is None
            assert (a.reads, b.reads) == (True, False)
    sink.api.put(result("shop/web-1", CRASH.format("web")))
    async with replica(sink, "b") as b:
        await until(lambda: b.reconciler.listed_at)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await b.once()).known == 2
        await sink.flow.after(10)
        assert sink.messages == ["open", "open"]
        assert [one.occurrences for one in sink.flow.channel.roots.values()] == [1, 1]


async def test_one_that_was_stopped_longer_than_its_lease_takes_in_nothing_that_came_meanwhile(
    sink: Sink,
) -> None:
    async with replica(sink, "a", Timing(duration=60, renew=50, retry=40)) as a:
        await until(lambda: a.reconciler.listed_at)
        await sink.watched()
        assert a.elector
        a.elector._renewed -= 50  # as after SIGSTOP and SIGCONT
        sink.api.put(result("shop/api-1", CRASH.format("api")))
        await until(lambda: sink.api.leases["sink"]["spec"]["holderIdentity"] == "")
        assert (a.leading, a.reconciler.seen) == (False, 0)


async def test_who_asks_for_a_list_does_not_wait_without_end(sink: Sink) -> None:
    """The reconciler does not run, so nobody takes the list."""
    with pytest.raises(NotListed, match=r"within 0\.01 s"):
        await reconcile_now(Reconciling(sink.reconciler, None), seconds=0.01)


async def test_the_numbers_say_that_results_are_read_and_that_they_are_not(sink: Sink) -> None:
    metrics = Metrics()

    def reading() -> float | None:
        return metrics.registry.get_sample_value("aegis_sink_reconciler_reading")

    assert isnan(reading() or 0), "without a cluster there is nothing to read"
    sink.api.installed = False
    cluster = KubernetesCluster(connection(sink.api), redact=str)
    reconciling = build_reconciling(
        load({}).settings,
        cluster,
        sink.flow.database,
        redact=str,
        clock=sink.flow.clock,
        new_id=sink.flow.ids,
        wake=lambda: None,
        metrics=metrics,
    )
    running = asyncio.create_task(reconciling.run())
    await until(lambda: reconciling.reconciler.hindered)
    assert reading() == 0
    sink.api.installed = True
    await until(lambda: reading() == 1)
    running.cancel()
    await asyncio.wait({running})
    await cluster.close()
