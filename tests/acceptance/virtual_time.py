"""An event loop whose time passes only when nothing is left to do.

The whole program runs on it, with real sockets, threads and files. While one of these is at work
time stands still; when all are idle it jumps to the next timer. So a day takes seconds, and a slow
machine changes nothing of what happens when.

What crosses a socket is counted byte by byte: loopback may deliver a moment after it was sent.
"""

import asyncio
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.05
STUCK_SECONDS = 20.0
"""Real time. What has been on its way for so long is read by nobody: a paused connection."""

_Address = tuple[Any, ...]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time starts at 0. `at_work` is for real work of which the loop cannot know."""

    def __init__(self) -> None:
        self._virtual = 0.0
        self._at_work = 0
        self._wire = _Wire()
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Time stands still meanwhile."""
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    @property
    def busy(self) -> bool:
        """Whether a thread works, or bytes are on their way."""
        return self._at_work > 0 or self._wire.busy

    def pass_time(self, seconds: float) -> None:
        """Nothing happens for so long."""
        self._virtual += seconds

    def give_up(self) -> None:
        """Nobody reads what is on its way."""
        self._wire.clear()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        self._at_work += 1
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        self._at_work -= 1

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        with self.at_work():
            await super().sock_connect(sock, address)

    def _make_socket_transport(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        make: Callable[..., Any] = super()._make_socket_transport  # type: ignore[misc]
        return make(_Counted(sock, self._wire), *args, **kwargs)


class _Selector(selectors.DefaultSelector):
    """Waits for the real world while it is at work, and lets virtual time pass else."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._waiting_since: float | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        ready: list[Any] = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            self._waiting_since = None
            return ready
        if not self._loop.busy and timeout is not None:
            self._waiting_since = None
            self._loop.pass_time(timeout)
            return []
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since > STUCK_SECONDS:
            if timeout is None:
                raise RuntimeError("nothing is left to do, and nothing is waited for")
            self._waiting_since = None
            self._loop.give_up()
        return super().select(LOOK_SECONDS)


class _Wire:
    """Bytes that were sent and not received, by direction; an end counts as one."""

    def __init__(self) -> None:
        self._on_their_way: Counter[tuple[_Address, _Address]] = Counter()
        self._open: set[tuple[_Address, _Address]] = set()
        self._closed: set[tuple[_Address, _Address]] = set()

    @property
    def busy(self) -> bool:
        return bool(self._on_their_way)

    def clear(self) -> None:
        self._on_their_way.clear()

    def opened(self, me: _Address, peer: _Address) -> None:
        self._open.add((me, peer))
        self._closed.discard((me, peer))

    def sent(self, me: _Address, peer: _Address, count: int) -> None:
        # The other end may not be accepted yet, but nobody reads what comes after its close.
        if (peer, me) not in self._closed:
            self._on_their_way[me, peer] += count

    def received(self, me: _Address, peer: _Address, count: int) -> None:
        self._on_their_way[peer, me] -= count
        if self._on_their_way[peer, me] <= 0:
            del self._on_their_way[peer, me]

    def ended(self, me: _Address, peer: _Address) -> None:
        self._on_their_way.pop((peer, me), None)

    def closed(self, me: _Address, peer: _Address) -> None:
        self._open.discard((me, peer))
        self._closed.add((me, peer))
        self.ended(me, peer)
        if (peer, me) in self._open:
            self._on_their_way[me, peer] += 1
        else:
            self._on_their_way.pop((me, peer), None)


class _Counted(socket.socket):
    """A socket that tells the wire what crosses it."""

    def __init__(self, sock: socket.socket, wire: _Wire) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self.setblocking(False)
        self._wire = wire
        self._ends = self.getsockname(), self.getpeername()
        wire.opened(*self._ends)

    def send(self, *args: Any) -> int:
        count = super().send(*args)
        self._wire.sent(*self._ends, count)
        return count

    def sendmsg(self, *args: Any) -> int:
        count = super().sendmsg(*args)
        self._wire.sent(*self._ends, count)
        return count

    def recv(self, *args: Any) -> bytes:
        with self._until_the_end():
            data = super().recv(*args)
            self._took(len(data))
            return data

    def recv_into(self, *args: Any) -> int:
        with self._until_the_end():
            count = super().recv_into(*args)
            self._took(count)
            return count

    @contextmanager
    def _until_the_end(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError:
            raise
        except OSError:
            self._wire.ended(*self._ends)
            raise

    def _took(self, count: int) -> None:
        if count:
            self._wire.received(*self._ends, count)
        else:
            self._wire.ended(*self._ends)

    def close(self) -> None:
        if self.fileno() >= 0:
            self._wire.closed(*self._ends)
        super().close()


def counted(method: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """A method whose work a thread does that the loop does not know."""

    async def run(*args: Any, **kwargs: Any) -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        with loop.at_work():
            return await method(*args, **kwargs)

    return run


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it on a virtual loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
