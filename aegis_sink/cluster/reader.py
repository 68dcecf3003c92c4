"""Reader: what one incident may ask of the API server, counted.

Requests of one incident run in parallel, a few at a time. Lists come in pages.
"""

import asyncio
from dataclasses import dataclass, replace

from aegis_sink.cluster.connection import METADATA_ONLY, Body, Connection, Request
from aegis_sink.cluster.discovery import Discovery
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import (
    BudgetSpent,
    ClusterError,
    ClusterRefused,
    ObjectGone,
    TooLarge,
)
from aegis_sink.cluster.resources import Resource
from aegis_sink.model import ObjectRef

PARALLEL = 8
PAGE = 250
PAGE_OF = {"Pod": 100}
"""Pods are large, up to 10 KiB each with their managed fields: a page must fit in what is left."""
EXPIRED = 410


@dataclass(frozen=True, slots=True)
class Budget:
    """What the collection for one incident may cost."""

    calls: int = 25
    bytes: int = 2 * 1024 * 1024
    seconds: float = 10.0


@dataclass(slots=True)
class Spent:
    """What it has cost so far: requests, and the bytes of answers that were kept."""

    calls: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of a kind, in the server's order. Not `whole`: there are more."""

    found: tuple[Document, ...]
    whole: bool


class Reader:
    """Reads for one incident until its budget is spent; then every read raises BudgetSpent."""

    def __init__(self, connection: Connection, discovery: Discovery, budget: Budget) -> None:
        self._connection = connection
        self._discovery = discovery
        self._budget = budget
        self._slots = asyncio.Semaphore(PARALLEL)
        self.spent = Spent()

    async def resource(self, kind: str, api_version: str = "") -> Resource:
        """Where the kind is kept. ObjectGone when the API server does not know it."""
        return await self._discovery.resource(kind, api_version)

    async def get(self, ref: ObjectRef, *, metadata_only: bool = False) -> Document:
        """One object by name."""
        if not ref.name:  # such a path is that of the list
            raise ObjectGone(f"gone: a {ref.kind} without a name")
        resource = await self.resource(ref.resource_kind, ref.api_version)
        request = Request(resource, ref.namespace if resource.namespaced else "", ref.name)
        if metadata_only:
            request = replace(request, accept=METADATA_ONLY)
        return (await self._read(request)).document()

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", most: int = 500
    ) -> tuple[Document, ...]:
        """Up to `most` objects of a kind (or a page more)."""
        return (await self.listing(kind, namespace, labels=labels, fields=fields, most=most)).found

    async def listing(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", most: int = 500
    ) -> "Listing":
        """Like `list`, and whether that is all. Selectors as the API writes them.

        A list whose snapshot the server forgot in the middle (410) is begun anew, once: what came
        before belongs to another moment than what would come after.
        """
        query = {"limit": str(PAGE_OF.get(kind, PAGE))}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        request = Request(await self.resource(kind), namespace, query=query)
        for again in (True, False):
            try:
                return await self._listing(request, most)
            except ClusterRefused as refused:
                if refused.status != EXPIRED or not again:
                    raise
        raise AssertionError("unreachable")

    async def _listing(self, first: Request, most: int) -> "Listing":
        found: list[Document] = []
        request = first
        while True:
            try:
                answer = (await self._read(request)).document()
            except (BudgetSpent, TooLarge):
                if not found:
                    raise
                return Listing(tuple(found), whole=False)
            found += answer.items("items")
            token = answer.text("metadata", "continue")
            if not token or len(found) >= most:
                return Listing(tuple(found), whole=not token)
            request = replace(first, query={**first.query, "continue": token})

    async def log(
        self, pod: ObjectRef, container: str, *, previous: bool, lines: int, most_bytes: int
    ) -> Body:
        """The end of a container's log, at most so many lines and bytes."""
        query = {
            "container": container,
            "tailLines": str(lines),
            "limitBytes": str(most_bytes),
            "previous": "true" if previous else "false",
        }
        request = Request(await self.resource("Pod"), pod.namespace, pod.name, "log", query)
        return await self._read(request, keep_part=True, most_bytes=most_bytes)

    async def _read(
        self, request: Request, *, keep_part: bool = False, most_bytes: int | None = None
    ) -> Body:
        async with self._slots:
            left = self._budget.bytes - self.spent.bytes
            if self.spent.calls >= self._budget.calls:
                raise BudgetSpent(f"not read, {self._budget.calls} calls were made: {request}")
            if left <= 0:
                raise BudgetSpent(f"not read, {self._budget.bytes} bytes were read: {request}")
            self.spent.calls += 1
            most = min(left, most_bytes) if most_bytes is not None else left
            taken = 0

            def spend(size: int) -> bool:
                # Others read at the same time: each part counts as it comes.
                nonlocal taken
                taken += size
                self.spent.bytes += size
                return self.spent.bytes <= self._budget.bytes

            try:
                return await self._connection.read(
                    request, most_bytes=most, keep_part=keep_part, spend=spend
                )
            except ClusterError:
                self.spent.bytes -= taken  # nothing of it is kept: the others may go on
                raise
