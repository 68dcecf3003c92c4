"""Each answer of a person's door, and that errors say where and why."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

TOKEN = "a-token-for-the-api"


def result(name: str = "shop/api-0", **spec: Any) -> dict[str, Any]:
    """A Result with one error text."""
    return {
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "kind": "Result",
        "metadata": {"name": name.replace("/", ""), "namespace": "k8sgpt"},
        "spec": {
            "kind": "Pod",
            "name": name,
            "error": [{"text": "Back-off pulling image nginx:nope"}],
            "details": "",
            **spec,
        },
    }


def is_problem(answer: Any, status: int) -> bool:
    """RFC 9457."""
    return bool(
        answer.status == status
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json["status"] == status
        and answer.json["detail"]
    )


async def test_every_body_a_person_has_at_hand_is_a_finding(
    served: Any, results: tuple[Path, ...]
) -> None:
    for path in results:
        if path.suffix == ".ndjson":
            continue  # many documents: `aegis-sink replay` takes them apart
        media = "application/yaml" if path.suffix == ".yaml" else "application/json"
        answer = await served.post("/v1/findings", path.read_bytes(), content_type=media)
        assert answer.status == 200, (path.name, answer.body)
        assert bool(answer.json["incidents"]) == ("healthy" not in path.name), path.name


async def test_an_incident_is_made_once_and_forced_twice(served: Any) -> None:
    first, again, forced = [
        (await served.post(f"/v1/findings{query}", result())).json["incidents"][0]
        for query in ("", "", "?force=true")
    ]
    assert (first["created"], again["created"], forced["created"]) == (True, False, True)
    assert first["id"] == again["id"] != forced["id"]
    assert first["url"] == f"/v1/incidents/{first['id']}"
    before = (await served.get(f"/v1/incidents/{first['id']}")).json
    assert (before["state"], before["superseded_by"]) == ("resolved", forced["id"])


async def test_wait_answers_with_the_whole_diagnosed_incident(served: Any) -> None:
    answer = await served.post("/v1/findings?wait=30", result())
    incident = answer.json["incidents"][0]
    assert incident["created"]
    assert incident["diagnosis"]["root_cause"]
    assert incident == {
        **(await served.get(f"/v1/incidents/{incident['id']}")).json,
        "created": True,
        "notices": incident["notices"],
        "history": incident["history"],
    }


async def test_yaml_is_read_where_it_is_announced(served: Any) -> None:
    body = b"kind: Result\nspec:\n  kind: Pod\n  name: shop/api-0\n  error: [{text: broken}]\n"
    for media in ("application/yaml", "text/yaml; charset=utf-8", "application/x-yaml"):
        assert (await served.post("/v1/findings", body, content_type=media)).status == 200
    assert is_problem(await served.post("/v1/findings", body), 400)


async def test_more_findings_than_fit_into_one_request_are_422_and_none_is_stored(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_sink.intake.reading.FINDINGS_LIMIT", 50)
    many = {
        "kind": "ResultList",
        "items": [result(f"shop/api-{n}", pad="x" * 999) for n in range(51)],
    }
    answer = await served.post("/v1/findings", many)
    assert is_problem(answer, 422)
    assert "at most 50" in answer.json["detail"]
    assert (await served.get("/v1/incidents")).json["incidents"] == []
    fits = {**many, "items": many["items"][:50]}
    assert (await served.post("/v1/findings", fits)).status == 200


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "empty"),
        (b"not json", "not JSON"),
        (b'{"kind": "Result" x}', "line 1 column 19"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"n": Infinity}', "not a JSON number"),
    ],
)
async def test_what_is_not_json_is_400(served: Any, body: bytes, detail: str) -> None:
    answer = await served.post("/v1/findings", body)
    assert is_problem(answer, 400)
    assert detail in answer.json["detail"]


async def test_yaml_that_explodes_or_cannot_be_read_is_400(served: Any) -> None:
    for body in (
        b"a: &a [x, x]\nb: *a",
        b"a: [",
        b"!!python/object:os.system {}",
        b"a: 1\n---\nb: 2",
    ):
        answer = await served.post("/v1/findings", body, content_type="application/yaml")
        assert is_problem(answer, 400), body


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ({"spec": {"kind": "Pod"}}, "$.spec.name", "missing"),
        (result(name="shop/api-0", kind=7), "$.spec.kind", "must be string"),
        (result(error="text"), "$.spec.error", "must be array"),
        ({"kind": "ResultList", "items": [result(kind=None)]}, "$.items[0].spec.kind", "must be"),
        ({"hello": 1}, "$", "known are"),
        ({"\ud800": 1}, "$", "known are"),
        ([], "$", "known are"),
    ],
)
async def test_what_is_no_finding_is_422_with_the_path_and_the_reason(
    served: Any, body: Any, path: str, reason: str
) -> None:
    answer = await served.post("/v1/findings", body)
    assert is_problem(answer, 422)
    assert answer.json["path"] == path
    assert reason in answer.json["reason"]
    assert (await served.get("/v1/quarantine")).json["count"] == 0


@pytest.mark.parametrize(
    "media", ["application/xml", "multipart/form-data", "image/png", "text/html"]
)
async def test_what_is_neither_json_nor_yaml_is_415(served: Any, media: str) -> None:
    answer = await served.post("/v1/findings", result(), content_type=media)
    assert is_problem(answer, 415)
    assert media in answer.json["detail"]


@pytest.mark.parametrize(
    "query",
    ["force=maybe", "force=", "wait=soon", "wait=-1", "wait=601", "wait=nan", "wait=inf", "wait="],
)
async def test_a_parameter_that_cannot_be_used_is_400(served: Any, query: str) -> None:
    answer = await served.post(f"/v1/findings?{query}", result())
    assert is_problem(answer, 400)
    assert query.split("=")[0] in answer.json["detail"]
    assert (await served.get("/v1/incidents")).json["incidents"] == []


async def test_a_body_over_two_mebibytes_is_413(served: Any) -> None:
    assert is_problem(await served.post("/v1/findings", b"x" * (2 * 1024 * 1024 + 1)), 413)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_only_post_is_answered(served: Any, method: str) -> None:
    answer = await served.ask(method, "/v1/findings")
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "POST"


async def routes(served: Any) -> list[tuple[str, str]]:
    """Method and path of everything below /v1 that the OpenAPI document knows."""
    paths = (await served.get("/openapi.json")).json["paths"]
    found = [
        (method.upper(), re.sub(r"{\w+}", "x", path))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/")
    ]
    assert len(found) > 15
    return found


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
async def test_with_an_api_token_nothing_below_v1_opens_without_it(
    serve: Any, authorization: str | None
) -> None:
    async with serve(api_token=TOKEN) as served:
        headers = {"authorization": authorization} if authorization else {}
        for method, path in await routes(served):
            answer = await served.ask(method, path, **headers)
            assert is_problem(answer, 401), path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in answer.body.decode()


async def test_the_bearer_token_opens_v1(serve: Any) -> None:
    async with serve(api_token=TOKEN) as served:
        authorization = f"Bearer {TOKEN}"
        posted = await served.post("/v1/findings", result(), authorization=authorization)
        assert posted.status == 200
        for method, path in await routes(served):
            assert (await served.ask(method, path, authorization=authorization)).status != 401


async def test_a_stranger_is_refused_before_the_body_is_read(serve: Any) -> None:
    async with serve(api_token=TOKEN) as served:
        reader, writer = await served.connect()
        writer.write(b"POST /v1/findings HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_the_webhook_token_does_not_open_v1(serve: Any) -> None:
    async with serve(api_token=TOKEN, webhook_token="another") as served:
        assert (await served.get("/v1/incidents", authorization="Bearer another")).status == 401
        assert (await served.post(f"/webhook/{TOKEN}", {})).status == 401


async def test_v1_is_closed_where_others_can_reach_it_and_no_token_is_set(serve: Any) -> None:
    async with serve(host="0.0.0.0", webhook_token="t") as served:
        for method, path in await routes(served):
            answer = await served.ask(method, path, authorization="Bearer ")
            assert is_problem(answer, 401), path
            assert "AEGIS_API_TOKEN" in answer.json["detail"]
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert (await served.get(path)).status == 200


async def test_unknown_paths_and_methods_are_problems_too(served: Any) -> None:
    assert is_problem(await served.get("/v1/nothing"), 404)
    assert is_problem(await served.get("/v1/incidents/nothing"), 404)
    assert is_problem(await served.ask("DELETE", "/v1/incidents"), 405)
    assert (await served.ask("DELETE", "/v1/incidents")).headers["allow"]


async def test_text_that_is_half_a_surrogate_pair_can_be_posted_and_read(served: Any) -> None:
    body = json.dumps(result(details="D")).replace('"D"', '"\\ud800 \\u0000"')
    answer = await served.post("/v1/findings?wait=30", body.encode())
    assert answer.status == 200
    assert (await served.get("/v1/incidents")).status == 200


async def test_an_error_of_ours_shows_nothing_of_itself(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as served:

        async def broken(run: Any) -> None:
            raise RuntimeError("inner words")

        monkeypatch.setattr(served.service.database, "read", broken)
        answer = await served.get("/v1/incidents")
        monkeypatch.undo()
        assert is_problem(answer, 500)
        assert b"inner words" not in answer.body
        assert "inner words" in caplog.text


async def test_what_is_over_cannot_be_acknowledged_and_says_so(served: Any) -> None:
    posted = await served.post("/v1/findings", result())
    route = "/v1/incidents/" + posted.json["incidents"][0]["id"]
    taken = await served.post(f"{route}/ack", {"by": "ada"})
    assert (taken.json["state"], taken.json["acknowledged_by"]) == ("acknowledged", "ada")
    assert taken.json["acknowledged_at"].endswith("Z")
    assert (await served.post(f"{route}/resolve")).json["state"] == "resolved"
    assert (await served.post(f"{route}/resolve")).status == 200
    late = await served.post(f"{route}/ack", {"by": "bob"})
    assert is_problem(late, 409)
    assert "It has been over" in late.json["detail"]
    assert (await served.get(route)).json["state"] == "resolved"


async def test_one_incident_is_silenced_for_a_while_or_for_good_and_told_again(
    served: Any,
) -> None:
    posted = await served.post("/v1/findings", result())
    route = f"/v1/incidents/{posted.json['incidents'][0]['id']}/silence"
    assert (await served.ask("DELETE", route)).json["state"] == "open"
    for wrong in ({"duration": "soon"}, {"duration": False}, {"duration": "9999d"}, [1]):
        assert is_problem(await served.post(route, wrong), 400)
    hushed = (await served.post(route, {"duration": "1h", "by": "ada"})).json
    assert (hushed["state"], hushed["silenced_by"]) == ("silenced", "ada")
    assert hushed["silenced_until"].endswith("Z")
    late = await served.post(route, {"by": "bob"})
    assert is_problem(late, 409)
    assert "ada silenced it until" in late.json["detail"]
    assert (await served.ask("DELETE", route)).json["state"] == "open"
    assert (await served.post(route)).json["silenced_until"] is None
