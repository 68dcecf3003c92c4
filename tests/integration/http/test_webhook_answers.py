"""Each answer of the operator's door. K8sGPT takes 200 for success and nothing else."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis_sink.dialects.table import read
from aegis_sink.store import quarantine

TOKEN = "s3cret-of-the-sink"


def slack(what: str, details: str = "Error: it broke.") -> dict[str, Any]:
    """The operator's slack body."""
    return {
        "text": f">*[k8sgpt] K8sGPT analysis of the {what}*",
        "attachments": [{"type": "mrkdwn", "text": details, "color": "danger", "title": "Report"}],
    }


async def test_a_post_is_accepted_and_the_same_post_again_is_a_duplicate(served: Any) -> None:
    first = await served.post("/webhook", slack("Pod shop/api-0"))
    again = await served.post("/webhook", slack("Pod shop/api-0"))
    assert (first.status, again.status) == (200, 200)
    assert first.json["status"] == "accepted"
    assert again.json == {"status": "duplicate", "id": first.json["id"]}
    incident = (await served.get(f"/v1/incidents/{first.json['id']}")).json
    assert incident["occurrences"] == 2


async def test_every_body_the_operator_posts_is_accepted(
    served: Any, payloads: tuple[Path, ...]
) -> None:
    assert len(payloads) == 13
    for body in payloads:
        answer = await served.post("/webhook", body.read_bytes())
        assert (answer.status, answer.json["status"] != "quarantined") == (200, True), body.name


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"not json", "not JSON"),
        (b'{"text": ', "not JSON"),
        (b"\xff\x00", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'"text"', "not an object"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "known are"),
        (b'{"hello": "world"}', "known are"),
        (b'{"\\ud800": 1}', "known are"),
        (b'{"text": 7, "attachments": [{"type": "mrkdwn"}]}', "text"),
        (b'{"text": "no title of K8sGPT"}', ""),
        (b'{"specversion": "1.0"}', "missing"),
        (b'{"kind": "Result", "spec": {}}', "missing"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"n": NaN}', "not JSON"),
    ],
)
async def test_what_is_not_understood_gets_200_and_is_kept(
    served: Any, body: bytes, reason: str
) -> None:
    answer = await served.post("/webhook", body)
    assert (answer.status, answer.json["status"]) == (200, "quarantined")
    listed = (await served.get("/v1/quarantine")).json
    assert [item["id"] for item in listed["quarantine"]] == [answer.json["id"]]
    assert listed["quarantine"][0]["size"] == len(body)
    assert reason in listed["quarantine"][0]["reason"]


@pytest.mark.parametrize(
    "what",
    ["Llama Farm/Big One shop/x", "AWS/EKS production", "Foo /cluster-scoped", "Pod a/b/c/d/e"],
)
async def test_kinds_nobody_heard_of_are_accepted(served: Any, what: str) -> None:
    answer = await served.post("/webhook", slack(what))
    assert (answer.status, answer.json["status"]) == (200, "accepted")


@pytest.mark.parametrize(
    "body",
    [
        {"text": slack("Pod shop/api-0")["text"], "attachments": [{"type": "mrkdwn"}]},
        {"text": slack("Pod shop/api-0")["text"], "attachments": None},
        {"text": slack("Pod shop/api-0")["text"], "attachments": []},
    ],
)
async def test_a_body_with_members_missing_is_still_a_finding(served: Any, body: Any) -> None:
    answer = await served.post("/webhook", body)
    assert (answer.status, answer.json["status"]) == (200, "accepted")


async def test_details_of_130_kb_are_accepted(served: Any) -> None:
    answer = await served.post("/webhook", slack("Pod shop/api-0", "ü" * 65_000))
    assert (answer.status, answer.json["status"]) == (200, "accepted")


async def test_half_a_surrogate_pair_and_nul_bytes_are_text_like_any_other(served: Any) -> None:
    for details in ("\\ud800", "\\u0000", "\\ud83d\\ude00\\udfff"):
        body = json.dumps(slack("Pod shop/api-0", "DETAILS")).replace("DETAILS", details)
        answer = await served.post("/webhook", body.encode())
        assert (answer.status, answer.json["status"]) != (200, "quarantined")
        assert answer.status == 200
        shown = await served.get(f"/v1/incidents/{answer.json['id']}")
        assert shown.status == 200


async def test_a_body_of_two_mebibytes_is_read_and_a_byte_more_is_not(served: Any) -> None:
    limit = 2 * 1024 * 1024
    assert (await served.post("/webhook", b"x" * limit)).status == 200
    answer = await served.post("/webhook", b"x" * (limit + 1))
    assert answer.status == 413
    assert "2097152" in answer.json["error"]


async def test_a_list_of_more_findings_than_fit_is_kept_and_put_aside(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_sink.intake.reading.FINDINGS_LIMIT", 30)
    spec = {"kind": "Pod", "error": [{"text": "x" * 2000}], "details": ""}
    items = [{"spec": {**spec, "name": f"shop/api-{n}"}} for n in range(31)]
    answer = await served.post("/webhook", {"kind": "ResultList", "items": items})
    assert (answer.status, answer.json["status"]) == (200, "quarantined")
    [item] = (await served.get("/v1/quarantine")).json["quarantine"]
    assert "holds 31 findings" in item["reason"]
    fits = await served.post("/webhook", {"kind": "ResultList", "items": items[:30]})
    assert fits.json["status"] == "accepted"


async def test_the_same_problem_in_a_burst_is_one_incident_that_counts_each_post(
    served: Any,
) -> None:
    body = slack("Pod shop/api-0")
    event = {
        "specversion": "1.0",
        "type": "com.github.k8sgpt-ai.k8sgpt-operator.sinks.cloudevents",
        "source": "https://github.com/k8sgpt-ai/k8sgpt-operator",
        "data": body,
    }
    posts = [body] * 20 + [{**event, "id": f"new-each-time-{n}"} for n in range(20)]
    answers = await asyncio.gather(*(served.post("/webhook", post) for post in posts))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert [answer.json["status"] for answer in answers].count("accepted") == 1
    [incident] = (await served.get("/v1/incidents")).json["incidents"]
    assert incident["occurrences"] == 40


async def test_a_long_body_is_read_beside_the_event_loop(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop: dict[int, bool] = {}
    loop_thread = threading.current_thread()

    def noted(body: bytes, **options: Any) -> Any:
        on_loop[len(body)] = threading.current_thread() is loop_thread
        return read(body, **options)

    monkeypatch.setattr("aegis_sink.intake.reading.read", noted)
    short = json.dumps(slack("Pod shop/api-0")).encode()
    long = json.dumps(slack("Pod shop/api-1", "x" * 40_000)).encode()
    for body in (short, long):
        assert (await served.post("/webhook", body)).status == 200
    yaml = b"kind: Result\nspec: {kind: Pod, name: shop/web}\n"
    posted = await served.post("/v1/findings", yaml, content_type="application/yaml")
    [incident] = posted.json["incidents"]
    assert on_loop == {len(short): True, len(long): False, len(yaml): False}
    on_loop.clear()
    await served.post(f"/v1/incidents/{incident['id']}/replay")
    assert on_loop == {len(yaml): False}
    on_loop.clear()
    await served.service.database.write(
        lambda c: quarantine.put(
            c, id="q1", at=datetime.now(UTC), door="webhook", reason="?", body=yaml
        )
    )
    assert (await served.post("/v1/quarantine/q1/retry")).status == 200
    assert on_loop == {len(yaml): False}


async def test_a_chunked_body_over_the_limit_is_refused_too(served: Any) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(33):
            yield b"x" * 65_536

    assert (await served.post("/webhook", chunks())).status == 413


async def test_a_chunked_body_is_read(served: Any) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        body = json.dumps(slack("Pod shop/api-0")).encode()
        yield body[:20]
        yield body[20:]

    answer = await served.post("/webhook", chunks())
    assert (answer.status, answer.json["status"]) == (200, "accepted")


def basic(password: str, user: str = "aegis") -> str:
    """As Go sends it when the URL holds user and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"/webhook/{TOKEN}", {}, 200),
        (f"/webhook/{TOKEN}/", {}, 200),
        ("/webhook", {"authorization": basic(TOKEN)}, 200),
        ("/webhook/", {"authorization": basic(TOKEN)}, 200),
        ("/webhook", {"authorization": basic(TOKEN, "")}, 200),
        ("/webhook", {"authorization": f"Bearer {TOKEN}"}, 200),
        ("/webhook/wrong", {"authorization": basic(TOKEN)}, 200),
        ("/webhook", {}, 401),
        ("/webhook/", {}, 401),
        ("/webhook/wrong", {}, 401),
        (f"/webhook/{TOKEN}x", {}, 401),
        (f"/webhook/{TOKEN[:-1]}", {}, 401),
        (f"/webhook/x/{TOKEN}", {}, 401),
        (f"/webhook?token={TOKEN}", {}, 401),
        ("/webhook", {"authorization": basic("wrong")}, 401),
        ("/webhook", {"authorization": basic(TOKEN + ":")}, 401),
        ("/webhook", {"authorization": "Basic ???"}, 401),
        ("/webhook", {"authorization": "Basic"}, 401),
        ("/webhook", {"authorization": "Bearer "}, 401),
        ("/webhook", {"authorization": TOKEN}, 401),
    ],
)
async def test_who_may_post(serve: Any, path: str, headers: Any, status: int) -> None:
    async with serve(webhook_token=TOKEN) as served:
        answer = await served.post(path, slack("Pod shop/api-0"), **headers)
        assert answer.status == status
        stored = (await served.get("/v1/incidents")).json["incidents"]
        assert len(stored) == (1 if status == 200 else 0)
        if status == 401:
            assert "/webhook/TOKEN" in answer.json["error"]


async def test_a_token_that_a_url_must_escape_works_in_both_places(serve: Any) -> None:
    async with serve(webhook_token="a/b c+ü%") as served:
        in_path = await served.post("/webhook/a%2Fb%20c+%C3%BC%25", slack("Pod shop/api-0"))
        as_basic = await served.post(
            "/webhook", slack("Pod shop/api-0"), authorization=basic("a/b c+ü%")
        )
        assert (in_path.status, as_basic.status) == (200, 200)


async def test_a_token_that_ends_like_a_path_works_and_does_not_open_to_everybody(
    serve: Any,
) -> None:
    async with serve(webhook_token="abc/") as served:
        assert (await served.post("/webhook/abc/", slack("Pod shop/api-0"))).status == 200
        assert (await served.post("/webhook/abc", slack("Pod shop/api-0"))).status == 200
        for path in ("/webhook", "/webhook/", "/webhook//"):
            assert (await served.post(path, slack("Pod shop/api-0"))).status == 401


async def test_without_a_token_the_last_segment_does_not_matter(served: Any) -> None:
    for path in ("/webhook", "/webhook/", "/webhook/anything", "/webhook/any/thing/"):
        assert (await served.post(path, slack("Pod shop/api-0"))).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/webhook", "/webhook/", "/webhook/t", "/webhook/t/"])
async def test_only_post_is_answered(served: Any, method: str, path: str) -> None:
    answer = await served.ask(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


async def test_nothing_at_or_below_the_webhook_ever_redirects(served: Any) -> None:
    for path in (
        "/webhook",
        "/webhook/",
        "/webhook//",
        "/webhook/a/b/",
        "/webhook/..",
        "/webhook/%2e",
    ):
        for method in ("GET", "HEAD", "POST"):
            assert not 300 <= (await served.ask(method, path)).status < 400, (method, path)


async def test_content_type_and_user_agent_decide_nothing(served: Any) -> None:
    for media in ("text/plain", "application/xml", "application/cloudevents+json", ";;;"):
        answer = await served.post(
            "/webhook", slack("Pod shop/api-0"), content_type=media, user_agent="curl/8"
        )
        assert answer.status == 200
