"""The service: builds the parts from the settings, starts them, and stops them in order."""

import asyncio
import logging
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TextIO

from starlette.applications import Starlette

from aegis_sink.ambient import new_id, utc_now
from aegis_sink.building.buttons import Buttons, build_buttons, have_buttons
from aegis_sink.building.database import open_database
from aegis_sink.building.front import build_front
from aegis_sink.building.links import Links
from aegis_sink.building.messages import build_forwarder, build_notifier
from aegis_sink.building.model import build_diagnoser
from aegis_sink.building.reconciling import Reconciling, build_reconciling, reconcile_now
from aegis_sink.building.secret_settings import signing_secrets_of
from aegis_sink.cluster.client import KubernetesCluster, NoCluster, connect
from aegis_sink.diagnosis.diagnoser import Diagnoser
from aegis_sink.diagnosis.errors import LLMError
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.flow.collecting import Collecting
from aegis_sink.flow.diagnosing import Assessing, Diagnosing
from aegis_sink.flow.digests import Digests
from aegis_sink.flow.door import Door
from aegis_sink.flow.forwarding import Forwarding
from aegis_sink.flow.inbox import Sorting
from aegis_sink.flow.muting import Muting
from aegis_sink.flow.progress import Progress
from aegis_sink.flow.resolving import Resolving
from aegis_sink.flow.retention import keep_dropping
from aegis_sink.flow.telling import Telling
from aegis_sink.flow.worker import Stage, Worker
from aegis_sink.intake.front import Front
from aegis_sink.metrics import Metrics
from aegis_sink.notify.forward import CloudEventsForwarder
from aegis_sink.notify.notifier import Notifier
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from aegis_sink.routes import routes_of
from aegis_sink.settings import Settings
from aegis_sink.store import jobs
from aegis_sink.store.database import Connection, Database
from aegis_sink.triage.muting import Scope
from aegis_sink.triage.tell import TellRules

log = logging.getLogger(__name__)

RESTART_SECONDS = 5.0
STOP_GRACE_SECONDS = 10.0
LIST_SECONDS = 300.0
"""How long who asks for a list waits for it: 10,000 new Results take about ten seconds."""
# Jobs that run side by side share commits; the cluster's client and Slack's pace hold them back.
COLLECT_AT_ONCE = 16
TELL_AT_ONCE = 16
RESOLVE_AT_ONCE = 4
PRESS_AT_ONCE = 4
FORWARD_AT_ONCE = 2


@dataclass(slots=True)
class Service:
    """Everything that runs in one process. `app` is what uvicorn serves."""

    settings: Settings
    database: Database
    sorting: Sorting
    cluster: KubernetesCluster | NoCluster
    notifier: Notifier
    forwarder: CloudEventsForwarder | None
    diagnoser: Diagnoser | None
    worker: Worker
    digests: Digests
    reconciling: Reconciling | None
    buttons: Buttons | None
    app: Front
    metrics: Metrics
    clock: Callable[[], datetime]
    lock: TextIO | None

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """Start the worker and its companions; on the way out stop taking, wait, abort."""
        await self.database.write(self._take_up)
        await self.sorting.start()
        tasks = [
            asyncio.create_task(self.worker.run(), name="worker"),
            asyncio.create_task(self.sorting.run(), name="inbox"),
        ]
        companions: dict[str, Callable[[], Awaitable[None]]] = {
            "digests": self.digests.run,
            "retention": partial(
                keep_dropping,
                self.database,
                clock=self.clock,
                retention=self.settings.retention,
                quarantine_max_bytes=self.settings.quarantine_max_bytes,
            ),
        }
        if self.buttons is not None and self.buttons.socket is not None:
            companions["socket-mode"] = self.buttons.socket.run
        if self.reconciling is not None:
            companions["reconciler"] = self.reconciling.run
        tasks += [
            asyncio.create_task(_again_and_again(name, run), name=name)
            for name, run in companions.items()
        ]
        if self.diagnoser is not None:
            tasks.append(asyncio.create_task(_warm_up(self.diagnoser), name="warm-up"))
        log.info("kubernetes: %s; messages: %s", await self.cluster.status(), self.notifier.name)
        try:
            yield
        finally:
            await self.worker.stop(grace_seconds=STOP_GRACE_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()

    def _take_up(self, connection: Connection) -> None:
        """What the process before this one left."""
        jobs.release_all(connection)
        jobs.hurry_failed(connection, (jobs.TELL, jobs.FORWARD), now=self.clock())

    async def close(self) -> None:
        """Let go of connections and files."""
        if self.buttons is not None:
            await self.buttons.close()
        if self.diagnoser is not None:
            await self.diagnoser.close()
        await self.notifier.close()
        if self.forwarder is not None:
            await self.forwarder.close()
        await self.cluster.close()
        await self.database.close()
        if self.lock is not None:
            self.lock.close()


async def build(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    write: Callable[[str], object] = sys.stdout.write,
    public_address: Callable[[], str] = lambda: "",
) -> Service:
    """A service from settings; SettingsError or StoreUnusable when it cannot be.

    `public_address` is asked for links when AEGIS_PUBLIC_URL is not set.
    """
    folders = (Path(settings.playbooks_dir),) if settings.playbooks_dir else ()
    playbooks = Playbooks.load(*folders, runbook_url=settings.runbook_url or "")
    signatures = signing_secrets_of("AEGIS_SIGNING_SECRET", settings.signing_secret)
    forwarder = build_forwarder(settings, clock)
    monotonic = asyncio.get_running_loop().time
    database, redact, lock = await open_database(settings)
    metrics = Metrics()
    progress = Progress()
    links = Links(settings.public_url or "", public_address)
    cluster = await connect(
        settings.kubernetes,
        redact=redact,
        now=clock,
        clock=monotonic,
        results_namespace=settings.results_namespace or "",
    )
    notifier = build_notifier(settings, write, now=clock, pacer=Pacer(clock=monotonic))
    diagnoser = build_diagnoser(settings, metrics, clock=monotonic)

    def observe(stage: str, outcome: str, seconds: float) -> None:
        metrics.observe_job(stage, outcome, seconds)
        progress.step()
        digests.look()

    muting = Muting(
        Scope(
            settings.namespaces,
            settings.exclude_namespaces,
            settings.kinds,
            settings.exclude_kinds,
        ),
        clock,
    )
    routes = routes_of(settings.routes, settings.repeat_interval)
    digests = Digests(
        database=database,
        notifier=notifier,
        clock=clock,
        jitter=random.random,
        new_id=new_id,
        wake=lambda: worker.wake(),
        at=settings.digest_at,
        storm_wait=settings.group_wait,
        repeat_interval=routes.shortest_interval,
    )
    assessing = Assessing(playbooks, always_ask=settings.llm_always_ask)
    collecting = Collecting(
        database=database,
        cluster=cluster,
        assess=assessing,
        no_model="" if diagnoser else "no model is configured (AEGIS_LLM_API=off)",
        clock=clock,
        jitter=random.random,
        redact=redact,
        group_wait=settings.group_wait,
        muting=muting,
    )
    diagnosing = Diagnosing(
        database=database,
        assess=assessing,
        diagnoser=diagnoser,
        clock=clock,
        jitter=random.random,
        redact=redact,
    )
    resolving = Resolving(database, cluster, clock, random.random, settings.resolve_hold)
    telling = Telling(
        database=database,
        notifier=notifier,
        routes=routes,
        rules=TellRules(
            group_wait=settings.group_wait,
            repeat_interval=settings.repeat_interval,
            hints=settings.hints,
        ),
        clock=clock,
        jitter=random.random,
        new_id=new_id,
        link=links.told,
        silence_link=links.silence,
        muting=muting,
        digests=digests,
    )
    door = Door(
        database=database,
        redact=redact,
        clock=clock,
        new_id=new_id,
        resolve_hold=settings.resolve_hold,
        wake=lambda: worker.wake(),
        cluster=settings.cluster_name,
        quarantine_max_bytes=settings.quarantine_max_bytes,
    )
    stages = {
        jobs.COLLECT: Stage(collecting.collect, COLLECT_AT_ONCE),
        jobs.RECHECK: Stage(collecting.recheck, COLLECT_AT_ONCE),
        jobs.DIAGNOSE: Stage(diagnosing.diagnose, settings.llm_concurrency),
        jobs.TELL: Stage(telling.tell, TELL_AT_ONCE),
        jobs.RESOLVE: Stage(resolving.resolve, RESOLVE_AT_ONCE),
    }
    if forwarder is not None:
        forwarding = Forwarding(
            database=database,
            notifier=forwarder,
            rules=telling.rules,
            clock=clock,
            jitter=random.random,
            new_id=new_id,
            link=telling.link,
            muting=muting,
        )
        stages[jobs.TELL] = Stage(forwarding.beside(telling.tell), TELL_AT_ONCE)
        stages[jobs.FORWARD] = Stage(forwarding.forward, FORWARD_AT_ONCE)
    buttons = None
    if isinstance(notifier, SlackBot) and have_buttons(settings):
        buttons = build_buttons(
            settings,
            database=database,
            members=notifier.group_members,
            clock=clock,
            wake=lambda: worker.wake(),
        )
        stages[jobs.PRESS] = Stage(buttons.pressing.press, PRESS_AT_ONCE)
    worker = Worker(
        database=database,
        stages=stages,
        clock=clock,
        owner=f"{socket.gethostname()}-{os.getpid()}"[:64],
        redact=redact,
        observe=observe,
        posts=lambda: door.sorting.posts,
    )
    reconciling = None
    look = None
    if isinstance(cluster, KubernetesCluster):
        reconciling = build_reconciling(
            settings,
            cluster,
            database,
            redact=redact,
            clock=clock,
            new_id=new_id,
            wake=worker.wake,
            metrics=metrics,
        )
        look = partial(reconcile_now, reconciling, seconds=LIST_SECONDS)
    dependencies = {"kubernetes": cluster.status, "messages": notifier.status}
    if diagnoser is not None:
        dependencies["model"] = diagnoser.status
    if forwarder is not None:
        dependencies["forward"] = forwarder.status
    if buttons is not None and buttons.socket is not None:
        dependencies["buttons"] = buttons.socket.status
    if reconciling is not None:
        dependencies["results"] = reconciling.status
    front = build_front(
        settings,
        signatures=signatures,
        door=door,
        worker=worker,
        progress=progress,
        muting=muting,
        links=links,
        buttons=buttons,
        look=look,
        metrics=metrics,
        dependencies=dependencies,
        lifespan=lambda app: service.running(app),
    )
    service = Service(
        settings=settings,
        database=database,
        sorting=door.sorting,
        cluster=cluster,
        notifier=notifier,
        forwarder=forwarder,
        diagnoser=diagnoser,
        worker=worker,
        digests=digests,
        buttons=buttons,
        reconciling=reconciling,
        app=front,
        metrics=metrics,
        clock=clock,
        lock=lock,
    )
    return service


async def _again_and_again(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Begin anew what fails in a way nobody foresaw: that it had ended would be seen by nobody."""
    while True:
        try:
            return await run()
        except Exception:
            log.exception("%s failed, it begins again", name)
        await asyncio.sleep(RESTART_SECONDS)


async def _warm_up(diagnoser: Diagnoser) -> None:
    try:
        await diagnoser.warm_up()
    except LLMError as error:
        log.warning(
            "the model is not ready: %s; incidents are answered by playbooks meanwhile", error
        )
