"""A whole service behind a real socket, in the test's own loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.intake.connection import Limits
from aegis_sink.server import Server, address, listen
from aegis_sink.service import Service, build
from aegis_sink.settings import load
from tests.stores import new_store


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Served:
    """A running service and a client of it."""

    url: str
    service: Service
    session: aiohttp.ClientSession
    told: list[str]
    connections: list[asyncio.StreamWriter]

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request, redirects not followed. Underscores in header names become dashes."""
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
        if isinstance(body, bytes):
            body = BytesIO(body)  # aiohttp warns of large bytes
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.url + path, data=body, headers=names, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def post(self, path: str, body: Any = b"", **headers: str) -> Answer:
        """POST, as JSON unless said otherwise."""
        return await self.ask("POST", path, body, **{"content_type": "application/json", **headers})

    async def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return await self.ask("GET", path, **headers)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection, for what no client library does; closed at the end."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self.connections.append(writer)
        return reader, writer


@pytest.fixture(scope="session", autouse=True)
def playbooks_are_read_once() -> Iterator[None]:
    """Reading and checking all playbooks takes most of a service's start.

    Other tests run in this session too: a folder of one's own is read as ever.
    """
    builtin = Playbooks.load()

    def load(*folders: Path, runbook_url: str = "") -> Playbooks:
        if folders or runbook_url:
            return Playbooks.load(*folders, runbook_url=runbook_url)
        return builtin

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aegis_sink.service.Playbooks", SimpleNamespace(load=load))
        yield


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Starts a service: settings as keywords, `limits` for connections."""

    @asynccontextmanager
    async def start(limits: Limits | None = None, **settings: str) -> AsyncIterator[Served]:
        environment = {
            "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
            "AEGIS_KUBERNETES": "off",
            "AEGIS_LLM_API": "off",
            "AEGIS_GROUP_WAIT": "0s",
            **{f"AEGIS_{name.upper()}": value for name, value in settings.items()},
        }
        new_store(tmp_path / "sink.db")
        told: list[str] = []
        listener = listen("127.0.0.1", 0)
        service = await build(load(environment).settings, write=told.append)
        server = Server(service, limits)
        serving = await server.start(listener)
        connections: list[asyncio.StreamWriter] = []
        try:
            async with aiohttp.ClientSession() as session:
                yield Served(address(listener), service, session, told, connections)
        finally:
            for writer in connections:
                writer.transport.abort()
            server.should_exit = True
            await serving
            listener.close()

    return start


@pytest.fixture
async def served(serve: Serve) -> AsyncIterator[Served]:
    """A service with the defaults."""
    async with serve() as one:
        yield one
