"""Every fault of Slack, and what the caller is told to do about it."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from aegis_sink.model import Incident, NoticeReason
from aegis_sink.notify.errors import (
    MessageRefused,
    NotifyError,
    NotifyUnavailable,
    OutcomeUnknown,
)
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from tests.fakes.slack import PUBLIC_CHANNEL, FakeSlack, Fault

UNKNOWN = [
    Fault.SERVER_ERROR,
    Fault.FATAL_ERROR,
    Fault.HANG_BEFORE,
    Fault.HANG_AFTER,
    Fault.DROP_BEFORE,
    Fault.DROP_AFTER,
    Fault.NOT_SLACK,
    Fault.NOT_JSON,
]


def recently() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


@pytest.mark.parametrize("fault", UNKNOWN)
async def test_a_post_without_an_answer_is_unknown_and_is_sent_once(
    slack: FakeSlack, bot: SlackBot, found: Incident, fault: Fault
) -> None:
    slack.faults["chat.postMessage"].append(fault)
    with pytest.raises(OutcomeUnknown):
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert len(slack.made("chat.postMessage")) == 1


@pytest.mark.parametrize("fault", [Fault.HANG_AFTER, Fault.DROP_AFTER])
async def test_after_the_crash_window_the_message_is_found_instead_of_posted_again(
    slack: FakeSlack, bot: SlackBot, found: Incident, fault: Fault
) -> None:
    slack.faults["chat.postMessage"].append(fault)
    with pytest.raises(OutcomeUnknown):
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    posted = await bot.find("n1", since=recently())
    assert posted is not None
    assert posted.ts == slack.channel.roots[0]["ts"]


@pytest.mark.parametrize("fault", [Fault.HANG_BEFORE, Fault.DROP_BEFORE])
async def test_what_was_never_stored_is_not_found(
    slack: FakeSlack, bot: SlackBot, found: Incident, fault: Fault
) -> None:
    slack.faults["chat.postMessage"].append(fault)
    with pytest.raises(OutcomeUnknown):
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert await bot.find("n1", since=recently()) is None


@pytest.mark.parametrize("fault", UNKNOWN)
async def test_an_edit_without_an_answer_may_simply_be_repeated(
    slack: FakeSlack, bot: SlackBot, found: Incident, fault: Fault
) -> None:
    posted = await bot.post(found, NoticeReason.FIRST, nonce="n1")
    slack.faults["chat.update"].append(fault)
    with pytest.raises(NotifyUnavailable):
        await bot.edit(found, NoticeReason.CHANGED, posted)
    await bot.edit(found, NoticeReason.CHANGED, posted)


async def test_a_rate_limit_says_how_long_and_holds_the_next_message_too(
    slack: FakeSlack, found: Incident
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pacer = Pacer(clock=lambda: sum(slept), sleep=sleep)
    bot = SlackBot(slack.token, "#ops", api_url=slack.api_url, pacer=pacer)
    slack.faults["chat.postMessage"].append(Fault.RATE_LIMIT)
    with pytest.raises(NotifyUnavailable) as caught:
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert caught.value.retry_after == 7
    await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert slept == [7]
    assert len(slack.channel.roots) == 1
    await bot.close()


@pytest.mark.parametrize("what", ["edit", "reply"])
async def test_a_rate_limit_of_an_edit_or_a_thread_holds_what_comes_next(
    slack: FakeSlack, diagnosed: Incident, what: str
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pacer = Pacer(interval=0, clock=lambda: sum(slept), sleep=sleep)
    bot = SlackBot(slack.token, "#ops", api_url=slack.api_url, pacer=pacer)
    posted = await bot.post(diagnosed, NoticeReason.FIRST, nonce="n1")
    method = "chat.update" if what == "edit" else "chat.postMessage"
    slack.faults[method].append(Fault.RATE_LIMIT)
    send = bot.edit if what == "edit" else bot.reply
    with pytest.raises(NotifyUnavailable) as caught:
        await send(diagnosed, NoticeReason.DIAGNOSED, posted)
    assert caught.value.retry_after == 7
    await send(diagnosed, NoticeReason.DIAGNOSED, posted)
    assert slept == [7]
    await bot.close()


async def test_posts_replies_edits_and_second_tries_leave_a_second_apart(
    diagnosed: Incident,
) -> None:
    now = 1000.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    slack = FakeSlack(clock=lambda: now)
    slack.enforce_rate = True
    await slack.start()
    pacer = Pacer(interval=1, clock=lambda: now, sleep=sleep)
    bot = SlackBot(slack.token, "#ops", api_url=slack.api_url, pacer=pacer)
    slack.faults["chat.postMessage"].append(Fault.INVALID_BLOCKS)
    posted = await bot.post(diagnosed, NoticeReason.FIRST, nonce="n1")
    await bot.reply(diagnosed, NoticeReason.FIRST, posted)
    slack.faults["chat.update"].append(Fault.INVALID_BLOCKS)
    await bot.edit(diagnosed, NoticeReason.DIAGNOSED, posted)
    await bot.edit(diagnosed, NoticeReason.DIAGNOSED, posted)
    assert [call.at for call in slack.calls] == [1000, 1001, 1002, 1003, 1004, 1005]
    await bot.close()
    await slack.stop()


async def test_a_slack_that_cannot_be_reached_is_unavailable(found: Incident) -> None:
    fake = FakeSlack()
    await fake.start()
    url = fake.api_url
    await fake.stop()
    bot = SlackBot("xoxb-x", "#ops", api_url=url, pacer=Pacer(interval=0))
    with pytest.raises(NotifyUnavailable, match="cannot be reached"):
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    await bot.close()


async def test_a_refused_rich_message_goes_out_as_plain_text_and_the_refusal_is_logged(
    slack: FakeSlack, bot: SlackBot, diagnosed: Incident, caplog: pytest.LogCaptureFixture
) -> None:
    slack.faults["chat.postMessage"].append(Fault.INVALID_BLOCKS)
    with caplog.at_level(logging.WARNING):
        posted = await bot.post(diagnosed, NoticeReason.DIAGNOSED, nonce="n1")
    message = slack.channel.roots[0]
    assert "blocks" not in message
    assert "Java heap" in str(message["text"])
    assert "refused the rich form of this message: invalid_blocks" in str(message["text"])
    assert "invalid_blocks" in caplog.text
    assert "invalid_blocks" in posted.refusal
    assert await bot.find("n1", since=recently()) == replace(posted, refusal="")


async def test_a_refused_rich_edit_replaces_the_blocks_by_plain_text(
    slack: FakeSlack, bot: SlackBot, found: Incident, diagnosed: Incident
) -> None:
    posted = await bot.post(found, NoticeReason.FIRST, nonce="n1")
    slack.faults["chat.update"].append(Fault.INVALID_BLOCKS)
    edited = await bot.edit(diagnosed, NoticeReason.DIAGNOSED, posted)
    assert "invalid_blocks" in edited.refusal
    assert "blocks" not in slack.channel.roots[0]
    assert "Java heap" in str(slack.channel.roots[0]["text"])


async def test_a_message_refused_in_both_forms_says_so(
    slack: FakeSlack, bot: SlackBot, found: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.slack._MESSAGE_LIMIT", 10)
    with pytest.raises(MessageRefused, match="msg_too_long") as caught:
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert caught.value.code == "msg_too_long"


@pytest.mark.parametrize(
    "spoil",
    [
        {"text": "x" * 4001},
        {"text": "👩" * 2001},
        {"text": ""},
        {"metadata": {"event_type": "a b", "event_payload": {}}},
        {"metadata": {"event_type": "a", "event_payload": {"x": "y" * 9000}}},
        {"metadata": {"event_type": "a"}},
        {"thread_ts": "1.0"},
        {"colour": "red"},
        {"blocks": [{"type": "divider"}] * 51},
    ],
)
async def test_the_fake_itself_refuses_what_slack_refuses(
    slack: FakeSlack, spoil: dict[str, object]
) -> None:
    message = {"channel": PUBLIC_CHANNEL, "text": "hello"}
    headers = {"Authorization": f"Bearer {slack.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for body, taken in ((message, True), ({**message, **spoil}, False)):
            url = f"{slack.api_url}chat.postMessage"
            async with session.post(url, json=body) as response:
                assert (await response.json())["ok"] is taken


async def test_no_log_line_holds_the_token_or_the_message_even_at_debug(
    slack: FakeSlack, bot: SlackBot, found: Incident, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        posted = await bot.post(found, NoticeReason.FIRST, nonce="n1")
        slack.faults["chat.update"].extend([Fault.SERVER_ERROR])
        with pytest.raises(NotifyError):
            await bot.edit(found, NoticeReason.CHANGED, posted)
    assert slack.token not in caplog.text
    assert found.title not in caplog.text
