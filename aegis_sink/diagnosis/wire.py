"""One streamed HTTP request to a model server: two waits, a byte cap, and a few retries.

A cold model is silent for minutes before the first byte; a stream that is silent between two
tokens is dead (facts/ollama.md §3.4, §4). Nothing is retried once the first byte has come, and a
timeout never is: a client that hangs up makes Ollama abort the load it was waiting for.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from aegis_sink.diagnosis.errors import AnswerInvalid, ModelTooSlow, ModelUnavailable
from aegis_sink.diagnosis.model import LLMOptions
from aegis_sink.unreached import why

CONNECT_SECONDS = 5.0
STATUS_SECONDS = 5.0
MOST_BYTES = 1 << 20
MOST_ERROR_BYTES = 4096
MOST_COUNTED = 10**15
RETRIES = 2
RETRY_SECONDS = 1.0

Sleep = Callable[[float], Awaitable[None]]


class ServerAnswered(Exception):
    """The server answered with a status other than 200; adapters give it its meaning."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status
        self.text = text

    @property
    def passing(self) -> bool:
        """Worth another try at once: busy, a proxy's hiccup, a runner that died."""
        died = "unexpectedly stopped" in self.text or "has terminated" in self.text
        return self.status in {502, 503} or (self.status == 500 and died)


class Wire:
    """Requests to one server. The session is opened with the first one."""

    def __init__(self, options: LLMOptions, *, sleep: Sleep = asyncio.sleep) -> None:
        self._options = options
        self._url = options.url.rstrip("/")
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, path: str, body: Mapping[str, object]) -> AsyncIterator[bytes]:
        """The non-empty lines of the answer. Raises ServerAnswered, ModelUnavailable and
        AnswerInvalid (more than the byte cap)."""
        async with self._opened(path, body) as (response, first):
            total, rest = 0, b""
            chunk = first
            while chunk:
                total += len(chunk)
                if total > MOST_BYTES:
                    raise AnswerInvalid(f"the model sent more than {MOST_BYTES} bytes")
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield line
                chunk = await self._next(response)
            if rest.strip():
                yield rest

    async def fetch(
        self, path: str, body: Mapping[str, object] | None = None, *, seconds: float = 0.0
    ) -> Any:
        """One short JSON request. Raises ServerAnswered and ModelUnavailable."""
        try:
            async with (
                asyncio.timeout(seconds or STATUS_SECONDS),
                self._request("GET" if body is None else "POST", path, body) as response,
            ):
                await _refuse(response)
                return read_json(await response.content.read(MOST_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ModelUnavailable(self._unreachable(error)) from error

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def _opened(
        self, path: str, body: Mapping[str, object]
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, bytes]]:
        """The response and its first bytes, after retries where a retry can help."""
        for attempt in range(RETRIES + 1):
            response = None
            try:
                async with asyncio.timeout(self._options.first_byte_timeout):
                    response = await self._request("POST", path, body)
                    await _refuse(response)
                    first = await response.content.readany()
            except TimeoutError as error:
                _close(response)
                raise ModelTooSlow(
                    f"{self._url} sent nothing for {self._options.first_byte_timeout:.0f} s: the "
                    "model is still loading or other requests are before this one "
                    "(AEGIS_LLM_FIRST_BYTE_TIMEOUT)"
                ) from error
            except ServerAnswered as error:
                _close(response)
                if not error.passing or attempt == RETRIES:
                    raise
            except (aiohttp.ClientError, OSError) as error:
                _close(response)
                if attempt == RETRIES:
                    raise ModelUnavailable(self._unreachable(error)) from error
            except asyncio.CancelledError:
                _close(response)
                raise
            else:
                try:
                    yield response, first
                finally:
                    _close(response)
                return
            # Full jitter: replicas that failed together must not come back together.
            await self._sleep(random.uniform(0, RETRY_SECONDS * 2**attempt))  # noqa: S311

    async def _next(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            async with asyncio.timeout(self._options.idle_timeout):
                return await response.content.readany()
        except TimeoutError as error:
            raise ModelTooSlow(
                f"{self._url} fell silent for {self._options.idle_timeout:.0f} s in the middle of "
                "an answer (AEGIS_LLM_IDLE_TIMEOUT)"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ModelUnavailable(f"{self._url} broke off in its answer: {error}") from error

    def _request(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        if self._session is None:
            token = self._options.token
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS
                ),
                headers={"Authorization": f"Bearer {token}"} if token else {},
            )
        return self._session.request(method, self._url + path, json=body, allow_redirects=False)

    def _unreachable(self, error: BaseException) -> str:
        away = isinstance(error, aiohttp.ClientError | OSError)
        said = why(error) if away else "what answers there sends no JSON"
        return f"no model server answers at {self._url} (AEGIS_LLM_URL): {said}"


async def _refuse(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        text = (await response.content.read(MOST_ERROR_BYTES)).decode("utf-8", "replace")
        raise ServerAnswered(response.status, error_text(text))


def error_text(body: str) -> str:
    """The server's own words from an error body: a string, an object, or a string with JSON in it
    (llama-server's errors pass through Ollama that way)."""
    try:
        parsed = read_json(body)
    except ValueError:
        return " ".join(body.split())[:300]
    inner = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if isinstance(inner, str):
        return error_text(inner) if inner.lstrip().startswith("{") else inner[:300]
    if isinstance(inner, dict):
        return str(inner.get("message", inner))[:300]
    return str(inner)[:300]


def read_json(text: str | bytes) -> Any:
    """The value in a text. Raises ValueError, also for one nested deeper than can be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def count(value: object) -> int:
    """A count of tokens or nanoseconds as a server tells it, 0 for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value <= MOST_COUNTED else 0


def _close(response: aiohttp.ClientResponse | None) -> None:
    if response is not None:
        response.close()
