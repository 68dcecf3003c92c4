"""The reconciler as it runs in the service and in the command: its parts, built and led."""

import asyncio
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import nan

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.cluster.lease import Elector, pod_namespace
from aegis_sink.cluster.results import Pace
from aegis_sink.flow.reconciler import NotListed, Reconciler, Report
from aegis_sink.metrics import Metrics
from aegis_sink.settings import Settings
from aegis_sink.store.database import Database


@dataclass(slots=True)
class Reconciling:
    """The reconciler, on the one replica that leads. Without an elector this is the only one."""

    reconciler: Reconciler
    elector: Elector | None

    async def run(self) -> None:
        """Read Results whenever this replica leads, without end."""
        if self.elector is None:
            await self.reconciler.run()
        else:
            await self.elector.lead(self.reconciler.run)

    @property
    def leading(self) -> bool:
        """Whether it is this replica's turn to read Results."""
        return self.elector is None or self.elector.leading

    @property
    def reads(self) -> bool:
        """Whether this replica reads Results, and can."""
        return self.leading and self.reconciler.reads

    async def once(self) -> Report:
        """Have a list taken now; NotListed with the reason when this replica cannot."""
        if not self.leading:
            assert self.elector is not None
            raise NotListed(f"this replica does not read Results: {self.elector.state}")
        return await self.reconciler.once()

    async def status(self) -> str:
        """One line for `/readyz`."""
        if self.elector is None:
            return self.reconciler.status()
        if not self.elector.leading:
            return self.elector.state
        return f"{self.reconciler.status()}; this replica {self.elector.state}"


def build_reconciling(
    settings: Settings,
    cluster: KubernetesCluster,
    database: Database,
    *,
    redact: Callable[[str], str],
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
    wake: Callable[[], None],
    metrics: Metrics,
) -> Reconciling:
    """The reconciler of a cluster; with a Lease where there is a namespace to keep it in."""
    reconciler = Reconciler(
        database=database,
        results=cluster.results(
            Pace(resync=settings.resync_interval.total_seconds()),
            jitter=random.random,
            restarted=metrics.count_restart,
        ),
        redact=redact,
        clock=clock,
        new_id=new_id,
        wake=wake,
        cluster=settings.cluster_name,
        hold=settings.resolve_hold,
    )
    namespace = settings.lease_namespace or pod_namespace()
    elector = None
    if namespace:
        identity = f"{socket.gethostname()}_{os.getpid()}_{new_id()}"
        elector = cluster.elector(
            namespace, settings.lease_name, identity, jitter=random.random, clock=clock
        )
        reconciler.leads = elector.holds
    reconciling = Reconciling(reconciler, elector)

    def listed_seconds() -> float:
        at = reconciler.listed_at
        return nan if at is None else (clock() - at).total_seconds()

    metrics.watch_results(
        seen=lambda: reconciler.seen,
        listed_seconds=listed_seconds,
        held=lambda: sum(held.incidents for held in reconciler.held),
        leading=lambda: float(reconciling.leading),
        reading=lambda: float(reconciling.reads),
    )
    return reconciling


async def reconcile_now(reconciling: Reconciling, *, seconds: float) -> Report:
    """`once`, within a time; NotListed when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await reconciling.once()
    except TimeoutError as error:
        raise NotListed(f"the list was not taken in within {seconds:g} s") from error
