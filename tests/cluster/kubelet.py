"""A kubelet as far as logs go: the real API server proxies `pods/log` to it."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web


@dataclass
class Kubelet:
    """Logs by (namespace, pod, container, previous); all else is 404, as a kubelet answers."""

    port: int = 0
    logs: dict[tuple[str, str, str, bool], bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def node(self, name: str) -> dict[str, Any]:
        """The Node whose kubelet this is."""
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
                "conditions": conditions,
                "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
                "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            },
        }

    async def answer(self, request: web.Request) -> web.Response:
        """`/containerLogs/{namespace}/{pod}/{container}`, with tailLines and limitBytes."""
        parts = request.match_info
        previous = request.query.get("previous") == "true"
        self.asked.append(request.path_qs)
        log = self.logs.get((parts["namespace"], parts["pod"], parts["container"], previous))
        if log is None:
            raise web.HTTPNotFound(text="previous terminated container not found")
        if lines := request.query.get("tailLines"):
            log = b"".join(log.splitlines(keepends=True)[-int(lines) :])
        if limit := request.query.get("limitBytes"):
            log = log[: int(limit)]
        return web.Response(body=log)


@asynccontextmanager
async def kubelet(certificates: Path) -> AsyncIterator[Kubelet]:
    """A kubelet on a free port of 127.0.0.1, with the API server's own certificate."""
    fake = Kubelet()
    application = web.Application()
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", fake.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "apiserver.crt", certificates / "apiserver.key")
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    fake.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield fake
    finally:
        # The API server keeps them open, and TLS waits for its goodbye longer than the test's loop.
        assert runner.server is not None
        for connection in runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()
