"""A small API server: objects from a table, faults on request, every request recorded."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.cluster.configuration import Credentials, Transport
from aegis_sink.cluster.connection import Connection
from aegis_sink.cluster.reader import Budget
from aegis_sink.cluster.resources import KNOWN

Object = dict[str, Any]
_COMMA = re.compile(r",(?![^(]*\))")
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass
class FakeApi:
    """Objects by path of their collection; logs by (pod, container, previous)."""

    url: str = ""
    objects: dict[str, list[Object]] = field(default_factory=dict)
    logs: dict[tuple[str, str, bool], bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    discovery: list[Object] = field(default_factory=list)

    def put(self, *objects: Object) -> None:
        """Add objects of known kinds."""
        for one in objects:
            resource = KNOWN[one["kind"]]
            self.objects.setdefault(resource.path(), []).append(one)

    def refuse(self, plural: str, status: int, message: str = "no") -> None:
        """Answer a status to every request whose path holds this."""

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response({"kind": "Status", "message": message}, status=status)

        self.faults[f"/{plural}"] = answer

    def hang(self, plural: str) -> None:
        """Never answer requests whose path holds this."""

        async def answer(request: web.Request) -> None:
            await asyncio.Event().wait()

        self.faults[f"/{plural}"] = answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        for part, fault in self.faults.items():
            if part in request.path and (told := await fault(request)) is not None:
                return told
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.36.3"})
        if request.path == "/apis":
            return web.json_response({"kind": "APIGroupDiscoveryList", "items": self.discovery})
        parts = request.path.strip("/").split("/")
        root, rest = (2, parts[2:]) if parts[0] == "api" else (3, parts[3:])
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        found = self.objects.get("/" + "/".join([*parts[:root], rest[0]]), [])
        if namespace:
            found = [o for o in found if o["metadata"].get("namespace") == namespace]
        if len(rest) == 1:
            return self._list(request, found)
        if rest[2:] == ["log"]:
            return self._log(request, rest[1])
        one = next((o for o in found if o["metadata"]["name"] == rest[1]), None)
        if one is None:
            return web.json_response({"message": f"{rest[1]} not found"}, status=404)
        return web.json_response(one)

    def _list(self, request: web.Request, found: list[Object]) -> web.Response:
        for wanted in filter(None, _COMMA.split(request.query.get("labelSelector", ""))):
            name, among, values = wanted.partition(" in ")
            if not among:
                name, _, values = wanted.partition("=")
            allowed = values.strip("()").split(",")
            found = [o for o in found if o["metadata"].get("labels", {}).get(name) in allowed]
        for wanted in filter(None, request.query.get("fieldSelector", "").split(",")):
            if "!=" in wanted:
                continue
            path, _, value = wanted.partition("=")
            found = [o for o in found if _at(o, path) == value]
        limit = int(request.query.get("limit", "0")) or len(found) or 1
        start = int(request.query.get("continue", "0"))
        more = str(start + limit) if start + limit < len(found) else ""
        metadata = {"continue": more} if more else {}
        return web.json_response({"metadata": metadata, "items": found[start : start + limit]})

    def _log(self, request: web.Request, pod: str) -> web.Response:
        query = request.query
        log = self.logs.get((pod, query["container"], query["previous"] == "true"))
        if log is None:
            told = {"message": "previous terminated container not found"}
            return web.json_response(told, status=400)
        lines = b"".join(log.splitlines(keepends=True)[-int(query["tailLines"]) :])
        return web.Response(body=lines[: int(query["limitBytes"])])


def _at(one: Any, path: str) -> Any:
    for key in path.split("."):
        one = one.get(key, {}) if isinstance(one, dict) else {}
    return one


@asynccontextmanager
async def serving(fake: FakeApi) -> AsyncIterator[None]:
    """Serve on a free port of 127.0.0.1."""
    application = web.Application()
    application.router.add_get("/{path:.*}", fake.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


def connected(
    fake: FakeApi,
    *,
    redact: Callable[[str], str] = str,
    budget: Budget | None = None,
    request_seconds: float = 5.0,
) -> KubernetesCluster:
    """The real client on the fake server."""
    return KubernetesCluster(
        connection(fake.url, request_seconds), redact=redact, budget=budget or Budget()
    )


def connection(url: str, request_seconds: float = 5.0) -> Connection:
    """Requests to a server, through the real transport of the kubernetes package."""

    async def load() -> tuple[Credentials, Transport]:
        from kubernetes.aio.client.configuration import Configuration
        from kubernetes.aio.client.rest import RESTClientObject

        configuration = Configuration(host=url)
        return configuration, RESTClientObject(configuration)

    return Connection(load, request_seconds=request_seconds)
