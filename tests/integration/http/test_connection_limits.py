"""Clients that hold things up are cut off, and the operator's one connection still gets through."""

import asyncio
import json
import threading
from contextlib import suppress
from typing import Any, cast

import pytest

from aegis_sink.intake.connection import Connection, Limits

BODY = json.dumps(
    {
        "text": ">*[k8sgpt] K8sGPT analysis of the Pod shop/api-0*",
        "attachments": [{"type": "mrkdwn", "text": "", "color": "danger", "title": "Report"}],
    }
).encode()
WHOLE = b"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Noted:
    """A transport that notes what is written to it in one go."""

    def __init__(self, transport: asyncio.Transport, wrote: list[bytes]) -> None:
        self._transport = transport
        self._wrote = wrote

    def write(self, data: bytes) -> None:
        """Noted, and sent."""
        self._wrote.append(bytes(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server closes; fails when it does not within seconds."""
    seen = b""
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            while chunk := await reader.read(65536):
                seen += chunk
    return seen


async def cuts(served: Any) -> dict[str, float]:
    """Connections cut so far, by reason."""
    lines = (await served.get("/metrics")).body.decode().splitlines()
    prefix = 'aegis_sink_connections_cut_total{reason="'
    return {
        line.removeprefix(prefix).split('"')[0]: float(line.split()[-1])
        for line in lines
        if line.startswith(prefix)
    }


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\r\n",
        b"POST /web",
        b"POST /webhook HTTP/1.1\r\nhost: x\r\n",
        b"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"POST /v1/incidents/x/ack HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"POST /webhook HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        WHOLE + b"POST /webhook HTTP/1.1\r\n",
    ],
)
async def test_a_request_that_does_not_arrive_is_cut_off(serve: Any, start: bytes) -> None:
    async with serve(Limits(request_seconds=0.3)) as served:
        reader, writer = await served.connect()
        writer.write(start)
        await until_closed(reader)
        assert (await cuts(served))["slow_request"] == 1


async def test_an_answer_leaves_in_one_piece_and_one_without_a_body_too(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[bytes] = []
    made = Connection.connection_made
    monkeypatch.setattr(
        Connection,
        "connection_made",
        lambda self, transport: made(self, cast("asyncio.Transport", Noted(transport, wrote))),
    )
    reader, writer = await served.connect()
    writer.write(WHOLE + b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n" + WHOLE)
    for _ in range(2):
        await reader.readuntil(b'"}')
    assert len(wrote) == 3
    for one in (wrote[0], wrote[2]):
        head, _, body = one.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert json.loads(body)["id"]
    assert wrote[1].startswith(b"HTTP/1.1 200 OK")
    assert wrote[1].endswith(b"\r\n\r\n")


async def test_nothing_is_written_to_a_client_that_went_while_several_requests_waited(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[bytes] = []
    transports: list[asyncio.Transport] = []
    made = Connection.connection_made

    def noted(self: Connection, transport: asyncio.Transport) -> None:
        transports.append(transport)
        made(self, cast("asyncio.Transport", Noted(transport, wrote)))

    monkeypatch.setattr(Connection, "connection_made", noted)
    go_on, held = threading.Event(), threading.Event()

    def hold(connection: object) -> None:
        held.set()
        go_on.wait(20)

    holding = asyncio.create_task(served.service.database.write(hold))
    await asyncio.to_thread(held.wait)
    _, writer = await served.connect()
    writer.write(WHOLE + WHOLE)
    async with asyncio.timeout(10):
        while served.service.database.waiting == 0:  # noqa: ASYNC110 — a queue of another thread
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while not transports[0].is_closing():  # noqa: ASYNC110 — the server tells nobody
            await asyncio.sleep(0.01)
    go_on.set()
    await holding
    async with asyncio.timeout(10):
        while not (await served.get("/v1/incidents")).json["incidents"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not [one for one in wrote if b"accepted" in one]


UPGRADE = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
ASKS_FOR_HTTP2 = WHOLE.replace(b"host: x\r\n", b"host: x\r\n" + UPGRADE)
CHUNKED = ASKS_FOR_HTTP2.replace(
    b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY),
    b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
)


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_request_that_asks_for_http2_is_taken_as_http1(served: Any, size: int) -> None:
    reader, writer = await served.connect()
    get = b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + UPGRADE + b"\r\n"
    last = ASKS_FOR_HTTP2.replace(b"connection: ", b"connection: close, ")
    sent = b"".join((ASKS_FOR_HTTP2, get, CHUNKED, WHOLE, ASKS_FOR_HTTP2, last))
    for start in range(0, len(sent), size):
        writer.write(sent[start : start + size])
        await asyncio.sleep(0)
    answer = await until_closed(reader)
    assert answer.count(b"HTTP/1.1 200 ") == answer.count(b"HTTP/1.1 ") == 6
    [incident] = (await served.get("/v1/incidents")).json["incidents"]
    assert incident["occurrences"] == 5
    assert (await served.get("/v1/quarantine")).json["quarantine"] == []


@pytest.mark.parametrize("method", [b"CONNECT", b"POST"])
async def test_thousands_of_requests_for_another_protocol_at_once_break_nothing(
    served: Any, method: bytes
) -> None:
    reader, writer = await served.connect()
    one = method + b" /webhook HTTP/1.1\r\nhost: x\r\n" + UPGRADE + b"content-length: 1\r\n\r\n{"
    writer.write(one * 2000)
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"HTTP/1.1 ")
    assert (await served.post("/webhook", BODY)).status == 200


async def test_empty_lines_after_a_request_keep_no_connection(serve: Any) -> None:
    async with serve(Limits(request_seconds=0.3)) as served:
        reader, writer = await served.connect()
        writer.write(WHOLE)
        await reader.readuntil(b"}")
        writer.write(b"\r\n")
        await until_closed(reader)
        assert (await cuts(served))["slow_request"] == 1


async def test_dripping_bytes_buys_no_time(serve: Any) -> None:
    async with serve(Limits(request_seconds=0.5)) as served:
        reader, writer = await served.connect()
        writer.write(b"POST /webhook HTTP/1.1\r\nhost: x\r\nx: ")

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        await until_closed(reader)
        dripping.cancel()
        assert (await cuts(served))["slow_request"] == 1


async def test_a_slow_body_hears_why_before_it_is_cut_off(serve: Any) -> None:
    async with serve(Limits(request_seconds=0.3)) as served:
        for path in ("/webhook", "/v1/findings"):
            reader, writer = await served.connect()
            writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{".encode())
            answer = await until_closed(reader)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"in time" in answer
        assert (await cuts(served))["slow_request"] == 2


async def test_a_head_without_end_is_431(serve: Any) -> None:
    async with serve(Limits(head_bytes=4096)) as served:
        reader, writer = await served.connect()
        writer.write(b"GET /healthz HTTP/1.1\r\nx: ")
        for _ in range(5):
            writer.write(b"x" * 1024)
        assert b" 431 " in (await until_closed(reader)).splitlines()[0]
        assert (await cuts(served))["head_too_large"] == 1


async def test_a_head_begun_behind_other_requests_is_as_long_as_itself(serve: Any) -> None:
    async with serve(Limits(head_bytes=4096)) as served:
        reader, writer = await served.connect()
        one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
        writer.write(one * 200 + one[:9])
        for _ in range(200):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(one[9:])
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")


async def test_who_does_not_read_the_answers_is_cut_off(serve: Any) -> None:
    async with serve(Limits(reader_seconds=0.3)) as served:
        _, writer = await served.connect()
        for _ in range(2000):
            writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(20):
            while "slow_reader" not in await cuts(served):  # noqa: ASYNC110 — asked over HTTP
                await asyncio.sleep(0.05)


async def test_a_request_behind_one_that_is_being_answered_is_not_late(serve: Any) -> None:
    async with serve(Limits(request_seconds=0.2), group_wait="1s") as served:
        made = await served.post("/v1/findings", _result())
        waiting = f"/v1/findings?wait=1 HTTP/1.1\r\nhost: x\r\ncontent-length: {len(_result())}"
        reader, writer = await served.connect()
        writer.write(f"POST {waiting}\r\n\r\n".encode() + _result() + WHOLE[:40])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert made.status == 200


def _result() -> bytes:
    return b'{"spec": {"kind": "Pod", "name": "shop/api-0", "error": [{"text": "broken"}]}}'


async def test_the_operator_gets_through_though_others_hold_all_connections(serve: Any) -> None:
    async with serve(Limits(connections=50)) as served:
        for number in range(120):
            _, writer = await served.connect()
            # Some say nothing, some half a request: none is finished.
            writer.write(b"" if number % 2 else b"POST /webhook HTTP/1.1\r\nhost: x\r\n")
        for _ in range(5):
            answer = await served.post("/webhook", BODY)
            assert answer.status == 200
        assert (await cuts(served))["no_room"] >= 70


async def test_a_connection_in_use_stays_when_idle_ones_go(serve: Any) -> None:
    async with serve(Limits(connections=10)) as served:
        reader, writer = await served.connect()  # the operator's, opened first
        for _ in range(40):
            writer.write(WHOLE)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"}")
            await served.connect()


async def test_expect_100_continue_is_answered_before_the_body(served: Any) -> None:
    reader, writer = await served.connect()
    head, _, rest = WHOLE.partition(b"\r\n\r\n")
    writer.write(head + b"\r\nexpect: 100-continue\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(rest)
    await reader.readline()
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_expect_100_continue_without_a_token_is_refused_at_once(serve: Any) -> None:
    async with serve(webhook_token="t" * 20) as served:
        reader, writer = await served.connect()
        head = WHOLE.partition(b"\r\n\r\n")[0]
        writer.write(head + b"\r\nexpect: 100-continue\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")


async def test_a_client_that_hangs_up_leaves_nothing_behind(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for length in (10, len(WHOLE) - 1):
        _, writer = await served.connect()
        writer.write(WHOLE[:length])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(5):
        while b'outcome="client_gone"' not in (await served.get("/metrics")).body:  # noqa: ASYNC110 — asked over HTTP
            await asyncio.sleep(0.01)
    assert (await served.get("/v1/incidents")).json["incidents"] == []
    assert (await served.get("/v1/quarantine")).json["count"] == 0
    assert "Traceback" not in caplog.text


async def test_what_was_sent_whole_is_kept_though_the_client_hangs_up(served: Any) -> None:
    _, writer = await served.connect()
    writer.write(WHOLE)
    await writer.drain()
    writer.close()
    async with asyncio.timeout(5):
        while not (await served.get("/v1/incidents")).json["incidents"]:  # noqa: ASYNC110 — asked over HTTP
            await asyncio.sleep(0.01)


async def test_nonsense_is_400_and_the_log_does_not_quote_it(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await served.connect()
    writer.write(b"POST /webhook/planted-token HTTP/9.9\r\n\r\n")
    assert b" 400 " in (await until_closed(reader)).splitlines()[0]
    assert "planted" not in caplog.text


async def test_who_sends_all_before_reading_hears_413_and_may_go_on(serve: Any) -> None:
    size = 6 * 1024 * 1024  # more than the buffers between the two can hold
    async with serve() as served:
        for path in ("/webhook", "/v1/findings"):
            reader, writer = await served.connect()
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n"
            writer.write(head.encode() + b"x" * size)
            async with asyncio.timeout(30):
                await writer.drain()
                answer = await reader.readuntil(b"}")
                assert answer.startswith(b"HTTP/1.1 413 ")
                writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
