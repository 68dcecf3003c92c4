"""A pressed button, from Slack's payload to the private answer, over HTTP's desk and a socket."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from aegis_sink.notify.actions import Action
from aegis_sink.notify.buttons import ActionKind
from aegis_sink.notify.desk import ActionDesk
from aegis_sink.notify.errors import NotifyRefused
from aegis_sink.notify.socket import SlackSocket
from tests.fakes.slack import FakeSlack


class Handler:
    """Remembers what it was given; answers as told."""

    def __init__(self) -> None:
        self.seen: list[Action] = []
        self.answer = "Acknowledged: it is yours now."
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, action: Action) -> str:
        await self.go_on.wait()
        self.seen.append(action)
        if self.answer == "fail":
            raise OSError("disk full")
        return self.answer


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
async def desk(handler: Handler) -> AsyncIterator[ActionDesk]:
    desk = ActionDesk(handler, allowed_users=frozenset({"U1"}))
    yield desk
    await desk.close()


def press(slack: FakeSlack, user: str = "U1", action_id: str = "acknowledge") -> dict[str, object]:
    return {
        "type": "block_actions",
        "user": {"id": user, "username": "ada"},
        "container": {"message_ts": "1.2", "channel_id": "C1"},
        "response_url": slack.response_url,
        "actions": [{"action_id": action_id, "value": "inc-1"}],
    }


async def test_a_press_is_handled_and_answered_in_private(
    slack: FakeSlack, desk: ActionDesk, handler: Handler
) -> None:
    await desk.take(press(slack))
    assert [a.kind for a in handler.seen] == [ActionKind.ACKNOWLEDGE]
    (answer,) = slack.responses
    assert answer["response_type"] == "ephemeral"
    assert answer["replace_original"] is False
    assert answer["text"] == handler.answer


async def test_a_stranger_is_told_so_and_nothing_is_done(
    slack: FakeSlack, desk: ActionDesk, handler: Handler
) -> None:
    await desk.take(press(slack, user="U2"))
    assert handler.seen == []
    assert "not on the list" in str(slack.responses[0]["text"])


async def test_an_unknown_button_is_answered_to_the_person_only(
    slack: FakeSlack, desk: ActionDesk, handler: Handler
) -> None:
    await desk.take(press(slack, action_id="from_the_future"))
    assert handler.seen == []
    assert "does not know this button" in str(slack.responses[0]["text"])
    assert slack.responses[0]["response_type"] == "ephemeral"


async def test_a_handler_that_fails_is_said(
    slack: FakeSlack, desk: ActionDesk, handler: Handler
) -> None:
    handler.answer = "fail"
    await desk.take(press(slack))
    assert "did not work" in str(slack.responses[0]["text"])


async def test_slack_is_answered_in_time_while_slow_work_goes_on(
    slack: FakeSlack,
    desk: ActionDesk,
    handler: Handler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aegis_sink.notify.desk.ANSWER_SECONDS", 0.01)
    handler.go_on.clear()
    await desk.take(press(slack))
    assert handler.seen == []
    handler.go_on.set()
    await desk.close()
    assert len(handler.seen) == 1


async def test_a_press_over_socket_mode_is_stored_and_then_acknowledged(
    slack: FakeSlack, desk: ActionDesk, handler: Handler
) -> None:
    socket = SlackSocket(slack.app_token, desk, api_url=slack.api_url)
    await socket.connect()
    await slack.press(press(slack), envelope_id="env-7")
    async with asyncio.timeout(5):
        while not slack.acknowledged:
            slack.arrived.clear()
            await slack.arrived.wait()
    assert slack.acknowledged == ["env-7"]
    assert len(handler.seen) == 1
    await socket.close()


async def test_a_wrong_app_token_says_what_to_set(slack: FakeSlack, desk: ActionDesk) -> None:
    socket = SlackSocket("xapp-wrong-secret", desk, api_url=slack.api_url)
    with pytest.raises(NotifyRefused, match="AEGIS_SLACK_APP_TOKEN") as caught:
        await socket.connect()
    assert "wrong-secret" not in repr(caught.value)


async def test_a_socket_address_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("aegis_sink.notify.socket.sdk")
    with caplog.at_level(logging.INFO):
        log.error("Failed to connect (error: %s); Retrying", "url='wss://x.slack.com/?ticket=t1'")
    assert "ticket=t1" not in caplog.text
    assert "Failed to connect" in caplog.text
