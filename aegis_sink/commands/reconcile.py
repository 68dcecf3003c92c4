"""`aegis-sink reconcile --once`: list the Results now and say what was found."""

from dataclasses import asdict
from typing import Annotated

import typer

from aegis_sink.ambient import new_id, utc_now
from aegis_sink.building.database import opened
from aegis_sink.building.reconciling import build_reconciling
from aegis_sink.client import ClientError, Refused
from aegis_sink.cluster.client import NoCluster, connect
from aegis_sink.commands.terminal import (
    AsJson,
    Url,
    client,
    fail,
    out,
    print_json,
    run,
    settings_as_set,
)
from aegis_sink.flow.reconciler import NotListed
from aegis_sink.metrics import Metrics
from aegis_sink.settings import Settings

Answer = dict[str, object]


def reconcile_command(
    once: Annotated[bool, typer.Option("--once", help="List once and stop.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the cluster's Results now, take in what is new, and say what was found."""
    if not once:
        raise typer.BadParameter("add --once: to go on watching Results is what `serve` does")
    settings = settings_as_set().settings
    try:
        found = run(_anyhow(settings, url))
    except NotListed as error:
        fail(f"the Results were not listed: {error}")
    if as_json:
        print_json(found)
        return
    words = ("new", "changed", "known", "gone", "unreadable")
    out.print(
        ", ".join(f"{found[word]} {word}" for word in words if found.get(word)) or "no Results"
    )
    if found["by"] == "command" and found.get("new"):
        out.print("no service runs: their messages go out when `aegis-sink serve` does")


async def _anyhow(settings: Settings, url: str | None) -> Answer:
    """Through the running service, which holds the database; by ourselves where none runs."""
    try:
        async with client(url) as service:
            return {**await service.reconcile(), "by": "service"}
    except Refused:
        raise
    except ClientError:
        if url is not None:
            raise
        return await _alone(settings)


async def _alone(settings: Settings) -> Answer:
    async with opened(settings) as (database, redact):
        cluster = await connect(
            settings.kubernetes, redact=redact, results_namespace=settings.results_namespace or ""
        )
        try:
            if isinstance(cluster, NoCluster):
                raise NotListed(await cluster.status())
            reconciling = build_reconciling(
                settings,
                cluster,
                database,
                redact=redact,
                clock=utc_now,
                new_id=new_id,
                wake=lambda: None,
                metrics=Metrics(),
            )
            # No lease: who holds the database's lock is the only one.
            return {**asdict(await reconciling.reconciler.look()), "by": "command"}
        finally:
            await cluster.close()
