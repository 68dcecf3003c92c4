"""Lists, acts and replays over HTTP."""

import json
import secrets
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest

from aegis_sink.store import quarantine, tables
from aegis_sink.store.errors import StoreUnavailable

BODY = {
    "apiVersion": "core.k8sgpt.ai/v1alpha1",
    "kind": "Result",
    "metadata": {"name": "x", "namespace": "k8sgpt"},
}


def result(name: str, namespace: str = "shop", text: str = "Back-off pulling image a") -> Any:
    """A Result about a Deployment."""
    spec = {"kind": "Deployment", "name": f"{namespace}/{name}", "error": [{"text": text}]}
    return {**BODY, "spec": {**spec, "details": ""}}


async def posted(served: Any, *bodies: Any) -> list[str]:
    """The ids of what they became."""
    ids = []
    for body in bodies:
        answer = await served.post("/v1/findings", body)
        ids += [one["id"] for one in answer.json["incidents"]]
    return ids


async def test_a_list_is_walked_page_by_page_without_a_gap_or_a_repeat(served: Any) -> None:
    ids = await posted(served, *(result(f"app-{chr(97 + n)}") for n in range(7)))
    seen: list[str] = []
    query = "limit=3"
    while query:
        page = (await served.get(f"/v1/incidents?{query}")).json
        seen += [one["id"] for one in page["incidents"]]
        query = f"limit=3&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert seen == ids[::-1]


async def test_a_list_shows_only_what_was_asked_for(served: Any) -> None:
    api, web, other = await posted(
        served, result("api"), result("web", text="exceeded quota: q,"), result("api", "bank")
    )

    async def ids(query: str) -> set[str]:
        page = (await served.get(f"/v1/incidents?{query}")).json
        return {one["id"] for one in page["incidents"]}

    assert await ids("namespace=shop") == {api, web}
    assert await ids("q=QUOTA") == {web}
    assert await ids("q=100%25") == set()
    await served.post(f"/v1/incidents/{other}/ack", {"by": "ada"})
    assert await ids("state=acknowledged") == {other}
    assert await ids("state=open&namespace=bank") == set()


@pytest.mark.parametrize("cursor", ["x", "W10", "bnVsbA", "e30", "é"])
async def test_a_cursor_that_no_list_gave_out_is_400(served: Any, cursor: str) -> None:
    answer = await served.get(f"/v1/incidents?cursor={cursor}")
    assert answer.status == 400
    assert "cursor" in answer.json["detail"]


async def test_an_act_says_who_did_it_and_an_unknown_incident_is_404(served: Any) -> None:
    [incident] = await posted(served, result("api"))
    acked = await served.post(f"/v1/incidents/{incident}/ack", {"by": "ada", "reason": "on it"})
    assert acked.json["state"] == "acknowledged"
    assert acked.json["acknowledged_by"] == "ada"
    assert acked.json["history"][-1]["reason"] == "by ada: on it"
    ended = await served.post(f"/v1/incidents/{incident}/resolve", {"by": "ada"})
    assert ended.json["state"] == "resolved"
    for path in ("", "/ack", "/resolve", "/replay"):
        method = served.post if path else served.get
        assert (await method(f"/v1/incidents/nope{path}")).status == 404


async def test_a_replay_makes_a_new_incident_and_ends_the_old_one(served: Any) -> None:
    [old] = await posted(served, result("api"))
    answer = await served.post(f"/v1/incidents/{old}/replay")
    [made] = answer.json["incidents"]
    assert (made["created"], made["id"] != old) == (True, True)
    assert (await served.get(f"/v1/incidents/{old}")).json["superseded_by"] == made["id"]


async def test_a_replay_of_several_bodies_makes_one_new_incident(served: Any) -> None:
    names = ("api-7d4b9c6f5-x2k9p", "api-7d4b9c6f5-qw7rt", "api-7d4b9c6f5-zb4mn")
    pods = [{**result(name), "spec": {**result(name)["spec"], "kind": "Pod"}} for name in names]
    old, *others = await posted(served, *pods)
    assert set(others) == {old}
    [made] = (await served.post(f"/v1/incidents/{old}/replay")).json["incidents"]
    assert made["id"] != old
    again = (await served.get(f"/v1/incidents/{made['id']}")).json
    assert {one["name"] for one in again["objects"]} == set(names)
    assert again["superseded_by"] == ""


async def test_a_replay_of_one_incident_of_a_list_leaves_the_others_alone(served: Any) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [result("api"), result("web")]}
    api, web = await posted(served, listed)
    answer = await served.post(f"/v1/incidents/{api}/replay")
    assert len(answer.json["incidents"]) == 1
    assert (await served.get(f"/v1/incidents/{web}")).json["superseded_by"] == ""


async def test_a_replay_of_what_is_no_longer_kept_is_410(served: Any) -> None:
    [incident] = await posted(served, result("api"))
    await served.service.database.write(lambda c: c.execute(tables.deliveries.delete()))
    answer = await served.post(f"/v1/incidents/{incident}/replay")
    assert answer.status == 410
    assert "AEGIS_RETENTION" in answer.json["detail"]


async def test_a_body_that_an_older_version_quarantined_becomes_a_finding_when_retried(
    served: Any,
) -> None:
    body = json.dumps(result("api")).encode()
    now = datetime.now(UTC)
    await served.service.database.write(
        lambda c: quarantine.put(c, id="q1", at=now, door="webhook", reason="?", body=body)
    )
    answer = await served.post("/v1/quarantine/q1/retry")
    assert answer.json["status"] == "accepted"
    [made] = answer.json["incidents"]
    assert (await served.get(f"/v1/incidents/{made['id']}")).json["subject"]["name"] == "api"
    assert (await served.get("/v1/quarantine")).json["count"] == 0
    assert (await served.post("/v1/quarantine/q1/retry")).status == 404


async def test_a_body_that_is_still_not_understood_stays_and_counts_its_retries(
    served: Any,
) -> None:
    await served.post("/webhook", b'{"neither": "nor"}')
    [item] = (await served.get("/v1/quarantine")).json["quarantine"]
    answer = await served.post(f"/v1/quarantine/{item['id']}/retry")
    assert answer.json["status"] == "quarantined"
    [item] = (await served.get("/v1/quarantine")).json["quarantine"]
    assert item["retries"] == 1
    assert item["first"] == '{"neither": "nor"}'


async def test_a_body_with_more_findings_than_the_door_takes_stays_in_quarantine(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_sink.intake.reading.FINDINGS_LIMIT", 2)
    many = {"apiVersion": "v1", "kind": "List", "items": [result(f"api-{n}") for n in range(3)]}
    body = json.dumps(many).encode()
    now = datetime.now(UTC)
    await served.service.database.write(
        lambda c: quarantine.put(c, id="q1", at=now, door="webhook", reason="?", body=body)
    )
    answer = await served.post("/v1/quarantine/q1/retry")
    assert answer.json["status"] == "quarantined"
    [item] = (await served.get("/v1/quarantine")).json["quarantine"]
    assert "holds 3 findings" in item["reason"]
    assert (await served.get("/v1/incidents")).json["incidents"] == []


async def test_quarantine_is_bounded_with_each_body_oldest_first(serve: Any) -> None:
    async with serve(quarantine_max_bytes="3000") as served:
        for number in range(6):
            body = json.dumps({"number": number, "noise": secrets.token_hex(600)}).encode()
            assert (await served.post("/webhook", body)).json["status"] == "quarantined"
        kept = (await served.get("/v1/quarantine")).json
    assert kept["stored_bytes"] <= 3000
    assert kept["quarantine"][0]["first"][:12] == '{"number": 5'
    assert 1 <= kept["count"] < 6


async def test_a_list_of_quarantine_shows_no_secret(served: Any) -> None:
    await served.post("/webhook", b'{"neither": "nor", "text": 7, "note": "password=hunter2"}')
    [item] = (await served.get("/v1/quarantine")).json["quarantine"]
    assert "neither" in item["first"]
    assert "hunter2" not in item["first"]


async def test_it_is_not_ready_while_the_database_takes_no_writes(served: Any) -> None:
    database = served.service.database

    def full(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.exec_driver_sql("CREATE TABLE filler (x)")
        connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(1000000))")

    with pytest.raises(StoreUnavailable):
        await database.write(full)
    assert (await served.get("/readyz")).status == 200  # a small write still fits
    database.refuses = True
    refused = StoreUnavailable("the database refused to write: database or disk is full")
    taken, database.write = database.write, AsyncMock(side_effect=refused)
    answer = await served.get("/readyz")
    assert answer.status == 503
    assert "disk is full" in answer.json["database"]
    assert b"aegis_sink_store_refuses 1.0" in (await served.get("/metrics")).body
    database.write = taken
    assert (await served.get("/readyz")).status == 200
    assert not database.refuses
    assert b"aegis_sink_store_refuses 0.0" in (await served.get("/metrics")).body


async def test_quarantine_lists_the_newest_first(served: Any) -> None:
    start = datetime.now(UTC)

    def put(connection: Any) -> None:
        for n in range(5):
            at = start + timedelta(seconds=n)
            quarantine.put(connection, id=f"q{n}", at=at, door="webhook", reason="?", body=b"x")

    await served.service.database.write(put)
    answer = (await served.get("/v1/quarantine?limit=3")).json
    assert [item["id"] for item in answer["quarantine"]] == ["q4", "q3", "q2"]
    assert answer["count"] == 5
    assert answer["stored_bytes"] == 5 * len(zlib.compress(b"x", 1))
