"""The service: builds the parts from the settings, starts them, and stops them in order."""

import asyncio
import fcntl
import logging
import os
import random
import secrets
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from aegis_sink.buttons import Buttons, build_buttons, have_buttons
from aegis_sink.cluster.client import KubernetesCluster, NoCluster, connect
from aegis_sink.diagnosis.diagnoser import Call, Diagnoser, Trust
from aegis_sink.diagnosis.errors import LLMError
from aegis_sink.diagnosis.model import LLMOptions, build_model
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.flow.digests import Digests
from aegis_sink.flow.door import Door
from aegis_sink.flow.forwarding import Forwarding
from aegis_sink.flow.inbox import Sorting
from aegis_sink.flow.muting import Muting
from aegis_sink.flow.progress import Progress
from aegis_sink.flow.replay import Replay
from aegis_sink.flow.resolving import Resolving
from aegis_sink.flow.retention import keep_dropping
from aegis_sink.flow.stages import Investigation
from aegis_sink.flow.telling import Telling
from aegis_sink.flow.worker import Stage, Worker
from aegis_sink.intake.authentication import ApiGate, WebhookGate, signing_secrets
from aegis_sink.intake.findings import FindingsDoor
from aegis_sink.intake.front import Front
from aegis_sink.intake.problem import failed, refused
from aegis_sink.intake.receipt import Receipt
from aegis_sink.intake.webhook import WebhookDoor
from aegis_sink.metrics import Metrics
from aegis_sink.model.codec import incident_to_json
from aegis_sink.notify.forward import CloudEventsForwarder
from aegis_sink.notify.notifier import Notifier
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from aegis_sink.notify.terminal import TerminalNotifier
from aegis_sink.notify.webhook import SlackWebhook
from aegis_sink.reconciling import Reconciling, build_reconciling, reconcile_now
from aegis_sink.routes import routes_of
from aegis_sink.settings import Settings, SettingsError, is_loopback
from aegis_sink.store import installation, jobs
from aegis_sink.store.database import Connection, Database, open_engine
from aegis_sink.store.errors import StoreUnusable
from aegis_sink.store.quarantine import Quarantined
from aegis_sink.store.schema import migrate
from aegis_sink.triage.muting import Scope
from aegis_sink.triage.tell import TellRules
from aegis_sink.web.api import Api
from aegis_sink.web.guard import Guard
from aegis_sink.web.health import Health
from aegis_sink.web.openapi import schema_routes
from aegis_sink.web.reconcile import ReconcileApi
from aegis_sink.web.silences import SilenceApi
from aegis_sink.web.slack import SlackActions

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


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


_ids: list[str] = []


def new_id() -> str:
    """Sixteen random hex digits: incidents, deliveries, nonces. They guard nothing.

    Drawn from the system a page at a time: one call for each would cost more than parsing a body.
    """
    while True:
        try:
            return _ids.pop()  # atomic: the writer's thread draws here too
        except IndexError:
            drawn = secrets.token_hex(8 * 256)
            _ids.extend(drawn[n : n + 16] for n in range(0, len(drawn), 16))


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
    signatures = _signing_secrets("AEGIS_SIGNING_SECRET", settings.signing_secret)
    forwarder = _forwarder(settings, clock)
    monotonic = asyncio.get_running_loop().time
    database, redact, lock = await _open(settings)
    metrics = Metrics()
    progress = Progress()
    cluster = await connect(
        settings.kubernetes,
        redact=redact,
        now=clock,
        clock=monotonic,
        results_namespace=settings.results_namespace or "",
    )
    notifier = _notifier(settings, write, now=clock, pacer=Pacer(clock=monotonic))
    diagnoser = _diagnoser(settings, metrics, clock=monotonic)

    def observe(stage: str, outcome: str, seconds: float) -> None:
        metrics.observe_job(stage, outcome, seconds)
        progress.step()
        digests.look()

    def link(incident_id: str) -> str:
        base = (settings.public_url or public_address()).rstrip("/")
        return f"{base}/v1/incidents/{incident_id}" if base else f"/v1/incidents/{incident_id}"

    def silence_link(incident_id: str) -> str:
        base = (settings.public_url or "").rstrip("/")
        return f"{base}/v1/silences/preview?incident={incident_id}" if base else ""

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
    investigation = Investigation(
        database=database,
        cluster=cluster,
        playbooks=playbooks,
        diagnoser=diagnoser,
        no_model_note="no model is configured (AEGIS_LLM_API=off)",
        clock=clock,
        jitter=random.random,
        redact=redact,
        group_wait=settings.group_wait,
        muting=muting,
        always_ask=settings.llm_always_ask,
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
        link=lambda incident_id: link(incident_id) if settings.public_url else "",
        silence_link=silence_link,
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
        jobs.COLLECT: Stage(investigation.collect, COLLECT_AT_ONCE),
        jobs.DIAGNOSE: Stage(investigation.diagnose, settings.llm_concurrency),
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
    replay = Replay(database, door, settings.cluster_name)
    gate = ApiGate(
        _secret(settings.api_token),
        signatures,
        closed=not (is_loopback(settings.host) or settings.allow_unauthenticated),
    )

    async def replay_bodies(incident_id: str) -> list[dict[str, object]]:
        return _incidents(await replay.incident(incident_id), link)

    async def retry_quarantined(item: Quarantined) -> dict[str, object]:
        receipt = await replay.quarantined(item)
        return {
            "status": receipt.status,
            "id": receipt.id,
            "incidents": _incidents([receipt], link),
        }

    guard = Guard(gate, door.sorting.settle)
    api = Api(
        database=database,
        guard=guard,
        progress=progress,
        clock=clock,
        link=link,
        wake=worker.wake,
        replay_bodies=replay_bodies,
        retry_quarantined=retry_quarantined,
    )
    slack_actions = SlackActions(
        _secret(settings.slack_signing_secret), buttons.desk if buttons else None, clock
    )
    post = WebhookDoor(
        door.post,
        door.quarantine,
        WebhookGate(_secret(settings.webhook_token)),
        cluster=settings.cluster_name,
        count=metrics.count_post,
    )
    post_findings = FindingsDoor(
        door.accept,
        api.describe,
        gate,
        cluster=settings.cluster_name,
        count=metrics.count_post,
    )
    dependencies = {"kubernetes": cluster.status, "messages": notifier.status}
    if diagnoser is not None:
        dependencies["model"] = diagnoser.status
    if forwarder is not None:
        dependencies["forward"] = forwarder.status
    if buttons is not None and buttons.socket is not None:
        dependencies["buttons"] = buttons.socket.status
    if reconciling is not None:
        dependencies["results"] = reconciling.status
    health = Health(database, metrics, lambda: worker.alive, dependencies)

    app = Starlette(
        routes=[
            Route("/v1/findings", post_findings),
            *api.routes(),
            *ReconcileApi(gate, look).routes(),
            *slack_actions.routes(),
            *SilenceApi(database, guard, muting, clock, new_id, worker.wake).routes(),
            *health.routes(),
            *schema_routes(),
        ],
        exception_handlers={HTTPException: refused, Exception: failed},
    )
    # A redirect would turn a POST into a GET without a body (facts/k8sgpt.md §1.4).
    app.router.redirect_slashes = False
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
        app=Front(post, app),
        metrics=metrics,
        clock=clock,
        lock=lock,
    )
    app.router.lifespan_context = service.running
    return service


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Database, Redactor]]:
    """The database for a command that writes while no service runs. StoreUnusable."""
    database, redact, lock = await _open(settings)
    try:
        yield database, redact
    finally:
        await database.close()
        if lock is not None:
            lock.close()


async def _open(settings: Settings) -> tuple[Database, Redactor, TextIO | None]:
    """The database, in this version's schema and locked for this process, and its redactor."""
    engine = open_engine(settings.database_url.get_secret_value())
    lock = _lock(engine.url.database)
    try:
        migrate(engine)
    except StoreUnusable:
        engine.dispose()
        if lock is not None:
            lock.close()
        raise
    database = Database(engine)
    database.start()
    fresh_key = secrets.token_bytes(32)
    key = await database.write(lambda c: installation.redaction_key(c, fresh_key))
    redact = Redactor(key, emails=settings.redact_emails)
    return database, redact, lock


def _notifier(
    settings: Settings,
    write: Callable[[str], object],
    *,
    now: Callable[[], datetime],
    pacer: Pacer,
) -> Notifier:
    if settings.slack_bot_token is not None:
        assert settings.slack_channel is not None  # the settings refuse a token without one
        return SlackBot(
            settings.slack_bot_token.get_secret_value(),
            settings.slack_channel,
            api_url=settings.slack_api_url,
            buttons=have_buttons(settings),
            now=now,
            pacer=pacer,
        )
    if settings.slack_webhook_url is not None:
        return SlackWebhook(settings.slack_webhook_url.get_secret_value(), now=now, pacer=pacer)
    return TerminalNotifier(lambda text: _write_out(write, text), program=_program(), now=now)


def _forwarder(settings: Settings, clock: Callable[[], datetime]) -> CloudEventsForwarder | None:
    if settings.forward_url is None:
        return None
    return CloudEventsForwarder(
        settings.forward_url.get_secret_value(),
        encode=incident_to_json,
        signing_secrets=_signing_secrets("AEGIS_FORWARD_SECRET", settings.forward_secret),
        now=clock,
    )


def _program() -> str:
    """What a person types to run this program: its path where the name alone is not found."""
    called = sys.argv[0]
    if shutil.which("aegis-sink") is None and Path(called).name == "aegis-sink":
        return called
    return "aegis-sink"


def _write_out(write: Callable[[str], object], text: str) -> None:
    write(text)
    sys.stdout.flush()


def model_options(settings: Settings) -> LLMOptions:
    """The model settings as the model's adapters take them."""
    return LLMOptions(
        api=settings.llm_api,
        url=settings.llm_url,
        model=settings.llm_model,
        num_ctx=settings.llm_num_ctx,
        concurrency=settings.llm_concurrency,
        first_byte_timeout=settings.llm_first_byte_timeout.total_seconds(),
        idle_timeout=settings.llm_idle_timeout.total_seconds(),
        deadline=settings.llm_deadline.total_seconds(),
        token=_secret(settings.llm_token) or "",
        allow_cloud=settings.llm_allow_cloud,
    )


def _diagnoser(
    settings: Settings, metrics: Metrics, *, clock: Callable[[], float]
) -> Diagnoser | None:
    options = model_options(settings)
    model = build_model(options)
    if model is None:
        return None

    def observe(call: Call) -> None:
        metrics.observe_model(
            call.outcome,
            seconds=call.seconds,
            queue_seconds=call.queue_seconds,
            load_seconds=call.load_seconds,
            prompt_tokens=call.prompt_tokens,
            answer_tokens=call.answer_tokens,
            answer_seconds=call.answer_seconds,
            window_used=call.window_used,
            dropped=call.dropped,
        )

    return Diagnoser(model, options, trust=Trust(settings.llm_trust), observe=observe, clock=clock)


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


def _incidents(receipts: list[Receipt], link: Callable[[str], str]) -> list[dict[str, object]]:
    created = {item.incident_id: item.created for r in reversed(receipts) for item in r.items}
    created |= {item.incident_id: True for r in receipts for item in r.items if item.created}
    return [{"id": i, "url": link(i), "created": new} for i, new in created.items()]


def _signing_secrets(name: str, value: SecretStr | None) -> tuple[str, ...]:
    try:
        return signing_secrets(_secret(value) or "")
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _lock(database: str | None) -> TextIO | None:
    """One service a SQLite file: two would take each other's jobs."""
    if not database or database == ":memory:":
        return None
    path = Path(f"{database}.lock")
    try:
        lock = path.open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise
    except BlockingIOError as error:
        raise StoreUnusable(
            f"another aegis-sink works on {database} (it holds {path}); stop it, or give this one "
            "its own AEGIS_DATABASE_URL"
        ) from error
    except OSError as error:
        raise StoreUnusable(
            f"{path} cannot be written: {error.strerror}; the database's folder must exist and be "
            "writable"
        ) from error
    return lock
