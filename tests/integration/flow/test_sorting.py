"""From the inbox to incidents: everything is made, and nothing goes on when all of it is."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from aegis_sink.dialects.table import read
from aegis_sink.store import incidents, quarantine
from aegis_sink.store.accept import Arrival, accept
from aegis_sink.store.database import Bulk, Connection
from aegis_sink.store.errors import StoreError
from tests.integration.flow.conftest import Flow, finding

CRASH = "the last termination reason is Error container=api pod=api-1"


def slack(pod: str) -> bytes:
    title = f">*[main] K8sGPT analysis of the Pod shop/{pod}*"
    return json.dumps({"text": title, "attachments": [{"type": "mrkdwn", "text": ""}]}).encode()


async def posted(flow: Flow, body: bytes) -> str:
    return (await flow.door.post(body, read(body, cluster="east"), door="webhook")).id


async def test_when_a_persons_body_empties_the_inbox_the_service_is_idle_afterwards(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await posted(flow, slack("api-1"))
    await flow.post(finding("api-2", CRASH))
    assert (await flow.incident(waiting)).occurrences == 1
    await flow.after(60)
    writes: list[object] = []
    write = flow.database.write

    async def counted(run: Any) -> Any:
        writes.append(run)
        return await write(run)

    monkeypatch.setattr(flow.database, "write", counted)
    await asyncio.sleep(0.3)  # a loop without a pause writes hundreds of times in this
    assert len(writes) < 5


async def test_posts_through_both_doors_at_once_all_become_incidents_without_a_reader(
    flow: Flow,
) -> None:
    names = [f"web{chr(97 + n)}" for n in range(20)]
    ids, _ = await asyncio.gather(
        asyncio.gather(*(posted(flow, slack(name)) for name in names)),
        asyncio.gather(*(flow.post(finding(f"{name}-2", CRASH)) for name in names)),
    )
    async with asyncio.timeout(30):
        for incident_id in ids:
            while await flow.database.read(partial(_found, incident_id)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_door_whose_posts_all_wait_for_the_disk_is_not_quiet(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = asyncio.Event(), asyncio.Event()
    write_one_of = flow.database.write_one_of

    async def slow(bulk: Bulk[Any], item: object) -> Any:
        begun.set()
        await go.wait()
        return await write_one_of(bulk, item)

    monkeypatch.setattr(flow.database, "write_one_of", slow)
    before = flow.door.sorting.posts
    waits = asyncio.create_task(posted(flow, slack("api-1")))
    await begun.wait()
    assert flow.door.sorting.posts == before + 1
    go.set()
    await waits
    assert flow.door.sorting.posts == before + 1


async def test_a_body_that_cannot_become_an_incident_holds_up_no_other_also_when_it_comes_again(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await posted(flow, slack("api-1"))
    await flow.door.sorting.settle()

    def broken(connection: Connection, arrivals: Sequence[Arrival]) -> Any:
        if any(b"api-1" in arrival.body for arrival in arrivals):
            raise TypeError("a fault of ours")
        return accept(connection, arrivals)

    monkeypatch.setattr("aegis_sink.flow.inbox.accept", broken)
    for _ in range(2):
        # A restart counts the rows from one again.
        flow.door.sorting._inbox.forget()
        assert await posted(flow, slack("api-1")) == known
        await flow.door.sorting.settle()
    count, _ = await flow.database.read(quarantine.size)
    assert count == 2
    other = await posted(flow, slack("web-1"))
    await flow.door.sorting.settle()
    assert await flow.database.read(partial(_found, other)) is not None


async def test_while_the_database_refuses_nothing_is_taken_for_broken(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    with monkeypatch.context() as patch:
        patch.setattr("aegis_sink.flow.inbox.accept", Mock(side_effect=full))
        waiting = await posted(flow, slack("api-1"))
        with pytest.raises(StoreError, match="disk is full"):
            await flow.door.sorting.settle()
    await flow.door.sorting.settle()
    assert await flow.database.read(quarantine.size) == (0, 0)
    assert await flow.database.read(partial(_found, waiting)) is not None


def _found(incident_id: str, connection: Connection) -> object:
    return incidents.get(connection, incident_id)
