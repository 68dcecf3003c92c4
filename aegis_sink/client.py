"""A client of a running AEGIS Sink, for the commands that go through its own door."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp

from aegis_sink.errors import Explained
from aegis_sink.settings import Settings
from aegis_sink.unreached import why

Answer = dict[str, object]

CONNECT_SECONDS = 5.0


class ClientError(Explained):
    """The service could not be asked; the text says what to do."""


class Refused(ClientError):
    """The service was asked and said no."""


def address(settings: Settings) -> str:
    """Where the service of these settings answers on this machine."""
    host = settings.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 — compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


@dataclass(slots=True)
class Client:
    """Asks one service. Use it as a context manager."""

    url: str
    token: str | None
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=660),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def post_finding(self, body: bytes, *, force: bool, wait: float) -> Answer:
        """`POST /v1/findings` of one JSON document."""
        path = f"/v1/findings?force={str(force).lower()}&wait={wait:g}"
        return await self._ask("POST", path, body)

    async def replay(self, incident_id: str) -> Answer:
        """`POST /v1/incidents/{id}/replay`."""
        return await self._ask("POST", f"/v1/incidents/{quote(incident_id, safe='')}/replay")

    async def retry(self, item_id: str) -> Answer:
        """`POST /v1/quarantine/{id}/retry`."""
        return await self._ask("POST", f"/v1/quarantine/{quote(item_id, safe='')}/retry")

    async def add_silence(self, silence: Mapping[str, object]) -> Answer:
        """`POST /v1/silences`."""
        return await self._ask("POST", "/v1/silences", json.dumps(silence).encode())

    async def preview_silence(self, matchers: str) -> Answer:
        """`POST /v1/silences/preview`."""
        body = json.dumps({"matchers": matchers}).encode()
        return await self._ask("POST", "/v1/silences/preview", body)

    async def end_silence(self, silence_id: str) -> Answer:
        """`DELETE /v1/silences/{id}`."""
        return await self._ask("DELETE", f"/v1/silences/{quote(silence_id, safe='')}")

    async def reconcile(self) -> Answer:
        """`POST /v1/reconcile`."""
        return await self._ask("POST", "/v1/reconcile")

    async def incident(self, incident_id: str) -> Answer:
        """`GET /v1/incidents/{id}`."""
        return await self._ask("GET", f"/v1/incidents/{quote(incident_id, safe='')}")

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        assert self._session is not None
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            async with self._session.request(
                method, self.url.rstrip("/") + path, data=body, headers=headers
            ) as response:
                text = await response.text(errors="replace")
                status = response.status
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise ClientError(
                f"no AEGIS Sink answers at {self.url} ({why(error)}); start one with `aegis-sink serve`, "
                "or name it with --url"
            ) from error
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise ClientError(f"{self.url} is no AEGIS Sink: {status} {text[:100]}") from error
        if status != 200:
            raise Refused(_refusal(status, answer))
        if not isinstance(answer, dict):
            raise ClientError(f"{self.url} is no AEGIS Sink: {text[:100]}")
        return answer


def _refusal(status: int, answer: object) -> str:
    detail = answer.get("detail") if isinstance(answer, dict) else None
    hint = "; set AEGIS_API_TOKEN to the service's" if status == 401 else ""
    return f"{status}: {detail or answer}{hint}"
