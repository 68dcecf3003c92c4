"""aegis-sink as a process of its own, for tests that look at it from outside."""

import asyncio
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port that is free, below those the system hands out itself: no other test is given it."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@asynccontextmanager
async def process(
    command: Sequence[str], environment: dict[str, str], directory: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in an otherwise empty environment; stopped like a pod, by SIGTERM."""
    running = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "HOME": "/", **environment},
        cwd=directory,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            await asyncio.wait_for(running.communicate(), 20)


async def until_ready(running: asyncio.subprocess.Process, url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while running.returncode is None:
            try:
                async with session.get(url) as answer:
                    assert answer.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    assert running.stderr
    raise AssertionError((await running.stderr.read()).decode())
