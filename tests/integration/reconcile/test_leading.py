"""Of several replicas one reads Results: never two at once, and never none for long."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aegis_sink.cluster.lease import Elector, Timing
from tests.fakes.results_api import ResultsApi, connection
from tests.integration.reconcile.conftest import until

TIMING = Timing(duration=3, renew=1.5, retry=0.1)


@dataclass
class Replica:
    """One that wants to lead; `log` is shared, so that the order of begin and end shows."""

    elector: Elector
    log: list[str]
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def work(self) -> None:
        name = self.elector.identity
        self.log.append(f"{name} begins")
        try:
            await asyncio.Event().wait()
        finally:
            await self.ending.wait()  # the last write of the work
            self.log.append(f"{name} ended")

    async def stop(self) -> None:
        assert self.task
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def replica(
    api: ResultsApi, name: str, log: list[str], timing: Timing = TIMING
) -> AsyncIterator[Replica]:
    one = connection(api)
    elector = Elector(one, "aegis", "sink", name, lambda: 0.5, lambda: datetime.now(UTC), timing)
    found = Replica(elector, log)
    found.ending.set()
    found.task = asyncio.create_task(elector.lead(found.work))
    try:
        yield found
    finally:
        await found.stop()
        await one.close()


async def test_the_second_begins_when_the_first_has_let_go(api: ResultsApi) -> None:
    log: list[str] = []
    async with replica(api, "a", log) as a:
        await until(lambda: log == ["a begins"])
        async with replica(api, "b", log) as b:
            await until(lambda: b.elector.state == "replica a reads them")
            await a.stop()
            await until(lambda: len(log) == 3)
            assert log == ["a begins", "a ended", "b begins"]
            assert b.elector.leading
            assert not a.elector.leading


async def test_the_lease_is_let_go_only_after_the_work_has_ended(api: ResultsApi) -> None:
    log: list[str] = []
    async with replica(api, "a", log, Timing(duration=60, renew=30, retry=0.1)) as a:
        await until(lambda: log)
        a.ending.clear()
        stopping = asyncio.create_task(a.stop())
        await asyncio.sleep(0)
        assert api.leases["sink"]["spec"]["holderIdentity"] == "a"
        a.ending.set()
        await stopping
        assert api.leases["sink"]["spec"]["holderIdentity"] == ""


async def test_a_leader_that_cannot_renew_has_stopped_before_another_begins(
    api: ResultsApi,
) -> None:
    log: list[str] = []
    async with replica(api, "a", log), replica(api, "b", log):
        await until(lambda: log)
        first = log[0].split()[0]
        api.away = (503, "")
        await until(lambda: len(log) == 2)
        assert log[1] == f"{first} ended"
        api.away = None
        await until(lambda: len(log) == 3)


async def test_a_leader_whose_lease_was_taken_stops(api: ResultsApi) -> None:
    log: list[str] = []
    async with replica(api, "a", log) as a:
        await until(lambda: log)
        api.leases["sink"]["spec"]["holderIdentity"] = "somebody"
        api.leases["sink"]["metadata"]["resourceVersion"] = "999999"
        await until(lambda: log == ["a begins", "a ended"])
        await until(lambda: a.elector.state == "replica somebody reads them")


async def test_a_label_on_the_lease_takes_nothing_away(api: ResultsApi) -> None:
    log: list[str] = []
    async with replica(api, "a", log):
        await until(lambda: log)
        for _ in range(3):
            lease = api.leases["sink"]
            lease["metadata"] |= {"resourceVersion": "labelled", "labels": {"by": "hand"}}
            await until(lambda: api.leases["sink"]["metadata"]["resourceVersion"] != "labelled")
        assert log == ["a begins"]
        assert api.leases["sink"]["metadata"]["labels"] == {"by": "hand"}


async def test_without_the_right_to_leases_it_works_alone_and_says_so(api: ResultsApi) -> None:
    api.lease_allowed = False
    log: list[str] = []
    async with replica(api, "a", log) as a:
        await until(lambda: log == ["a begins"])
        assert "works without a lease" in a.elector.state
        assert 'resources: ["leases"]' in a.elector.state


async def test_those_who_worked_alone_agree_once_the_right_is_given(api: ResultsApi) -> None:
    api.lease_allowed = False
    log: list[str] = []
    timing = Timing(duration=0.3, renew=0.2, retry=0.1)
    async with replica(api, "a", log, timing) as a, replica(api, "b", log, timing) as b:
        await until(lambda: len(log) == 2)
        api.lease_allowed = True
        await until(lambda: len(log) == 5)  # both end, and one begins
        await until(lambda: a.elector.leading != b.elector.leading)
        leader = (a if a.elector.leading else b).elector.identity
        once = {"a begins": 1, "a ended": 1, "b begins": 1, "b ended": 1}
        assert Counter(log) == once | {f"{leader} begins": 2}
