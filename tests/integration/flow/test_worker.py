"""Jobs are run once each time they are due, whatever the order in which the store answers."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import Connection

from aegis_sink.dialects.table import read
from aegis_sink.flow.worker import Done, Stage, Worker
from aegis_sink.store import jobs, tables
from aegis_sink.store.jobs import Job
from tests.integration.flow.conftest import PATIENCE_SECONDS, Flow, finding


async def test_a_job_made_due_while_it_ran_runs_again_though_it_is_claimed_at_once(
    flow: Flow,
) -> None:
    await flow.stop_working()
    first = (await flow.post(finding("api-1", "a"))).id
    second = (await flow.post(finding("web-1", "b"))).id
    later = flow.clock.now + timedelta(seconds=10)
    await flow.database.write(
        lambda c: c.execute(
            tables.jobs.update().where(tables.jobs.c.incident_id == second).values(due_at=later)
        )
    )
    runs: Counter[str] = Counter()
    started, release = asyncio.Event(), asyncio.Event()

    async def run(job: Job) -> Done:
        runs[job.incident_id] += 1
        started.set()
        await release.wait()
        return Done()

    worker = Worker(
        database=flow.database,
        stages={jobs.COLLECT: Stage(run, 2)},
        clock=flow.clock,
        owner="test",
        posts=lambda: 0,
        redact=str,
        observe=lambda stage, outcome, seconds: None,
    )
    working = asyncio.create_task(worker.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await started.wait()
        await flow.database.write(lambda c: jobs.enqueue(c, first, jobs.COLLECT, flow.clock.now))
        # The end of the first run and the next claim wait for the disk together.
        go, busy = threading.Event(), threading.Event()

        def hold(connection: Connection) -> None:
            busy.set()
            go.wait()

        holding = asyncio.create_task(flow.database.write(hold))
        await asyncio.to_thread(busy.wait)
        release.set()
        await _until_waiting(flow, 1)
        flow.clock.now = later
        worker.wake()
        await _until_waiting(flow, 2)
        go.set()
        await holding
        while runs != {first: 2, second: 1}:  # noqa: ASYNC110 — the worker tells nobody
            await asyncio.sleep(0.005)
    await worker.stop(grace_seconds=1)
    await working


async def test_a_fault_that_nobody_foresaw_stops_neither_the_worker_nor_the_inbox(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in ("worker", "inbox"):
        monkeypatch.setattr(f"aegis_sink.flow.{module}.RETRY_SECONDS", 0.01)
    faults: Counter[str] = Counter()

    def fails(place: str, still: Callable[[], bool]) -> None:
        owner, _, name = place.rpartition(".")
        right = getattr(import_module(owner), name)

        def wrong(*args: Any, **options: Any) -> Any:
            faults[place] += 1
            if still():
                raise RuntimeError("a fault")
            return right(*args, **options)

        monkeypatch.setattr(place, wrong)

    # Not once each: what shares a commit with others is tried again alone.
    claim, take, put = (
        "aegis_sink.store.jobs.claim",
        "aegis_sink.flow.inbox.accept",
        "aegis_sink.store.quarantine.put",
    )
    fails(claim, lambda: "could not take a job" not in caplog.text)
    fails(take, lambda: not faults[put])
    fails(put, lambda: "posts wait" not in caplog.text)
    body = json.dumps({"text": ">*[main] K8sGPT analysis of the Pod shop/api-1*"}).encode()
    await flow.door.post(body, read(body, cluster="east"), door="webhook")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(faults) < 3 or min(faults.values()) < 1 or not flow.channel.roots:
            await flow.after(10)
            await asyncio.sleep(0.02)
    assert "the worker could not take a job, trying again" in caplog.text
    assert "posts wait in the inbox, trying again" in caplog.text


async def test_what_is_claimed_while_the_worker_stops_is_left_to_the_next_start(flow: Flow) -> None:
    await flow.stop_working()
    await flow.post(finding("api-1", "a"))
    ran: list[Job] = []

    async def run(job: Job) -> Done:
        ran.append(job)
        return Done()

    worker = Worker(
        database=flow.database,
        stages={jobs.COLLECT: Stage(run, 2)},
        clock=flow.clock,
        owner="test",
        posts=lambda: 0,
        redact=str,
        observe=lambda stage, outcome, seconds: None,
    )
    go, busy = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        busy.set()
        go.wait()

    holding = asyncio.create_task(flow.database.write(hold))
    await asyncio.to_thread(busy.wait)
    working = asyncio.create_task(worker.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await _until_waiting(flow, 1)
        await worker.stop(grace_seconds=1)
        go.set()
        await holding
        await working
    await asyncio.sleep(0.05)  # a job that was started would run now
    assert not ran


async def _until_waiting(flow: Flow, count: int) -> None:
    while flow.database.waiting < count:  # noqa: ASYNC110 — a queue of another thread
        await asyncio.sleep(0)
