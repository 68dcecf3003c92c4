"""More than the disk can take: 503 with Retry-After, and nothing half-stored."""

import asyncio
import gc
import secrets
import threading
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from aegis_sink.store.database import Connection


def slack(number: int) -> dict[str, Any]:
    """A body about a pod of its own."""
    return {
        "text": f">*[k8sgpt] K8sGPT analysis of the Deployment shop/app{chr(97 + number)}*",
        "attachments": [{"type": "mrkdwn", "text": "", "color": "danger", "title": "Report"}],
    }


async def test_a_full_queue_answers_503_and_stores_only_what_it_said_it_stored(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.service.database, "_limit", 3)
    go_on = threading.Event()
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(connection: Connection) -> None:
        loop.call_soon_threadsafe(held.set)
        go_on.wait(20)

    holding = asyncio.create_task(served.service.database.write(hold))
    await held.wait()
    posts = [asyncio.create_task(served.post("/webhook", slack(n))) for n in range(20)]
    async with asyncio.timeout(10):
        while sum(post.done() for post in posts) < 15:  # noqa: ASYNC110 — many tasks
            await asyncio.sleep(0.01)
    by_hand = await served.post(
        "/v1/findings", b'{"spec": {"kind": "Pod", "name": "a/b", "error": [{"text": "x"}]}}'
    )
    monkeypatch.undo()
    go_on.set()
    await holding
    answers = await asyncio.gather(*posts)
    stored = [one for one in answers if one.status == 200]
    refused = [one for one in answers if one.status == 503]
    assert 1 <= len(stored) <= 3
    assert len(stored) + len(refused) == 20
    for one in [*refused, by_hand]:
        assert one.status == 503
        assert one.headers["retry-after"] == "1"
        assert "nothing was stored" in one.body.decode()
    listed = (await served.get("/v1/incidents")).json["incidents"]
    assert {one["id"] for one in listed} == {one.json["id"] for one in stored}
    again = await served.post("/webhook", slack(0))
    assert again.status == 200


async def test_a_database_that_refuses_answers_503_and_stores_nothing(served: Any) -> None:
    def fill_up(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await served.service.database.write(fill_up)
    huge = slack(0)
    huge["attachments"][0]["text"] = secrets.token_hex(400_000)
    for path, body in (("/webhook", huge), ("/webhook", secrets.token_bytes(900_000))):
        answer = await served.post(path, body)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert "nothing was stored" in answer.json["error"]
        assert "INSERT" not in answer.json["error"]
    assert (await served.get("/v1/incidents")).json["incidents"] == []
    assert (await served.get("/v1/quarantine")).json["count"] == 0


async def test_posts_that_come_together_share_a_commit_and_one_alone_waits_for_no_other(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = served.service.database
    gather, gathered = database._gather, []

    def watched(*args: Any) -> None:
        gathered.append(args)
        gather(*args)

    monkeypatch.setattr(database, "_gather", watched)
    for number in range(3):
        assert (await served.post("/webhook", slack(number))).status == 200
    assert not gathered
    await asyncio.gather(*(served.post("/webhook", slack(number)) for number in range(8)))
    assert gathered


async def test_an_answered_post_leaves_nothing_to_the_garbage_collector(served: Any) -> None:
    # A collection among thousands of requests holds up the posts behind it.
    await served.post("/webhook", slack(0))
    gc.collect()
    gc.disable()
    try:
        for number in range(10):
            await served.post("/webhook", slack(number))
        left = [one for one in gc.get_objects() if isinstance(one, RequestResponseCycle)]
    finally:
        gc.enable()
    assert len(left) <= 1  # a connection keeps its latest
