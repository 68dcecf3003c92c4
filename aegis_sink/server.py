"""The HTTP server around the service: uvicorn on a socket of our own, and the replay at start."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

import uvicorn

from aegis_sink.client import Client
from aegis_sink.service import build
from aegis_sink.settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 512
REPLAY_WAIT_SECONDS = 120.0
GRACEFUL_SECONDS = 10


class CannotListen(Exception):
    """The address cannot be listened on; the text says what to do."""


class _Server(uvicorn.Server):
    """uvicorn, with an event for "it answers now"."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Like uvicorn's."""
        await super().startup(sockets)
        self.up.set()


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
    listener = _listen(settings.host, settings.port)
    shown = _address(listener)
    service = await build(settings, public_address=lambda: shown)
    server = _Server(_config(service.app, settings))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.wait(
            [serving, asyncio.create_task(server.up.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        if serving.done():
            await serving
            return False
        say(f"AEGIS Sink listens on {shown} (K8sGPT's sink: {shown}/webhook)")
        if not replay:
            await serving
            return True
        told = await _replay(settings, shown, replay)
        if once or not told:
            server.should_exit = True
        else:
            say(f"Serving on {shown}; stop with Ctrl-C")
        await serving
        return told
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


def _config(app: object, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        # Go keeps connections for 90 s; closing first would race with the operator's next post.
        timeout_keep_alive=120,
        backlog=BACKLOG,
    )


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


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, bound = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(bound)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with AEGIS_PORT "
            "(0 takes a free one) or AEGIS_HOST"
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 — compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
