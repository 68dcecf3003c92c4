"""A fake API server that keeps Results and a Lease as a real one does, with faults on request.

Versions grow with each change; a list comes in pages of one moment; a watch sends what changed
after its version, bookmarks when asked to, and 410 inside the stream for a version that was
compacted away. Facts: kubernetes.io/docs/reference/using-api/api-concepts.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from aegis_sink.cluster.configuration import Credentials, Transport
from aegis_sink.cluster.connection import Connection

Object = dict[str, Any]
RESULTS = "/apis/core.k8sgpt.ai/v1alpha1/results"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/"


def result(
    obj: str,
    *errors: str,
    kind: str = "Pod",
    k8sgpt: str = "main",
    namespace: str = "k8sgpt",
    details: str = "",
) -> Object:
    """A Result as the operator writes it; `obj` is "namespace/name"."""
    return {
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "kind": "Result",
        "metadata": {
            "name": obj.replace("-", "").replace("/", ""),
            "namespace": namespace,
            "labels": {"k8sgpts.k8sgpt.ai/name": k8sgpt, "k8sgpts.k8sgpt.ai/namespace": namespace},
        },
        "spec": {
            "kind": kind,
            "name": obj,
            "error": [{"text": text} for text in errors],
            "details": details,
            "parentObject": "",
            "autoRemediationStatus": {},
            "backend": "localai",
        },
    }


@dataclass(eq=False)
class ResultsApi:
    """Results by (namespace, name), what happened to them, and how requests are answered."""

    url: str = ""
    version: int = 100
    kept: dict[tuple[str, str], Object] = field(default_factory=dict)
    leases: dict[str, Object] = field(default_factory=dict)
    events: list[tuple[int, str, Object]] = field(default_factory=list)
    compacted: int = 0
    """Watches from before this version get 410, …"""
    gone_by_status: bool = False
    """… as the answer's status, else inside the stream."""
    page: int = 10_000
    installed: bool = True
    allowed: bool = True
    watch_allowed: bool = True
    lease_allowed: bool = True
    away: tuple[int, str] | None = None
    """(status, Retry-After) of every answer, as after a restart."""
    list_body: object = None
    """What stands between the sink and the server answers to each list, with status 200."""
    silent: bool = False
    lists: int = 0
    watches: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    before_page: Callable[[int], None] = lambda start: None
    _uids: int = 0
    _open: set[asyncio.Event] = field(default_factory=set)
    _cut: set[asyncio.Task[None]] = field(default_factory=set)
    _moments: dict[str, list[Object]] = field(default_factory=dict)

    def put(self, *results: Object) -> None:
        """Create or change, as one event each. The same content makes an event too."""
        for one in results:
            place = one["metadata"]["namespace"], one["metadata"]["name"]
            before = self.kept.get(place)
            self.version += 1
            if before is None:
                self._uids += 1
            uid = before["metadata"]["uid"] if before else f"uid-{self._uids}"
            new = copy.deepcopy(one)
            new["metadata"] |= {"uid": uid, "resourceVersion": str(self.version)}
            self.kept[place] = new
            self._happen("MODIFIED" if before else "ADDED", new)

    def delete(self, *names: str, namespace: str = "k8sgpt") -> None:
        """Delete by the Result's name; all without one."""
        for place in [p for p in self.kept if p[0] == namespace and (not names or p[1] in names)]:
            gone = copy.deepcopy(self.kept.pop(place))
            self.version += 1
            gone["metadata"]["resourceVersion"] = str(self.version)
            self._happen("DELETED", gone)

    def bookmark(self) -> None:
        """Tell every watch the newest version."""
        self._happen("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def compact(self) -> None:
        """Forget what happened up to now; lists that are being paged too."""
        self.compacted = self.version + 1
        self._moments.clear()

    def gone_in_stream(self) -> None:
        """Tell open watches 410, as a real server does inside the stream."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        self._happen("ERROR", status)

    def cut(self) -> None:
        """Close the connection of every watch without a word."""
        for task in list(self._cut):
            task.cancel()

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return len(self._open)

    def _happen(self, kind: str, obj: Object) -> None:
        self.events.append((self.version, kind, obj))
        for event in self._open:
            event.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        self.asked.append(f"{request.method} {request.path}")
        if self.away:
            status, retry = self.away
            message = "storage is (re)initializing" if status == 429 else "etcd is away"
            headers = {"Retry-After": retry} if retry else {}
            return _status(status, message, headers)
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.36.3"})
        if request.path.startswith(LEASES):
            return await self._lease(request)
        if "core.k8sgpt.ai" not in request.path:
            return _status(404, "the server could not find the requested resource")
        if not self.installed:
            return _status(404, "the server could not find the requested resource")
        if not self.allowed:
            return _status(403, 'results is forbidden: User "sink" cannot list')
        namespace = ""
        if "/namespaces/" in request.path:
            namespace = request.path.split("/namespaces/")[1].split("/")[0]
        if request.query.get("watch") == "true":
            if not self.watch_allowed:
                return _status(403, 'results is forbidden: User "sink" cannot watch')
            return await self._watch(request, namespace)
        if self.list_body is not None:
            return web.json_response(self.list_body)
        return self._list(request, namespace)

    def _list(self, request: web.Request, namespace: str) -> web.Response:
        token = request.query.get("continue", "")
        if not token:
            self.lists += 1
            token = f"{self.version}:0"
            chosen = [o for (ns, _), o in sorted(self._named(request)) if namespace in ("", ns)]
            self._moments[token.split(":")[0]] = chosen
        version, start = token.split(":")
        self.before_page(int(start))
        if version not in self._moments:
            return _status(410, "The provided continue parameter is too old")
        found = self._moments[version]
        end = int(start) + min(self.page, int(request.query.get("limit", "10000")))
        metadata = {"resourceVersion": version}
        if end < len(found):
            metadata["continue"] = f"{version}:{end}"
        return web.json_response({"metadata": metadata, "items": found[int(start) : end]})

    def _named(self, request: web.Request) -> list[tuple[tuple[str, str], Object]]:
        """What a selector of the name or of a label leaves."""
        _, _, name = request.query.get("fieldSelector", "").partition("metadata.name=")
        label, _, value = request.query.get("labelSelector", "").partition("=")
        return [
            (place, one)
            for place, one in self.kept.items()
            if (not name or place[1] == name)
            and (not label or one["metadata"].get("labels", {}).get(label) == value)
        ]

    async def _watch(self, request: web.Request, namespace: str) -> web.StreamResponse:
        self.watches.append(dict(request.query))
        if self.gone_by_status and int(request.query["resourceVersion"]) + 1 < self.compacted:
            return _status(410, "too old resource version")
        response = web.StreamResponse()
        await response.prepare(request)
        happened = asyncio.Event()
        self._open.add(happened)
        sending = asyncio.create_task(self._send(request, response, namespace, happened))
        self._cut.add(sending)
        try:
            await asyncio.wait({sending})
            if sending.cancelled() and request.transport:
                request.transport.abort()
        finally:
            sending.cancel()
            self._open.discard(happened)
            self._cut.discard(sending)
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        namespace: str,
        happened: asyncio.Event,
    ) -> None:
        after = int(request.query["resourceVersion"])
        if after + 1 < self.compacted:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            await response.write(_line("ERROR", status))
            return
        done = next((n for n, e in enumerate(self.events) if e[0] > after), len(self.events))
        while True:
            happened.clear()
            while done < len(self.events) and not self.silent:
                _, kind, obj = self.events[done]
                done += 1
                ns = obj.get("metadata", {}).get("namespace", namespace)
                if namespace in ("", ns):
                    await response.write(_line(kind, obj))
                if kind == "ERROR":
                    return
            await happened.wait()

    async def _lease(self, request: web.Request) -> web.Response:
        if not self.lease_allowed:
            return _status(403, "leases.coordination.k8s.io is forbidden")
        name = request.path.removesuffix("/").rpartition("/")[2]
        if request.method == "GET":
            found = self.leases.get(name)
            return web.json_response(found) if found else _status(404, "not found")
        sent = await request.json()
        name = sent["metadata"]["name"]
        before = self.leases.get(name)
        if request.method == "POST" and before:
            return _status(409, "already exists")
        sent_version = sent["metadata"].get("resourceVersion")
        if request.method == "PUT" and (
            not before or before["metadata"]["resourceVersion"] != sent_version
        ):
            return _status(409, "the object has been modified")
        self.version += 1
        sent["metadata"]["resourceVersion"] = str(self.version)
        self.leases[name] = sent
        return web.json_response(sent, status=201 if request.method == "POST" else 200)


def _line(kind: str, obj: Object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def _status(code: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"kind": "Status", "code": code, "message": message}, status=code, headers=headers
    )


@asynccontextmanager
async def serving(fake: ResultsApi) -> AsyncIterator[None]:
    """Serve on a free port of 127.0.0.1."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        fake.cut()
        await runner.cleanup()


def connection(fake: ResultsApi) -> Connection:
    """The real client on it."""

    async def load() -> tuple[Credentials, Transport]:
        from kubernetes.aio.client.configuration import Configuration
        from kubernetes.aio.client.rest import RESTClientObject

        configuration = Configuration()
        configuration.host = fake.url
        return configuration, RESTClientObject(configuration)

    return Connection(load)
