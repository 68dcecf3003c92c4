"""One HTTP/1.1 connection: uvicorn's, and limits on how slowly and how much a client may speak.

uvicorn limits neither the time a request takes to arrive nor, with httptools, the size of its
head; and its one limit on connections answers 503 to everybody, the operator included. Here the
client that holds things up is the one that goes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_TOO_MUCH = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW_BODY = b'{"error":"the body did not arrive in time"}'
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_SLOW_BODY), _TOO_SLOW_BODY)
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all together, may take."""

    request_seconds: float = 20.0
    """From a connection's or a request's first byte to the request's last. The operator's own
    client gives up after 30 (facts/k8sgpt.md §0.4)."""
    reader_seconds: float = 30.0
    """For taking what was sent, once the buffers are full."""
    head_bytes: int = 64 * 1024
    connections: int = 512
    """More than that many, and the one whose last whole request is longest ago goes."""


class _WholeAnswer(asyncio.Transport):
    """Where one answer is written: its head leaves with its first bytes.

    uvicorn writes the two one after the other, and uvloop makes a system call of each write and
    wakes the client twice.
    """

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
        self._cycle: RequestResponseCycle | None = cycle
        self._transport = transport
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """`100 Continue`, which may come before, waits for nothing."""
        if self._cycle is None or not self._cycle.response_started:
            self._transport.write(data)
        elif not self._head:
            self._head = bytes(data)
        else:
            # The two hold each other: what only the garbage collector can free makes posts wait.
            self._cycle = None
            if self._transport.is_closing():
                return  # uvicorn only notices for the latest of several requests that wait
            # Not writelines: asyncio's own forgets to stop a full transport before Python 3.13.1.
            self._transport.write(b"".join((self._head, data)))

    def is_closing(self) -> bool:
        """Like the connection's."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Like the connection's; what was begun and broke off is not sent."""
        self._transport.close()


class Connection(HttpToolsProtocol):
    """Closes itself when a limit is passed. `cut` hears of it, for the metrics."""

    def __init__(
        self, *args: Any, limits: Limits, cut: Callable[[str], None], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._cut = cut
        self._request_timer: asyncio.TimerHandle | None = None
        self._request_due: float | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0
        self._behind_another = False
        self._last_request = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected."""
        super().connection_made(transport)
        self._last_request = self.loop.time()
        self._expect_request()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._request_due = None
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._behind_another = False
        self._read(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            # Where a head began behind another request is not known: it counts from the next bytes.
            self._head_bytes += 0 if self._behind_another else len(data)
            if self._head_bytes > self._limits.head_bytes:
                self._cut("head_too_large")
                self.transport.write(_TOO_MUCH)
                self.transport.close()
        elif self._request_due is None and not self._answering():
            # Empty lines before a request line: they stop uvicorn's keep-alive timer for good.
            self._expect_request()

    def on_message_begin(self) -> None:
        """The parser saw the first byte of a request line."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._expect_request()

    def on_headers_complete(self) -> None:
        """The parser saw the empty line after the head."""
        self._in_head = False
        if self._stops_for_upgrade():
            return
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["method"] != "HEAD":  # HEAD has only a head
            self.cycle.transport = _WholeAnswer(self.cycle, self.transport)

    def on_message_complete(self) -> None:
        """The parser saw a request's last byte."""
        if self._stops_for_upgrade():
            return
        self._behind_another = True
        self._request_arrived()
        self._last_request = self.loop.time()
        super().on_message_complete()

    def _read(self, data: bytes) -> None:
        """Like uvicorn's `data_received`, which loses a body behind `Upgrade`."""
        self._unset_keepalive_if_required()
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as stopped:
                self._read_as_http1(memoryview(data), stopped)
        except HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")

    def _read_as_http1(self, data: memoryview, stopped: HttpParserUpgrade) -> None:
        """Ignore `Upgrade`, as RFC 9110 §7.8 allows: read the head again without it, then go on."""
        while self._stops_for_upgrade():
            data = data[stopped.args[0] :]
            method, version = self.parser.get_method(), self.parser.get_http_version()
            lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
            lines += [b"%s: %s" % one for one in self.headers if one[0] != b"upgrade"]
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.parser.feed_data(b"\r\n".join((*lines, b"", b"")))
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as again:
                stopped = again
            else:
                return

    def _stops_for_upgrade(self) -> bool:
        # Behind a head that asks for another protocol, as `curl --http2` and Java's HttpClient do.
        # (Behind CONNECT too, which no route takes.)
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        super().pause_writing()
        self._reader_timer = self.loop.call_later(
            self._limits.reader_seconds, self._drop, "slow_reader"
        )

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None
        super().resume_writing()

    def _expect_request(self) -> None:
        self._request_due = self.loop.time() + self._limits.request_seconds
        if self._request_timer is None:
            self._watch_request(self._limits.request_seconds)

    def _watch_request(self, seconds: float) -> None:
        # One timer goes on through many requests: making one for each would be felt.
        self._request_timer = self.loop.call_later(seconds, self._look_at_request)

    def _request_arrived(self) -> None:
        self._request_due = None

    def _look_at_request(self) -> None:
        self._request_timer = None
        if self._request_due is None:
            return
        left = self._request_due - self.loop.time()
        if left > 0:
            self._watch_request(left)
        else:
            self._request_is_late()

    def _request_is_late(self) -> None:
        self._request_due = None
        if self.pipeline or (self._in_head and self._answering()):
            # Reading was paused on purpose: an earlier request still waits for its answer.
            self._expect_request()
        elif self._answering() and not self.cycle.response_started:
            self._cut("slow_request")
            self.cycle.disconnected = True  # the application must not answer after this
            self.transport.write(_TOO_SLOW)
            self.transport.close()
        else:
            self._drop("slow_request")

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        others = [
            other
            for other in self.connections
            if isinstance(other, Connection)
            and other is not self
            and not other.transport.is_closing()
        ]
        if len(others) >= self._limits.connections:
            min(others, key=lambda other: other._last_request)._drop("no_room")

    def _drop(self, reason: str) -> None:
        self._cut(reason)
        self.transport.abort()
