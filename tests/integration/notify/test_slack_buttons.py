"""A pressed button on its way in: to the desk, over a socket, and the private answer back."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from aegis_sink.notify.actions import Action
from aegis_sink.notify.answers import PrivateAnswers
from aegis_sink.notify.buttons import ActionKind
from aegis_sink.notify.desk import ActionDesk
from aegis_sink.notify.errors import NotifyRefused, NotifyUnavailable
from aegis_sink.notify.people import REMEMBER_SECONDS, People
from aegis_sink.notify.slack import SlackBot
from aegis_sink.notify.socket import SlackSocket
from tests.fakes.slack import ANSWERS_LIMIT, FakeSlack, Fault

PATIENCE_SECONDS = 30


class Keeper:
    """Remembers what it was given; answers as told."""

    def __init__(self) -> None:
        self.seen: list[Action] = []
        self.says = ""
        self.fails = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, action: Action) -> str:
        await self.go_on.wait()
        if self.fails:
            raise OSError("disk full")
        self.seen.append(action)
        return self.says


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
async def answers() -> AsyncIterator[PrivateAnswers]:
    answers = PrivateAnswers(timeout=0.5)
    yield answers
    await answers.close()


@pytest.fixture
async def desk(keeper: Keeper, answers: PrivateAnswers) -> AsyncIterator[ActionDesk]:
    desk = ActionDesk(keeper, answers)
    yield desk
    await desk.close()


async def until_acknowledged(slack: FakeSlack, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(slack.acknowledged) < count:
            slack.arrived.clear()
            await slack.arrived.wait()


async def test_a_press_is_kept_and_nothing_is_said_before_it_was_worked_off(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    assert await desk.take(slack.pressed("acknowledge", "inc-1"))
    assert [a.kind for a in keeper.seen] == [ActionKind.ACKNOWLEDGE]
    await desk.close()
    assert slack.responses == []


async def test_what_the_keeper_says_is_told_to_the_person_only(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    keeper.says = "<!channel> & no such incident"
    assert await desk.take(slack.pressed("acknowledge", "inc-1", user="U7"))
    await desk.close()
    (answer,) = slack.responses
    assert (answer["to"], answer["response_type"]) == ("U7", "ephemeral")
    assert answer["replace_original"] is False
    assert answer["text"] == "&lt;\u2060!channel&gt; &amp; no such incident"


async def test_an_unknown_button_is_answered_to_the_person_only(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    assert await desk.take(slack.pressed("from_the_future", "inc-1"))
    await desk.close()
    assert keeper.seen == []
    assert "does not know this button" in str(slack.responses[0]["text"])
    assert slack.responses[0]["response_type"] == "ephemeral"


async def test_a_press_that_cannot_be_stored_is_not_acknowledged_and_said(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    keeper.fails = True
    assert not await desk.take(slack.pressed("acknowledge", "inc-1"))
    await desk.close()
    assert "did not work" in str(slack.responses[0]["text"])


async def test_a_slow_disk_is_not_acknowledged_but_the_press_is_kept(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_sink.notify.desk.ANSWER_SECONDS", 0.01)
    keeper.go_on.clear()
    assert not await desk.take(slack.pressed("acknowledge", "inc-1"))
    assert keeper.seen == []
    keeper.go_on.set()
    await desk.close()
    assert len(keeper.seen) == 1


async def test_slack_is_acknowledged_although_it_takes_no_answers(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    keeper.says = "no such incident"
    slack.faults["response"].append(Fault.HANG_BEFORE)
    assert await desk.take(slack.pressed("acknowledge", "inc-1"))
    assert slack.responses == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.SERVER_ERROR, NotifyUnavailable),
        (Fault.RATE_LIMIT, NotifyUnavailable),
        (Fault.DROP_BEFORE, NotifyUnavailable),
        (Fault.HANG_BEFORE, NotifyUnavailable),
    ],
)
async def test_an_answer_that_slack_did_not_take_is_tried_again(
    slack: FakeSlack, answers: PrivateAnswers, fault: Fault, error: type[Exception]
) -> None:
    slack.faults["response"].append(fault)
    with pytest.raises(error) as caught:
        await answers.tell(slack.response_url, "hello")
    assert "response/1" not in repr(caught.value)
    await answers.tell(slack.response_url, "hello")
    assert [r["text"] for r in slack.responses] == ["hello"]


async def test_a_long_answer_is_cut_to_what_slack_takes(
    slack: FakeSlack, answers: PrivateAnswers
) -> None:
    await answers.tell(slack.response_url, "<!here> \x1b[31m" + "é👩‍👩‍👧" * 3000)
    (answer,) = slack.responses
    assert str(answer["text"]).startswith("&lt;\u2060!here&gt;")
    assert str(answer["text"]).endswith("…")


async def test_an_address_that_took_five_answers_takes_no_more(
    slack: FakeSlack, answers: PrivateAnswers
) -> None:
    for _ in range(ANSWERS_LIMIT):
        await answers.tell(slack.response_url, "hello")
    with pytest.raises(NotifyRefused):
        await answers.tell(slack.response_url, "hello")


async def test_an_answer_to_a_used_up_address_is_given_up(
    slack: FakeSlack, answers: PrivateAnswers
) -> None:
    for url in (slack.response_url_of("expired"), "no address"):
        with pytest.raises(NotifyRefused):
            await answers.tell(url, "hello")


async def test_with_no_lists_everybody_may_press(bot: SlackBot) -> None:
    assert await People(members=bot.group_members).may_press("U1")


async def test_the_members_of_a_group_may_press_and_slack_is_asked_once_in_five_minutes(
    slack: FakeSlack, bot: SlackBot
) -> None:
    slack.scopes.add("usergroups:read")
    slack.groups = {"S1": ["U2"], "S2": ["U3"]}
    now = 0.0
    people = People(users=["U1"], groups=["S1", "S2"], members=bot.group_members, clock=lambda: now)
    assert [u for u in ("U1", "U2", "U3", "U4") if await people.may_press(u)] == ["U1", "U2", "U3"]
    assert len(slack.made("usergroups.users.list")) == 2
    slack.groups["S1"] = []
    now = REMEMBER_SECONDS
    assert not await people.may_press("U2")


async def test_a_group_that_is_gone_shuts_out_nobody_of_the_others(
    slack: FakeSlack, bot: SlackBot
) -> None:
    slack.scopes.add("usergroups:read")
    slack.groups = {"S2": ["U3"]}
    people = People(groups=["S9", "S2"], members=bot.group_members)
    assert await people.may_press("U3")
    with pytest.raises(NotifyRefused, match="S9"):
        await people.may_press("U4")


async def test_a_group_that_slack_does_not_know_or_tell_lets_nobody_in(
    slack: FakeSlack, bot: SlackBot
) -> None:
    people = People(users=["U1"], groups=["S9"], members=bot.group_members)
    assert await people.may_press("U1")
    with pytest.raises(NotifyRefused, match="usergroups:read"):
        await people.may_press("U2")
    slack.scopes.add("usergroups:read")
    with pytest.raises(NotifyRefused, match="AEGIS_SLACK_ALLOWED_GROUPS"):
        await people.may_press("U2")


async def test_a_press_over_socket_mode_is_stored_and_then_acknowledged(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    socket = SlackSocket(slack.app_token, desk, api_url=slack.api_url)
    await socket.connect()
    assert await socket.status() == "Slack: buttons come over Socket Mode"
    keeper.go_on.clear()
    await slack.press(slack.pressed("acknowledge", "inc-1"), envelope_id="env-7")
    keeper.go_on.set()
    await until_acknowledged(slack)
    assert slack.acknowledged == ["env-7"]
    assert len(keeper.seen) == 1
    await socket.close()


async def test_a_press_that_was_not_stored_is_not_acknowledged_over_socket_mode(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    socket = SlackSocket(slack.app_token, desk, api_url=slack.api_url)
    await socket.connect()
    keeper.fails = True
    await slack.press(slack.pressed("acknowledge", "inc-1"), envelope_id="lost")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not slack.responses:
            slack.arrived.clear()
            await slack.arrived.wait()
    keeper.fails = False
    await slack.press(slack.pressed("acknowledge", "inc-1"), envelope_id="kept")
    await until_acknowledged(slack)
    assert slack.acknowledged == ["kept"]
    await socket.close()


async def test_the_socket_comes_back_after_slack_was_away(
    slack: FakeSlack, desk: ActionDesk, keeper: Keeper
) -> None:
    slack.faults["apps.connections.open"].extend([Fault.SERVER_ERROR, Fault.NOT_SLACK])
    socket = SlackSocket(slack.app_token, desk, api_url=slack.api_url, watch=0.01, retry=0.01)
    assert "not connected yet" in await socket.status()
    running = asyncio.create_task(socket.run())
    await slack.press(slack.pressed("acknowledge", "inc-1"), envelope_id="one")
    await until_acknowledged(slack)
    await slack.hang_up()
    await slack.press(slack.pressed("acknowledge", "inc-1"), envelope_id="two")
    await until_acknowledged(slack, 2)
    # The SDK would try the same used address for ever.
    slack.refuse_sockets = 1
    await slack.hang_up()
    await slack.press(slack.pressed("acknowledge", "inc-1"), envelope_id="three")
    await until_acknowledged(slack, 3)
    assert slack.acknowledged == ["one", "two", "three"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await socket.close()


async def test_an_error_that_nobody_foresaw_is_logged_and_said_and_the_socket_is_tried_again(
    slack: FakeSlack,
    desk: ActionDesk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    said: list[str] = []
    real = AsyncWebClient.apps_connections_open

    async def breaks_once(web: AsyncWebClient, **given: str) -> object:
        said.append(await socket.status())
        if len(said) == 1:
            raise KeyError(slack.app_token)
        return await real(web, **given)

    monkeypatch.setattr(AsyncWebClient, "apps_connections_open", breaks_once)
    socket = SlackSocket(slack.app_token, desk, api_url=slack.api_url, retry=0.01)
    running = asyncio.create_task(socket.run())
    await slack.press(slack.pressed("acknowledge", "inc-1"), envelope_id="one")
    await until_acknowledged(slack)
    assert said[1] == "Slack: no buttons over Socket Mode: KeyError"
    [logged] = [one for one in caplog.records if one.levelname == "ERROR"]
    assert logged.getMessage().startswith("buttons do not work, trying again in")
    assert logged.exc_info
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
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
