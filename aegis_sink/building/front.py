"""The HTTP side: every route behind its gate."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import StatelessLifespan

from aegis_sink.building.buttons import Buttons
from aegis_sink.building.links import Links
from aegis_sink.building.secret_settings import plain
from aegis_sink.flow.door import Door
from aegis_sink.flow.muting import Muting
from aegis_sink.flow.progress import Progress
from aegis_sink.flow.reconciler import Report
from aegis_sink.flow.replay import Replay
from aegis_sink.flow.worker import Worker
from aegis_sink.intake.authentication import ApiGate, WebhookGate
from aegis_sink.intake.findings import FindingsDoor
from aegis_sink.intake.front import Front
from aegis_sink.intake.problem import failed, refused
from aegis_sink.intake.receipt import Receipt
from aegis_sink.intake.webhook import WebhookDoor
from aegis_sink.metrics import Metrics
from aegis_sink.settings import Settings, is_loopback
from aegis_sink.store.quarantine import Quarantined
from aegis_sink.web.api import Api
from aegis_sink.web.guard import Guard
from aegis_sink.web.health import Health
from aegis_sink.web.openapi import schema_routes
from aegis_sink.web.reconcile import ReconcileApi
from aegis_sink.web.silences import SilenceApi
from aegis_sink.web.slack import SlackActions


def build_front(
    settings: Settings,
    *,
    signatures: tuple[str, ...],
    door: Door,
    worker: Worker,
    progress: Progress,
    muting: Muting,
    links: Links,
    buttons: Buttons | None,
    look: Callable[[], Awaitable[Report]] | None,
    metrics: Metrics,
    dependencies: Mapping[str, Callable[[], Awaitable[str]]],
    lifespan: StatelessLifespan[Starlette],
) -> Front:
    """What uvicorn serves. `look` has a list of Results taken now; `dependencies` tell `/readyz`
    their state; `lifespan` runs the rest."""
    gate = ApiGate(
        plain(settings.api_token),
        signatures,
        closed=not (is_loopback(settings.host) or settings.allow_unauthenticated),
    )
    guard = Guard(gate, door.sorting.settle)
    replay = Replay(door.database, door, settings.cluster_name)

    async def replay_bodies(incident_id: str) -> list[dict[str, object]]:
        return _incidents(await replay.incident(incident_id), links)

    async def retry_quarantined(item: Quarantined) -> dict[str, object]:
        receipt = await replay.quarantined(item)
        incidents = _incidents([receipt], links)
        return {"status": receipt.status, "id": receipt.id, "incidents": incidents}

    api = Api(
        database=door.database,
        guard=guard,
        progress=progress,
        clock=door.clock,
        link=links.incident,
        wake=worker.wake,
        replay_bodies=replay_bodies,
        retry_quarantined=retry_quarantined,
    )
    post = WebhookDoor(
        door.post,
        door.quarantine,
        WebhookGate(plain(settings.webhook_token)),
        cluster=settings.cluster_name,
        count=metrics.count_post,
    )
    post_findings = FindingsDoor(
        door.accept, api.describe, gate, cluster=settings.cluster_name, count=metrics.count_post
    )
    silences = SilenceApi(door.database, guard, muting, door.clock, door.new_id, worker.wake)
    desk = buttons.desk if buttons else None
    pressed = SlackActions(plain(settings.slack_signing_secret), desk, door.clock)
    health = Health(door.database, metrics, lambda: worker.alive, dependencies)
    app = Starlette(
        routes=[
            Route("/v1/findings", post_findings),
            *api.routes(),
            *ReconcileApi(gate, look).routes(),
            *pressed.routes(),
            *silences.routes(),
            *health.routes(),
            *schema_routes(),
        ],
        exception_handlers={HTTPException: refused, Exception: failed},
        lifespan=lifespan,
    )
    # A redirect would turn a POST into a GET without a body (facts/k8sgpt.md §1.4).
    app.router.redirect_slashes = False
    return Front(post, app)


def _incidents(receipts: list[Receipt], links: Links) -> list[dict[str, object]]:
    created = {item.incident_id: item.created for r in reversed(receipts) for item in r.items}
    created |= {item.incident_id: True for r in receipts for item in r.items if item.created}
    return [{"id": i, "url": links.incident(i), "created": new} for i, new in created.items()]
