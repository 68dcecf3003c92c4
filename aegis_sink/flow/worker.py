"""The worker: takes due jobs stage by stage, runs them, and writes down what became of them.

A job is leased while it runs, so that one which dies with the process is taken up again. A stage
says with its outcome whether the job is done or due again; a stage that fails is due again with
back-off, without end: a problem that reached the store leads to a told incident.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeGuard

from aegis_sink.model import Incident, State
from aegis_sink.store import decisions, jobs
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.decisions import Decided
from aegis_sink.store.errors import StoreError
from aegis_sink.store.jobs import Job

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
RENEW_SECONDS = 20.0
POLL_SECONDS = 30.0  # whoever makes something due wakes it; this finds leases that ran out
RETRY_SECONDS = 5.0
YIELD_SECONDS = 0.1
BUSY_POSTS_PER_SECOND = 100
BUSY_PATIENCE_SECONDS = 1.0
BACK_OFF_START = timedelta(seconds=1)
BACK_OFF_LIMIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Done:
    """The stage has nothing left to do for this incident. `recorded`: its last write said so, by
    `store.jobs.finish`, which spares a commit. `decided` is written down with it."""

    recorded: bool = False
    decided: tuple[Decided, ...] = ()


@dataclass(frozen=True, slots=True)
class Later:
    """The stage wants to run again. With `error` that counts as a failed attempt."""

    at: datetime
    error: str | None = None
    decided: tuple[Decided, ...] = ()


Outcome = Done | Later


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of job: what runs it, and how many at once."""

    run: Callable[[Job], Awaitable[Outcome]]
    at_once: int


def back_off(attempts: int, *, jitter: float, limit: timedelta = BACK_OFF_LIMIT) -> timedelta:
    """The wait after the `attempts`-th failure in a row, doubling; `jitter` is 0..1."""
    wait: timedelta = min(BACK_OFF_START * 2 ** min(attempts, 16), limit)
    return wait * (0.5 + jitter / 2)


@dataclass(slots=True)
class Worker:
    """Runs until `stop()`: stops taking jobs, waits for those that run, then aborts them."""

    database: Database
    stages: Mapping[str, Stage]
    clock: Callable[[], datetime]
    owner: str
    posts: Callable[[], int]
    """How many posts the door has taken: while they come fast, acknowledging goes first."""
    redact: Callable[[str], str]
    """For what errors say before it is stored."""
    observe: Callable[[str, str, float], None]
    """(stage, outcome, seconds) for the metrics."""
    _running: dict[asyncio.Task[None], Job] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _busy: bool = False
    _looked_at: float = 0.0
    _posts_seen: int = 0
    _took_at: float = 0.0
    alive: bool = False

    def wake(self) -> None:
        """Something became due."""
        self._wake.set()

    async def run(self) -> None:
        """Take and run jobs until stopped."""
        self.alive = True
        renewing = asyncio.create_task(self._renew_leases())
        try:
            while not self._stopping:
                self._wake.clear()
                try:
                    wait = await self._take()
                except StoreError as error:
                    log.error("the worker cannot reach the store, trying again: %s", error)
                    wait = RETRY_SECONDS
                except Exception:  # a worker that ends would tell nothing any more
                    log.exception("the worker could not take a job, trying again")
                    wait = RETRY_SECONDS
                if self._busy:
                    await asyncio.sleep(min(wait, YIELD_SECONDS))
                elif wait > 0:
                    await self._sleep(wait)
        finally:
            self.alive = False
            renewing.cancel()

    async def stop(self, *, grace_seconds: float) -> None:
        """Stop taking jobs, wait for the running ones, then abort what is left."""
        self._stopping = True
        self.wake()
        running = list(self._running)
        if running:
            _, late = await asyncio.wait(running, timeout=grace_seconds)
            for task in late:
                what, incident = _names(self._running.get(task))
                log.warning(
                    "cut off: %s of incident %s; the next start does it again", what, incident
                )
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _take(self) -> float:
        """Start what is due and fits; returns how long to wait before looking again."""
        if self._door_is_busy() and self._running and not self._patient_for_long():
            return YIELD_SECONDS
        free = {
            kind: stage.at_once - sum(job.kind == kind for job in self._running.values())
            for kind, stage in self.stages.items()
        }
        kinds = [kind for kind, room in free.items() if room > 0]
        due_at = await self.database.read(lambda c: jobs.next_due(c, kinds, now=self.clock()))
        now = self.clock()
        if due_at is None:
            return POLL_SECONDS
        if due_at > now:
            return min((due_at - now).total_seconds(), POLL_SECONDS)
        if self._busy:
            free = dict.fromkeys(kinds, 1)
        taken = await self.database.write(
            lambda c: [
                job
                for kind in kinds
                for job in jobs.claim(
                    c, kind, limit=free[kind], owner=self.owner, now=now, lease=LEASE
                )
            ]
        )
        if self._stopping:
            return POLL_SECONDS  # nobody would wait for them; the next start releases them
        self._took_at = asyncio.get_running_loop().time()
        running = {(job.incident_id, job.kind) for job in self._running.values()}
        for job in taken:
            if (job.incident_id, job.kind) in running:
                continue  # its lease ran out while the store was away; claiming renewed it
            task = asyncio.create_task(self._run_job(job), name=f"{job.kind} {job.incident_id}")
            self._running[task] = job
            task.add_done_callback(self._forget)
        return (YIELD_SECONDS if self._busy else 0.0) if taken else POLL_SECONDS

    def _door_is_busy(self) -> bool:
        """Whether posts came fast since the last look."""
        loop_time, posts = asyncio.get_running_loop().time(), self.posts()
        elapsed, came = loop_time - self._looked_at, posts - self._posts_seen
        if elapsed >= YIELD_SECONDS:
            self._busy = came > BUSY_POSTS_PER_SECOND * elapsed
            self._looked_at, self._posts_seen = loop_time, posts
        return self._busy

    def _patient_for_long(self) -> bool:
        """While the door is busy one job runs at a time, but a long one holds up no others."""
        return asyncio.get_running_loop().time() - self._took_at >= BUSY_PATIENCE_SECONDS

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self.wake()

    async def _run_job(self, job: Job) -> None:
        started = asyncio.get_running_loop().time()
        result = "failed"
        try:
            outcome = await self.stages[job.kind].run(job)
            result = "done" if isinstance(outcome, Done) else "later"
        except asyncio.CancelledError:
            # The lease runs out, or is released at the next start: the job is taken up again.
            result = "aborted"
            raise
        except Exception as error:
            log.exception("%s of incident %s failed", job.kind, job.incident_id)
            outcome = Later(
                self.clock() + back_off(job.attempts, jitter=random.random()),  # noqa: S311
                error=f"{type(error).__name__}: {error}",
            )
        finally:
            self.observe(job.kind, result, asyncio.get_running_loop().time() - started)
        if not (isinstance(outcome, Done) and outcome.recorded):
            await self._write_down(job, outcome)
        # Before the job can be claimed again: it may have been enqueued while it ran, and `_take`
        # leaves alone what still runs.
        if (task := asyncio.current_task()) is not None:
            self._forget(task)

    async def _write_down(self, job: Job, outcome: Outcome) -> None:
        error_text = None
        if isinstance(outcome, Later) and outcome.error is not None:
            error_text = self.redact(outcome.error)
        while True:
            try:
                await self.database.write(partial(self._end, job, outcome, error_text))
            except StoreError as error:
                log.error("cannot write down %s of %s: %s", job.kind, job.incident_id, error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            return

    def _end(
        self, job: Job, outcome: Outcome, error_text: str | None, connection: Connection
    ) -> None:
        for one in outcome.decided:
            decisions.keep(connection, job.incident_id, one)
        if isinstance(outcome, Done):
            jobs.finish(connection, job, now=self.clock())
        else:
            jobs.postpone(connection, job, due_at=outcome.at, error=error_text)

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            running = list(self._running.values())
            if not running:
                continue
            until = self.clock() + LEASE
            try:
                await self.database.write(
                    partial(jobs.extend, running=running, owner=self.owner, until=until)
                )
            except StoreError as error:
                log.error("cannot renew the leases of %d jobs: %s", len(running), error)


def lives(incident: Incident | None, job: Job) -> TypeGuard[Incident]:
    """Whether there is still something to do for the incident a job was made for."""
    return (
        incident is not None
        and incident.id == job.incident_id
        and incident.state is not State.RESOLVED
    )


def _names(job: Job | None) -> tuple[str, str]:
    return (job.kind, job.incident_id) if job else ("a job", "?")
