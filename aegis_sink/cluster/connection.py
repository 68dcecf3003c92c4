"""Connection: requests to the API server, with its answers told apart by type.

They read, but for reviews (questions that the API takes as POST) and the Lease of the reconciler.

The kubernetes package's generated models are not used: raw JSON read through `Document` is several
times faster and cannot raise on what a custom resource holds. Nothing touches the network before
the first request.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlencode

import aiohttp

from aegis_sink.cluster.configuration import Credentials, Loader, Transport, load_transport
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import ClusterRefused, ClusterUnavailable, ObjectGone, TooLarge
from aegis_sink.cluster.resources import NEVER_READ, Resource
from aegis_sink.unreached import why

log = logging.getLogger(__name__)

JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
DISCOVERY = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)
USER_AGENT = "aegis-sink"
REVIEWS = {
    "SelfSubjectAccessReview": "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "SelfSubjectReview": "/apis/authentication.k8s.io/v1/selfsubjectreviews",
}
"""Questions about oneself. They are asked with POST and store nothing."""
REVIEW_BYTES = 65_536
REQUEST_SECONDS = 5.0
MOST_ERROR_BYTES = 16_384
TRIES = 3
LONGEST_PAUSE_SECONDS = 1.0

Spend = Callable[[int], bool]
"""Told the size of each part of an answer as it comes; False: no more of it is wanted."""


@dataclass(frozen=True, slots=True)
class Request:
    """One read: what is asked, in words that can name the rule which allows it."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = JSON

    def __post_init__(self) -> None:
        if self.resource.kind in NEVER_READ or self.resource.plural == "secrets":
            raise ValueError("Secrets are never read from the cluster")

    @property
    def url(self) -> str:
        """Path and query, the same for the same question."""
        path = self.resource.path(self.namespace, self.name, self.subresource)
        return f"{path}?{urlencode(sorted(self.query.items()))}" if self.query else path

    @property
    def rule(self) -> str:
        """The RBAC rule that would allow it."""
        return self.resource.rule("get" if self.name else "list", self.subresource)

    def __str__(self) -> str:
        plural = self.resource.plural
        what = f"{plural}/{self.subresource}" if self.subresource else plural
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{what} {self.name}{where}" if self.name else f"{what}{where}"


@dataclass(frozen=True, slots=True)
class Body:
    """An answer's bytes. `cut` is true when the server had more than was asked for."""

    data: bytes
    cut: bool = False

    def document(self) -> Document:
        """The JSON in it."""
        try:
            return Document(json.loads(self.data))
        except (ValueError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            raise ClusterUnavailable(
                f"the API server's answer is not JSON ({'nested too deeply' if deep else error}); "
                "is a proxy in between?"
            ) from error


@dataclass(frozen=True, slots=True)
class Stream:
    """The answer to a watch, as it comes."""

    response: aiohttp.ClientResponse

    async def read(self) -> bytes:
        """The next bytes, b"" at the server's end of it. ClusterUnavailable when it was cut."""
        try:
            return await self.response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise ClusterUnavailable(f"the watch was cut: {error}") from error


class Connection:
    """Requests to one API server. Errors are those of `errors.py`, told without secrets."""

    def __init__(
        self,
        load: Loader = load_transport,
        *,
        request_seconds: float = REQUEST_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._load = load
        self._loaded: tuple[Credentials, Transport] | None = None
        self._loading = asyncio.Lock()
        self._seconds = request_seconds
        self._now = now
        self._ahead = timedelta()

    def server_time(self, now: datetime) -> datetime:
        """The API server's idea of `now`: ages are told by its clock, not by this machine's."""
        return now + self._ahead

    async def read(
        self,
        request: Request,
        *,
        most_bytes: int,
        keep_part: bool = False,
        seconds: float | None = None,
        spend: Spend | None = None,
    ) -> Body:
        """GET. A longer answer is cut with `keep_part` (logs), else refused: TooLarge.

        A server that has just started answers 429 for a moment though it is ready, and one that
        restarts closes connections: both are asked again shortly.
        """
        return await self._read(
            request.url,
            str(request),
            request.rule,
            request.accept,
            most_bytes,
            keep_part,
            seconds=seconds,
            spend=spend,
        )

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncIterator[Stream]:
        """GET of an answer without end. Only its beginning has a time limit."""
        rule = request.resource.rule("watch")
        credentials, transport = await self._transport()
        try:
            async with asyncio.timeout(self._seconds):
                answer = await transport.request(
                    "GET",
                    credentials.host + request.url,
                    await _headers(credentials, request.accept),
                    _request_timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=self._seconds, sock_read=None
                    ),
                )
        except TimeoutError as error:
            raise ClusterUnavailable(
                f"the API server did not answer within {self._seconds:g} s: watch of {request}"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ClusterUnavailable(
                f"the API server at {credentials.host} cannot be reached: {why(error)}"
            ) from error
        try:
            if answer.response.status != 200:
                data = b""
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with asyncio.timeout(self._seconds):
                        data, _ = await _take(answer.response, MOST_ERROR_BYTES)
                try:
                    await self._refuse(answer.response, data, str(request), rule, verb="watch")
                except _AskAgain as again:
                    raise ClusterUnavailable(str(again), retry_after=again.asked) from again
            yield Stream(answer.response)
        finally:
            answer.response.close()

    async def lease(
        self, verb: Literal["get", "create", "update"], request: Request, lease: object = None
    ) -> Document:
        """Read or write a Lease: the only object that the program ever writes.

        ClusterRefused with status 409 when somebody else was faster; ObjectGone when there is none.
        """
        if request.resource.kind != "Lease":
            raise ValueError("nothing but a Lease is written")
        body = await self._read(
            request.url,
            str(request),
            request.resource.rule(verb),
            JSON,
            REVIEW_BYTES,
            keep_part=False,
            ask=lease,
            method={"get": "GET", "create": "POST", "update": "PUT"}[verb],
        )
        return body.document()

    async def read_path(self, path: str, *, most_bytes: int, accept: str = JSON) -> Body:
        """GET of a path that is no resource: `/version`, `/apis`."""
        rule = f'{{nonResourceURLs: ["{path}"], verbs: ["get"]}}'
        return await self._read(path, path, rule, accept, most_bytes, keep_part=False)

    async def review(self, kind: str, spec: object = None) -> Document:
        """The answer's `status` to one of REVIEWS: the only requests that are no GET."""
        api_version = "/".join(REVIEWS[kind].split("/")[2:4])
        asked = {"apiVersion": api_version, "kind": kind} | ({"spec": spec} if spec else {})
        path = REVIEWS[kind]
        group, plural = path.split("/")[2], path.rpartition("/")[2]
        rule = f'{{apiGroups: ["{group}"], resources: ["{plural}"], verbs: ["create"]}}'
        body = await self._read(path, plural, rule, JSON, REVIEW_BYTES, keep_part=False, ask=asked)
        return body.document().at("status")

    async def _read(
        self,
        url: str,
        what: str,
        rule: str,
        accept: str,
        most_bytes: int,
        keep_part: bool,
        ask: object = None,
        seconds: float | None = None,
        method: str = "",
        spend: Spend | None = None,
    ) -> Body:
        method = method or ("GET" if ask is None else "POST")
        seconds = seconds or self._seconds
        for tries_left in reversed(range(TRIES)):
            try:
                return await self._once(
                    method, url, what, rule, accept, most_bytes, keep_part, ask, seconds, spend
                )
            except _AskAgain as again:
                if not tries_left:
                    raise ClusterUnavailable(
                        f"{again} ({TRIES} tries)", retry_after=again.asked
                    ) from again
                await asyncio.sleep(again.pause)
        raise AssertionError("unreachable")

    async def _once(
        self,
        method: str,
        url: str,
        what: str,
        rule: str,
        accept: str,
        most_bytes: int,
        keep_part: bool,
        ask: object,
        seconds: float,
        spend: Spend | None,
    ) -> Body:
        credentials, transport = await self._transport()
        headers = await _headers(credentials, accept)
        try:
            async with asyncio.timeout(seconds):
                answer = await transport.request(
                    method,
                    credentials.host + url,
                    headers,
                    ask,
                    _request_timeout=aiohttp.ClientTimeout(total=seconds),
                )
                async with answer.response as response:
                    self._note_time(response)
                    if response.status not in (200, 201):
                        data, _ = await _take(response, MOST_ERROR_BYTES)
                        verb = (
                            "read" if method == "GET" or not what.startswith("leases") else "write"
                        )
                        await self._refuse(response, data, what, rule, verb=verb)
                    data, cut = await _take(response, most_bytes, spend)
        except TimeoutError as error:
            raise ClusterUnavailable(
                f"the API server did not answer within {seconds:g} s: {what}"
            ) from error
        except (aiohttp.ServerDisconnectedError, ConnectionResetError) as error:
            raise _AskAgain(f"the API server closed the connection: {what}", 0.2) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ClusterUnavailable(
                f"the API server at {credentials.host} cannot be reached: {why(error)}"
            ) from error
        except (AssertionError, RuntimeError) as error:
            # aiohttp's words for a session that was closed while it opened a connection.
            if self._loaded is not None and self._loaded[1] is transport:
                raise
            raise _AskAgain(f"the credentials were loaded anew: {what}", 0.0) from error
        if cut and not keep_part:
            raise TooLarge(
                f"{what}: the answer is larger than what an incident may still read",
                status=200,
            )
        return Body(data, cut)

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        loaded, self._loaded = self._loaded, None
        if loaded:
            await loaded[1].close()

    async def _transport(self) -> tuple[Credentials, Transport]:
        async with self._loading:
            if self._loaded is None:
                self._loaded = await self._load()
            return self._loaded

    def _note_time(self, response: aiohttp.ClientResponse) -> None:
        try:
            told = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return
        if told.tzinfo is None:  # "-0000": UTC, from who does not know where it is
            told = told.replace(tzinfo=UTC)
        ahead = told - self._now()
        # The header has whole seconds and the answer took a while: small differences are none.
        self._ahead = ahead if abs(ahead) > timedelta(seconds=5) else timedelta()

    async def _refuse(
        self, response: aiohttp.ClientResponse, data: bytes, what: str, rule: str, *, verb: str
    ) -> None:
        said = _message(data) or response.reason or ""
        match response.status:
            case 404:
                raise ObjectGone(f"gone: {what}")
            case 403:
                raise ClusterRefused(
                    f"not allowed to {verb} {what}; this rule would allow it: {rule}",
                    status=403,
                    rule=rule,
                )
            case 401:
                # A rotated token or certificate: the next request loads the configuration anew.
                await self.close()
                raise ClusterRefused(
                    "the API server does not accept the credentials (401); "
                    "check the service account or the kubeconfig's user",
                    status=401,
                )
            case 429:
                asked = _retry_after(response)
                pause = min(asked or LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
                raise _AskAgain(f"the API server is busy: {said}", pause, asked)
            case status if status >= 500:
                raise ClusterUnavailable(
                    f"the API server answered {status}: {said}",
                    retry_after=_retry_after(response),
                )
            case status:
                raise ClusterRefused(f"{what}: {said} ({status})", status=status)


class _AskAgain(Exception):
    """`pause` is short; `asked` is what the server asked for, in seconds, 0 for nothing."""

    def __init__(self, message: str, pause: float, asked: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause
        self.asked = asked


async def _headers(credentials: Credentials, accept: str) -> dict[str, str]:
    headers = {"Accept": accept, "User-Agent": USER_AGENT}
    if token := await credentials.get_api_key_with_prefix("BearerToken"):
        headers["Authorization"] = token
    return headers


async def _take(
    response: aiohttp.ClientResponse, most: int, spend: Spend | None = None
) -> tuple[bytes, bool]:
    """At most so many bytes, and whether there were more."""
    parts = bytearray()
    async for chunk in response.content.iter_any():
        parts += chunk
        if len(parts) > most or not (spend is None or spend(len(chunk))):
            return bytes(parts[:most]), True
    return bytes(parts), False


def _message(data: bytes) -> str:
    try:
        return Document(json.loads(data)).text("message")[:300]
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")[:300].strip()


def _retry_after(response: aiohttp.ClientResponse) -> float:
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else 0.0
