"""A load generator lean enough to stay ahead of what it measures: prepared bytes on raw sockets.

Run as a program of its own, so that it does not share the measured process' interpreter:
`python load.py HOST PORT PATH CONNECTIONS SECONDS BODIES-FILE` prints one JSON line.
Bodies are sent in turn, one a line of the file; requests on a connection follow each other.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop


class _Connection(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the answer is whole."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float], end: float) -> None:
        self._requests = requests
        self._latencies = latencies
        self._end = end
        self._buffer = b""
        self._sent = 0.0
        self.done = asyncio.get_running_loop().create_future()
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, gap, body = self._buffer.partition(b"\r\n\r\n")
        if not gap:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._buffer = b""
        self._latencies.append(time.perf_counter() - self._sent)
        self.refused += not head.startswith(b"HTTP/1.1 200")
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        if self._sent > self._end:
            self._transport.close()
            return
        self._transport.write(next(self._requests))


async def _run(
    host: str, port: int, path: str, connections: int, seconds: float, bodies: list[bytes]
) -> dict[str, object]:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    requests = itertools.cycle(
        f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies
    )
    latencies: list[float] = []
    start = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        (
            await loop.create_connection(
                lambda: _Connection(requests, latencies, start + seconds), host, port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.done for one in made))
    took = time.perf_counter() - start
    latencies.sort()
    return {
        "requests": len(latencies),
        "refused": sum(one.refused for one in made),
        "per_second": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
    }


def main() -> None:
    """Read the arguments, run, print."""
    host, port, path, connections, seconds, file = sys.argv[1:]
    bodies = Path(file).read_bytes().splitlines()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_run(host, int(port), path, int(connections), float(seconds), bodies))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
