"""The flow as it runs, on a real SQLite file, with a clock of the test's own.

Cluster, model and messages are small stand-ins that can be away; everything between is real.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import func, select

from aegis_sink.cluster.errors import ClusterUnavailable
from aegis_sink.cluster.health import Health
from aegis_sink.diagnosis.circuit import Circuit
from aegis_sink.diagnosis.diagnoser import Diagnoser
from aegis_sink.diagnosis.errors import ModelUnavailable
from aegis_sink.diagnosis.model import Ask, LLMOptions, Reply
from aegis_sink.dialects.table import Recognised
from aegis_sink.flow.collecting import Collecting
from aegis_sink.flow.diagnosing import Assessing, Diagnosing
from aegis_sink.flow.digests import Digests
from aegis_sink.flow.door import Door
from aegis_sink.flow.muting import Muting
from aegis_sink.flow.resolving import Resolving
from aegis_sink.flow.telling import Telling
from aegis_sink.flow.worker import Stage, Worker
from aegis_sink.intake.receipt import Receipt
from aegis_sink.model import (
    OWN_CHANNEL,
    Audience,
    Collected,
    Digest,
    Evidence,
    Finding,
    Incident,
    NoticeReason,
    ObjectRef,
    OwnerChain,
    Posted,
)
from aegis_sink.model.facts import Facts
from aegis_sink.notify.errors import MessageFrozen, NotifyRefused, NotifyUnavailable, OutcomeUnknown
from aegis_sink.routes import routes_of
from aegis_sink.settings import load
from aegis_sink.store import incidents, jobs, tables
from aegis_sink.store.database import Connection, Database, open_engine
from aegis_sink.triage.muting import Scope
from aegis_sink.triage.tell import TellRules
from tests.fakes.diagnosis_cases import answer_text, builtin
from tests.stores import new_store

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GROUP_WAIT = timedelta(seconds=10)
HOLD = timedelta(seconds=90)
PATIENCE_SECONDS = 20


@dataclass
class Cluster:
    """Answers like the real one: `collect` never raises, the others do when the cluster is away."""

    away: bool = False
    errors: dict[ObjectRef, tuple[str, ...]] = field(default_factory=dict)
    above: dict[ObjectRef, ObjectRef] = field(default_factory=dict)
    facts: dict[ObjectRef, Facts] = field(default_factory=dict)
    asked: list[ObjectRef] = field(default_factory=list)
    evidence: str = "container api: CrashLoopBackOff"
    looks: dict[ObjectRef, Health] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def complete(self, finding: Finding) -> Finding:
        self._answers()
        self.asked.append(finding.object)
        return replace(finding, errors=self.errors.get(finding.object, finding.errors))

    async def owners(
        self, finding: Finding, from_name: Callable[[ObjectRef], OwnerChain]
    ) -> OwnerChain:
        self._answers()
        owner = self.above.get(finding.object)
        return OwnerChain((finding.object, owner), "owner") if owner else from_name(finding.object)

    async def collect(self, finding: Finding, owners: OwnerChain) -> Collected:
        await self.gate.wait()
        if self.away:
            return Collected(missing=("the API server did not answer",), owners=owners)
        facts = self.facts.get(finding.object)
        seen = Evidence("E1", "state of container api", self.evidence, START, facts=facts)
        return Collected(evidence=(seen,), owners=owners)

    async def health(self, ref: ObjectRef) -> Health:
        self._answers()
        return self.looks.get(ref, Health.GONE)

    async def status(self) -> str:
        return "a stand-in"

    async def close(self) -> None:
        pass

    def _answers(self) -> None:
        if self.away:
            raise ClusterUnavailable("the API server did not answer")


@dataclass
class Model:
    """A model that says the same each time, or is away."""

    error: str = "connection refused"
    away: bool = False
    nonsense: bool = False
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "stand-in"

    async def answer(self, ask: Ask) -> Reply:
        self.asked += 1
        self.arrived.set()
        await self.gate.wait()
        if self.away:
            raise ModelUnavailable(self.error)
        if self.nonsense:
            return Reply(text="No idea.")
        return Reply(text=answer_text(explanation="It fails."), prompt_tokens=0, answer_tokens=9)

    async def warm_up(self) -> None:
        pass

    async def status(self) -> str:
        return "a stand-in"

    async def close(self) -> None:
        pass


@dataclass
class Channel:
    """A place for messages. `roots` is nonce → the incident as it reads now."""

    can_edit: bool = True
    away: bool = False
    lose_answer: bool = False
    refuses: str = ""
    refusal: str = ""
    tries: int = 0
    reply_away: int = 0
    frozen: bool = False
    roots: dict[str, Incident] = field(default_factory=dict)
    digests: dict[str, Digest] = field(default_factory=dict)
    replies: list[NoticeReason] = field(default_factory=list)
    restated: list[Incident] = field(default_factory=list)
    """What a thread said in place of a message that cannot be edited."""
    where: dict[str, str] = field(default_factory=dict)
    """Nonce → the channel that was asked for."""
    called: list[tuple[NoticeReason, tuple[str, ...]]] = field(default_factory=list)
    """Who was mentioned, and for which reason."""
    before_post: Callable[[], None] = lambda: None
    name: str = "stand-in"

    async def post(
        self, incident: Incident, reason: NoticeReason, *, nonce: str, to: Audience = OWN_CHANNEL
    ) -> Posted:
        self._answers()
        assert nonce not in self.roots
        self.roots[nonce] = incident
        self.where[nonce] = to.channel
        if to.mentions:
            self.called.append((reason, to.mentions))
        if self.lose_answer:
            self.lose_answer = False
            raise OutcomeUnknown("no answer")
        return Posted(to.channel or "ops", nonce if self.can_edit else "", refusal=self.refusal)

    async def post_digest(self, digest: Digest, *, nonce: str, channel: str = "") -> Posted:
        self._answers()
        assert nonce not in self.digests
        self.digests[nonce] = digest
        self.where[nonce] = channel
        if self.lose_answer:
            self.lose_answer = False
            raise OutcomeUnknown("no answer")
        return Posted(channel or "ops", nonce if self.can_edit else "", refusal=self.refusal)

    async def edit_digest(self, digest: Digest, posted: Posted) -> None:
        self._answers()
        self.digests[posted.ts] = digest

    async def edit(self, incident: Incident, reason: NoticeReason, posted: Posted) -> Posted:
        self._answers()
        if self.frozen:
            raise MessageFrozen("edit_window_closed")
        self.roots[posted.ts] = incident
        return replace(posted, refusal=self.refusal)

    async def reply(
        self,
        incident: Incident,
        reason: NoticeReason,
        posted: Posted,
        *,
        mentions: tuple[str, ...] = (),
        whole: bool = False,
    ) -> Posted:
        if self.reply_away:
            self.reply_away -= 1
            raise NotifyUnavailable("asked to wait", retry_after=1)
        self.replies.append(reason)
        if whole:
            self.restated.append(incident)
        if mentions:
            self.called.append((reason, mentions))
        return posted

    async def find(self, nonce: str, *, since: datetime, channel: str = "") -> Posted | None:
        self._answers()
        return Posted(channel or "ops", nonce) if self.where.get(nonce) == channel else None

    async def status(self) -> str:
        return "a stand-in"

    async def close(self) -> None:
        pass

    def _answers(self) -> None:
        self.tries += 1
        if self.away:
            raise NotifyUnavailable("Slack cannot be reached")
        if self.refuses:
            raise NotifyRefused(self.refuses)


class Clock:
    """The time, moved by the test alone."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(repr=False)  # asyncio asks for it at each test, and it shows all there is
class Flow:
    """The service's middle, and what is around it."""

    file: Path
    clock: Clock
    cluster: Cluster
    model: Model
    channel: Channel
    database: Database
    door: Door
    worker: Worker
    ids: Callable[[], str]
    muting: Muting
    digests: Digests
    routes: str = "[]"
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        await self.database.write(self._take_up)
        await self.door.sorting.start()
        self._tasks = [
            asyncio.create_task(self.worker.run()),
            asyncio.create_task(self.door.sorting.run()),
        ]

    def _take_up(self, connection: Connection) -> None:
        jobs.release_all(connection)
        jobs.hurry_failed(connection, [jobs.TELL, jobs.FORWARD], now=self.clock.now)

    async def stop(self) -> None:
        await self.worker.stop(grace_seconds=0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.database.close()

    async def restart(self) -> None:
        """Stop without grace and go on with the same file, as after a crash."""
        await self.stop_working()
        await self.start()

    async def stop_working(self) -> None:
        """Only the store and the door are left; what becomes due waits."""
        await self.stop()
        fresh = make_flow(
            self.file, self.clock, self.cluster, self.model, self.channel, self.ids, self.routes
        )
        self.database, self.door, self.worker = fresh.database, fresh.door, fresh.worker
        self.muting, self.digests = fresh.muting, fresh.digests
        self._tasks = []
        self.database.start()

    async def post(self, finding: Finding, *, force: bool = False) -> Receipt:
        """Through the door of people's bodies."""
        return await self.door.accept(
            b"{}", Recognised(finding.dialect, (finding,)), door="test", force=force
        )

    async def after(self, seconds: float) -> None:
        """Let so much time pass and everything happen that is due by then."""
        await self._settled()
        self.clock.now += timedelta(seconds=seconds)
        self.worker.wake()
        await self._settled()
        await self.digests.tell_due()

    async def _settled(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.database.read(self._busy):  # noqa: ASYNC110 — a store has no event
                await asyncio.sleep(0.005)

    def _busy(self, connection: Connection) -> bool:
        due = jobs.next_due(connection, list(self.worker.stages), now=self.clock.now)
        leased = select(func.count()).where(tables.jobs.c.leased_until.is_not(None))
        running = connection.execute(leased).scalar_one()
        return running > 0 or (due is not None and due <= self.clock.now)

    async def incident(self, incident_id: str) -> Incident:
        found = await self.database.read(lambda c: incidents.get(c, incident_id))
        assert found is not None
        return found

    async def reasons(self, incident_id: str) -> list[str]:
        return [str(n.reason) for n in (await self.incident(incident_id)).notices]


def without_secret(text: str) -> str:
    """A redactor that knows one secret."""
    return text.replace("hunter2", "[redacted]")


def make_flow(
    file: Path,
    clock: Clock,
    cluster: Cluster,
    model: Model,
    channel: Channel,
    ids: Callable[[], str],
    routes: str = "[]",
) -> Flow:
    database = Database(open_engine(f"sqlite:///{file}"))
    options = LLMOptions()
    # A circuit that never opens: what it does is proved where it lives.
    circuit = Circuit(clock=iter(range(0, 10**9, 10**4)).__next__)
    muting = Muting(Scope(exclude_namespaces=("sandbox-*",)), clock)
    digests = Digests(
        database=database,
        notifier=channel,
        clock=clock,
        jitter=lambda: 1.0,
        new_id=ids,
        wake=lambda: worker.wake(),
        at=time(9),
        storm_wait=GROUP_WAIT,
        repeat_interval=timedelta(hours=4),
    )
    assessing = Assessing(builtin(), always_ask=True)
    collecting = Collecting(
        database=database,
        cluster=cluster,  # type: ignore[arg-type]
        assess=assessing,
        no_model="",
        clock=clock,
        jitter=lambda: 1.0,
        redact=without_secret,
        group_wait=GROUP_WAIT,
        muting=muting,
    )
    diagnosing = Diagnosing(
        database=database,
        assess=assessing,
        diagnoser=Diagnoser(model, options, circuit=circuit),
        clock=clock,
        jitter=lambda: 1.0,
        redact=without_secret,
    )
    resolving = Resolving(database, cluster, clock, lambda: 1.0, HOLD)  # type: ignore[arg-type]
    telling = Telling(
        database=database,
        notifier=channel,
        rules=TellRules(group_wait=GROUP_WAIT, repeat_interval=timedelta(hours=4)),
        routes=routes_of(load({"AEGIS_ROUTES": routes}).settings.routes, timedelta(hours=4)),
        clock=clock,
        jitter=lambda: 1.0,
        new_id=ids,
        link=str,
        silence_link=lambda incident_id: "",
        muting=muting,
        digests=digests,
    )
    door = Door(database, str, clock, ids, HOLD, lambda: worker.wake(), "east", 1 << 20)
    worker = Worker(
        database=database,
        stages={
            jobs.COLLECT: Stage(collecting.collect, 4),
            jobs.RECHECK: Stage(collecting.recheck, 4),
            jobs.DIAGNOSE: Stage(diagnosing.diagnose, 1),
            jobs.TELL: Stage(telling.tell, 4),
            jobs.RESOLVE: Stage(resolving.resolve, 1),
        },
        clock=clock,
        owner="test",
        posts=lambda: door.sorting.posts,
        redact=without_secret,
        observe=lambda stage, outcome, seconds: None,
    )
    return Flow(
        file, clock, cluster, model, channel, database, door, worker, ids, muting, digests, routes
    )


@pytest.fixture
async def flow(tmp_path: Path) -> AsyncIterator[Flow]:
    """A flow whose cluster and model answer at once."""
    file = tmp_path / "flow.db"
    new_store(file)
    numbers = count(1)
    cluster, model = Cluster(), Model()
    cluster.gate.set()
    model.gate.set()
    flow = make_flow(file, Clock(), cluster, model, Channel(), lambda: f"id{next(numbers):014}")
    flow.database.start()
    await flow.start()
    yield flow
    await flow.stop()


def stated(kind: str, name: str, *errors: str, namespace: str = "shop") -> Finding:
    """What K8sGPT says of any object."""
    return Finding("east", ObjectRef(kind, name, namespace), "result", errors=errors)


def finding(
    name: str = "api-1", *errors: str, dialect: str = "result", gone: bool = False
) -> Finding:
    """What K8sGPT says of a pod; without errors as its slack sink says it."""
    return Finding("east", ObjectRef("Pod", name, "shop"), dialect, errors=errors, gone=gone)
