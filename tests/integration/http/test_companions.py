"""What runs beside the requests goes on after a failure that nobody foresaw."""

import asyncio
from typing import Any

import pytest

from aegis_sink.flow.digests import Digests


async def test_a_companion_that_fails_says_so_and_begins_again(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("aegis_sink.service.RESTART_SECONDS", 0.0)
    looked = asyncio.Event()
    tell_due = Digests.tell_due
    failures = [RuntimeError("nobody foresaw this")]

    async def failing(self: Digests) -> None:
        if failures:
            raise failures.pop()
        await tell_due(self)
        looked.set()

    monkeypatch.setattr(Digests, "tell_due", failing)
    async with serve(), asyncio.timeout(20):
        await looked.wait()
    assert "digests failed, it begins again" in caplog.text
    assert "nobody foresaw this" in caplog.text
