"""The HTTP server around the service: uvicorn on a socket of our own, and the replay at start."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

import uvicorn

from aegis_sink.client import Client, ClientError
from aegis_sink.errors import Explained
from aegis_sink.intake.connection import Connection, Limits
from aegis_sink.service import Service, build
from aegis_sink.settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 512
REPLAY_WAIT_SECONDS = 120.0
GRACEFUL_SECONDS = 10
GC_ALLOCATIONS = 10_000  # Python's default of 700 is passed by every third batch of posts


class CannotListen(Explained):
    """The address cannot be listened on; the text says what to do."""


class Server(uvicorn.Server):
    """uvicorn with our limits (docs/http.md), an event for "it answers now", and a clean end."""

    def __init__(self, service: Service, limits: Limits | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                service.app,
                http=partial(  # type: ignore[arg-type]  # uvicorn only calls it
                    Connection, limits=limits or Limits(), cut=service.metrics.count_cut
                ),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing here trusts or shows what a proxy says of a client
                timeout_graceful_shutdown=GRACEFUL_SECONDS,
                # Go keeps connections for 90 s; closing first would race with the operator's
                # next post.
                timeout_keep_alive=120,
                backlog=BACKLOG,
            )
        )
        self._up = asyncio.Event()
        service.database.alone = self._serves_one

    async def start(self, listener: socket.socket) -> asyncio.Task[None]:
        """Begin to serve; returns once it answers, with what ends when the server does."""
        serving = asyncio.create_task(self.serve(sockets=[listener]), name="server")
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait([serving, up], return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        return serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Like uvicorn's."""
        await super().startup(sockets)
        self._up.set()

    def _serves_one(self) -> bool:
        return len(self.server_state.tasks) == 1

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Like uvicorn's, which afterwards raises the signal again: a clean stop exits with 0."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


async def serve(
    settings: Settings,
    *,
    replay: Sequence[bytes] = (),
    once: bool = False,
    say: Callable[[str], None],
) -> bool:
    """Serve until a signal. With `replay`, post these bodies first; with `once`, stop after them.

    Returns whether everything that was asked for happened.
    """
    with closing(listen(settings.host, settings.port)) as listener:
        shown = address(listener)
        service = await build(settings, public_address=lambda: shown)
        server = Server(service)
        serving = await server.start(listener)
        try:
            _spare_what_stays()
            say(f"AEGIS Sink listens on {shown} (K8sGPT's sink: {shown}/webhook)")
            told = True
            if replay:
                told = await _replay(settings, shown, replay)
                if once or not told:
                    server.should_exit = True
                else:
                    say(f"Serving on {shown}; stop with Ctrl-C")
            await serving
        except ClientError:
            if server.should_exit:  # stopped by a signal while the replay was on its way
                return False
            raise
        finally:
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
        return told


def _spare_what_stays() -> None:
    """Have the garbage collector leave alone what lives as long as the service: walking through
    playbooks and API classes again and again would be felt at the door."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address; CannotListen says why not. `::` is every address, of IPv4 too;
    where the kernel has no IPv6, of IPv4 alone."""
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104 — asked for
    try:
        family, kind, protocol, _, bound = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if host == "::":
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(bound)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with AEGIS_PORT "
            "(0 takes a free one) or AEGIS_HOST"
        ) from error
    return listener


def address(listener: socket.socket) -> str:
    """The URL under which this machine reaches a bound socket."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 — compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _replay(settings: Settings, url: str, bodies: Sequence[bytes]) -> bool:
    """Post the bodies through the door and wait until their incidents were told."""
    token = settings.api_token.get_secret_value() if settings.api_token else None
    deadline = asyncio.get_running_loop().time() + REPLAY_WAIT_SECONDS
    async with Client(url, token) as client:
        waiting: list[str] = []
        for body in bodies:
            answer = await client.post_finding(body, force=True, wait=0)
            made = answer["incidents"]
            assert isinstance(made, list)
            waiting += [one["id"] for one in made]
        while waiting:
            incident = await client.incident(waiting[0])
            if incident["notices"] and not incident["diagnosing"]:
                waiting.pop(0)
            elif asyncio.get_running_loop().time() > deadline:
                log.error("incident %s was not told within %.0f s", waiting[0], REPLAY_WAIT_SECONDS)
                return False
            else:
                await asyncio.sleep(0.1)
    return True
