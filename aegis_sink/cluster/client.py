"""KubernetesCluster and NoCluster: this room as the rest of the program sees it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal

from aegis_sink.cluster import completion, owners
from aegis_sink.cluster.collectors import collector
from aegis_sink.cluster.configuration import configured_by, lost_kubeconfig
from aegis_sink.cluster.connection import Connection
from aegis_sink.cluster.discovery import Discovery
from aegis_sink.cluster.errors import ClusterError, ClusterUnavailable
from aegis_sink.cluster.health import Health, judge
from aegis_sink.cluster.lease import Elector
from aegis_sink.cluster.owners import FromName
from aegis_sink.cluster.packer import DEFAULT_TOKENS, pack
from aegis_sink.cluster.reader import Budget, Reader
from aegis_sink.cluster.results import Pace, Results
from aegis_sink.cluster.shared import Shared
from aegis_sink.cluster.siblings import likeness, siblings
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import Collected, Finding, ObjectRef, OwnerChain

Redact = Callable[[str], str]

SHARED_SECONDS = 15.0
"""How long siblings share an answer. Short: evidence must be of now."""
VERSION_BYTES = 65_536
DEFAULT_BUDGET = Budget()


async def connect(
    mode: Literal["auto", "off"],
    *,
    redact: Redact,
    results_namespace: str = "",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
) -> "KubernetesCluster | NoCluster":
    """The cluster that is configured: in-cluster, else kubeconfig, else none.

    Only looks whether a configuration is there. It is read, and the API server asked, when the
    first question comes, so that an API server that is away prevents no start.
    """
    if mode == "off":
        return NoCluster("AEGIS_KUBERNETES=off")
    if not configured_by():
        lost = lost_kubeconfig()
        if lost:
            return NoCluster(f"KUBECONFIG={lost} is not there")
        return NoCluster("no cluster configured", "run in one, or set KUBECONFIG")
    return KubernetesCluster(
        Connection(now=now),
        redact=redact,
        results_namespace=results_namespace,
        now=now,
        clock=clock,
    )


class KubernetesCluster:
    """Read-only questions to one API server. Safe to ask many at once."""

    def __init__(
        self,
        connection: Connection,
        *,
        redact: Redact,
        results_namespace: str = "",
        budget: Budget = DEFAULT_BUDGET,
        tokens: int = DEFAULT_TOKENS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._redact = redact
        self._results_namespace = results_namespace
        self._budget = budget
        self._tokens = tokens
        self._now = now
        self._clock = clock
        self._discovery = Discovery(connection, clock=clock)
        self._chains: Shared[object, OwnerChain] = Shared(SHARED_SECONDS, clock=clock)
        self._collected: Shared[object, Collected] = Shared(SHARED_SECONDS, clock=clock)

    async def complete(self, finding: Finding) -> Finding:
        """The finding with `errors`, `details` and `result` from its Result object.

        Unchanged when it needs none or there is no such Result. Raises ClusterUnavailable (ask
        again later) and ClusterRefused (holds the RBAC rule that is missing).
        """
        if not finding.needs_completion:
            return finding
        async with self._in_time():
            return await completion.complete(
                finding, self._reader(), self._redact, self._results_namespace
            )

    async def owners(self, finding: Finding, from_name: FromName) -> OwnerChain:
        """From the finding's object up to its last owner.

        `from_name` tells owners by an object's name, for objects that are gone or unreadable.
        Raises ClusterUnavailable.
        """
        ref = finding.object
        async with self._in_time():
            chain = await self._chains.get(
                siblings(ref), lambda: owners.owners(finding, self._reader(), from_name)
            )
            if chain.chain[0] == ref:
                return chain
            # A sibling's answer. It holds for this object when its owner made both names.
            if len(chain.chain) > 1 and siblings(ref) == siblings(chain.chain[0]):
                return OwnerChain((ref, *chain.chain[1:]), chain.how)
            return await owners.owners(finding, self._reader(), from_name)

    async def collect(self, finding: Finding, owners: OwnerChain) -> Collected:
        """Evidence for a finding, redacted and packed. Never raises: `missing` says what lacks.

        Findings that say the same of siblings under one subject share one collection.
        """
        return await self._collected.get(
            likeness(finding, owners.subject), lambda: self._collect(finding, owners)
        )

    async def health(self, ref: ObjectRef) -> Health:
        """Does this object look well now? Raises ClusterUnavailable."""
        finding = Finding("", ref, "")
        async with self._in_time():
            visit = Visit(
                finding,
                OwnerChain((ref,), ""),
                self._reader(),
                self._redact,
                now=self._connection.server_time(self._now()),
            )
            return await judge(visit)

    def results(
        self, pace: Pace, *, jitter: Callable[[], float], restarted: Callable[[str], None]
    ) -> Results:
        """The stream of this cluster's Results."""
        return Results(self._connection, self._results_namespace, pace, jitter, restarted)

    def elector(
        self,
        namespace: str,
        name: str,
        identity: str,
        *,
        jitter: Callable[[], float],
        clock: Callable[[], datetime],
    ) -> Elector:
        """Who of several replicas reads the Results."""
        return Elector(self._connection, namespace, name, identity, jitter, clock)

    async def status(self) -> str:
        """One line: "reachable, v1.36.3" or "unreachable: …"."""
        try:
            body = await self._connection.read_path("/version", most_bytes=VERSION_BYTES)
            return f"reachable, {body.document().text('gitVersion') or 'version unknown'}"
        except ClusterError as error:
            return f"unreachable: {error}"

    async def close(self) -> None:
        """Close all connections, after what still reads through them."""
        await self._collected.close()
        await self._chains.close()
        await self._connection.close()

    async def _collect(self, finding: Finding, owners: OwnerChain) -> Collected:
        started = self._clock()
        now = self._now()
        reader = self._reader()
        visit = Visit(finding, owners, reader, self._redact, now=self._connection.server_time(now))
        try:
            async with asyncio.timeout(self._budget.seconds):
                await collector(finding.object)(visit)
        except TimeoutError:
            what = ", ".join(sorted(visit.waiting)) or "the rest"
            visit.lacks(f"not read within {self._budget.seconds:g} s: {what}")
        return Collected(
            evidence=pack(visit.drafts, redact=self._redact, read_at=now, tokens=self._tokens),
            missing=tuple(self._redact(line) for line in sorted(visit.missing)),
            owners=owners,
            healthy=visit.healthy,
            calls=reader.spent.calls,
            seconds=round(self._clock() - started, 3),
            nodes=tuple(dict.fromkeys(visit.nodes)),
        )

    def _reader(self) -> Reader:
        return Reader(self._connection, self._discovery, self._budget)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._budget.seconds):
                yield
        except TimeoutError as error:
            raise ClusterUnavailable(
                f"the API server took longer than {self._budget.seconds:g} s"
            ) from error


class NoCluster:
    """No cluster: every answer says so, and how to give one."""

    def __init__(self, why: str, fix: str = "") -> None:
        self._why = why
        self._fix = f"; {fix}" if fix else ""

    async def complete(self, finding: Finding) -> Finding:
        """The finding unchanged: there is no Result to ask."""
        return finding

    async def owners(self, finding: Finding, from_name: FromName) -> OwnerChain:
        """Owners by the object's name."""
        told = from_name(finding.object)
        return OwnerChain(told.chain, f"{told.how} (no cluster)")

    async def collect(self, finding: Finding, owners: OwnerChain) -> Collected:
        """No evidence, and the line that says why."""
        missing = f"nothing was read from a cluster: {self._why}{self._fix}"
        return Collected(missing=(missing,), owners=owners)

    async def health(self, ref: ObjectRef) -> Health:
        """Nobody knows."""
        return Health.UNKNOWN

    async def status(self) -> str:
        """One line: "off: no cluster configured"."""
        return f"off: {self._why}"

    async def close(self) -> None:
        """Nothing to close."""
