"""Slack's buttons against a whole service: over HTTP and over a socket, forged, stale and true."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from aegis_sink.notify.pacer import Pacer
from aegis_sink.store.errors import StoreUnavailable
from tests.fakes.slack import PUBLIC_CHANNEL, FakeSlack, shown, slack

__all__ = ["slack"]

PATIENCE_SECONDS = 30


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits a second for its turn."""
    monkeypatch.setattr("aegis_sink.notify.slack.Pacer", lambda: Pacer(interval=0))


def settings(slack: FakeSlack, **more: str) -> dict[str, str]:
    return {
        "slack_bot_token": slack.token,
        "slack_channel": PUBLIC_CHANNEL,
        "slack_api_url": slack.api_url,
        **more,
    }


def over_http(slack: FakeSlack, **more: str) -> dict[str, str]:
    return settings(slack, slack_signing_secret=slack.signing_secret, **more)


async def until(slack: FakeSlack, holds: Callable[[], object]) -> None:
    """Wait until what Slack has seen fits."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            slack.arrived.clear()
            await slack.arrived.wait()


def words(slack: FakeSlack, number: int) -> str:
    """What a person was answered."""
    return str(slack.responses[number]["text"])


async def a_told_problem(served: Any, slack: FakeSlack) -> dict[str, Any]:
    """The root message of a new incident."""
    title = ">*[main] K8sGPT analysis of the Ingress shop/web*"
    text = "1. Ingress uses the service shop/web-v2 which does not exist.\n"
    body = {"text": title, "attachments": [{"text": text, "title": "Report"}]}
    assert (await served.post("/webhook", body)).status == 200
    await until(slack, lambda: slack.channel.roots)
    return slack.channel.roots[0]


async def press(served: Any, slack: FakeSlack, payload: Mapping[str, Any], age: float = 0) -> Any:
    body, headers = slack.signed(payload, age=age)
    return await served.ask("POST", "/slack/actions", body, **headers)


async def test_a_press_over_http_is_acknowledged_done_and_shown(
    serve: Any, slack: FakeSlack
) -> None:
    async with serve(**over_http(slack)) as served:
        root = await a_told_problem(served, slack)
        buttons = slack.buttons(root)
        assert set(buttons) >= {"acknowledge", "silence_1h", "resolve", "right", "wrong"}
        answer = await press(
            served, slack, slack.pressed("acknowledge", buttons["acknowledge"], name="ada")
        )
        assert (answer.status, answer.body) == (200, b"")
        await until(slack, lambda: "Acknowledged by ada" in shown(root))
        assert "acknowledge" not in slack.buttons(root)
        await until(slack, lambda: slack.responses)
        assert slack.responses[0]["response_type"] == "ephemeral"


async def test_a_press_over_socket_mode_does_the_same(serve: Any, slack: FakeSlack) -> None:
    async with serve(**settings(slack, slack_app_token=slack.app_token)) as served:
        root = await a_told_problem(served, slack)
        value = slack.buttons(root)["resolve"]
        await slack.press(slack.pressed("resolve", value, name="ada"), envelope_id="e1")
        await until(slack, lambda: slack.acknowledged == ["e1"])
        await until(slack, lambda: "RESOLVED" in shown(root))
        ready = (await served.get("/readyz")).json
        assert ready["buttons"] == "Slack: buttons come over Socket Mode"
        refused = await press(served, slack, slack.pressed("resolve", value))
        assert refused.status == 404


async def test_without_a_way_for_presses_there_are_no_buttons(serve: Any, slack: FakeSlack) -> None:
    async with serve(**settings(slack)) as served:
        root = await a_told_problem(served, slack)
        assert slack.buttons(root) == {}
        answer = await press(served, slack, slack.pressed("acknowledge", "x"))
        assert answer.status == 404
        assert "AEGIS_SLACK_SIGNING_SECRET" in answer.json["detail"]


async def test_what_slack_did_not_sign_does_nothing(serve: Any, slack: FakeSlack) -> None:
    async with serve(**over_http(slack)) as served:
        root = await a_told_problem(served, slack)
        payload = slack.pressed("resolve", slack.buttons(root)["resolve"])
        body, headers = slack.signed(payload)
        other = urlencode({"payload": json.dumps(slack.pressed("acknowledge", "x"))}).encode()
        slack.signing_secret = "another"
        forged = slack.signed(payload)
        attempts = [
            (body, {}),
            (body, {**headers, "x-slack-signature": ""}),
            (body, {**headers, "x-slack-signature": "v0=" + "0" * 64}),
            (body, {**headers, "x-slack-signature": headers["x-slack-signature"].upper()}),
            (body, {**headers, "x-slack-request-timestamp": "0"}),
            (body, {**headers, "x-slack-request-timestamp": "soon"}),
            (body + b" ", headers),
            (other, headers),
            (b"", headers),
            forged,
        ]
        for attempt, with_headers in attempts:
            answer = await served.ask("POST", "/slack/actions", attempt, **with_headers)
            assert answer.status == 401
        assert (await served.get("/slack/actions")).status == 405
        assert (await served.get("/v1/incidents?state=open")).json["incidents"]
        assert slack.responses == []


async def test_an_old_press_is_refused_and_one_sent_twice_counts_once(
    serve: Any, slack: FakeSlack
) -> None:
    async with serve(**over_http(slack)) as served:
        root = await a_told_problem(served, slack)
        value = slack.buttons(root)["right"]
        assert (await press(served, slack, slack.pressed("right", value), age=301)).status == 401
        payload = slack.pressed("right", value)
        for _ in range(3):
            assert (await press(served, slack, payload)).status == 200
        await until(slack, lambda: slack.responses)
        last = slack.pressed("wrong", value, user="U2")
        assert (await press(served, slack, last)).status == 200
        await until(slack, lambda: len(slack.responses) == 2)
        [incident] = (await served.get("/v1/incidents")).json["incidents"]
        found = (await served.get(f"/v1/incidents/{incident['id']}")).json
        assert [(f["by"], f["right"]) for f in found["feedback"]] == [("u1", True), ("u2", False)]


async def test_a_body_that_is_signed_and_no_press_is_named(serve: Any, slack: FakeSlack) -> None:
    async with serve(**over_http(slack)) as served:
        stranger = slack.pressed("launch_missiles", "x")
        assert (await press(served, slack, stranger)).status == 200
        await until(slack, lambda: slack.responses)
        assert "does not know this button" in words(slack, 0)
        unknown = slack.pressed("acknowledge", "no-such-incident")
        assert (await press(served, slack, unknown)).status == 200
        await until(slack, lambda: len(slack.responses) == 2)
        assert "does not know this incident" in words(slack, 1)


async def test_a_press_that_the_disk_refuses_is_not_acknowledged(
    serve: Any, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(**over_http(slack)) as served:
        root = await a_told_problem(served, slack)
        payload = slack.pressed("resolve", slack.buttons(root)["resolve"])

        async def refuses(run: Any) -> None:
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(served.service.database, "write", refuses)
            answer = await press(served, slack, payload)
        assert answer.status == 503
        await until(slack, lambda: slack.responses)
        assert "could not store it" in words(slack, 0)


async def test_only_those_on_the_list_may_press(serve: Any, slack: FakeSlack) -> None:
    async with serve(**over_http(slack, slack_allowed_users="U1AA, U2BB")) as served:
        root = await a_told_problem(served, slack)
        value = slack.buttons(root)["resolve"]
        payload = slack.pressed("resolve", value, user="U3CC")
        assert (await press(served, slack, payload)).status == 200
        await until(slack, lambda: slack.responses)
        assert (slack.responses[0]["to"], "not among those" in words(slack, 0)) == (
            "U3CC",
            True,
        )
        assert "RESOLVED" not in shown(root)
        await press(served, slack, slack.pressed("resolve", value, user="U2BB"))
        await until(slack, lambda: "RESOLVED" in shown(root))
