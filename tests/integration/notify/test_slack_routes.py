"""One bot, several channels, and who is called."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aegis_sink.model import Audience, Incident, NoticeReason
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from aegis_sink.notify.webhook import SlackWebhook
from tests.fakes.slack import PRIVATE_CHANNEL, PUBLIC_CHANNEL, FakeSlack, Fault, shown

ONCALL = ("S0ONCALL01", "U0ADA00001", "here")
HOSTILE = "<!channel> <!subteam^S0EVIL> <@U0EVIL> @here"


def called(message: object) -> list[object]:
    """Every element of a message that calls somebody."""
    if isinstance(message, list):
        return [found for one in message for found in called(one)]
    if not isinstance(message, dict):
        return []
    mine = [message] if message.get("type") in ("user", "usergroup", "broadcast") else []
    return mine + [found for one in message.values() for found in called(one)]


async def test_a_message_goes_to_its_channel_and_is_found_edited_and_answered_there(
    slack: FakeSlack, bot: SlackBot, diagnosed: Incident
) -> None:
    secret = slack.channels[PRIVATE_CHANNEL]
    to = Audience("secret-ops")
    posted = await bot.post(diagnosed, NoticeReason.FIRST, nonce="n1", to=to)
    assert posted.channel == PRIVATE_CHANNEL
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert await bot.find("n1", since=since, channel="secret-ops") == posted
    assert await bot.find("n1", since=since) is None
    await bot.edit(replace(diagnosed, title="It is worse"), NoticeReason.CHANGED, posted)
    await bot.reply(diagnosed, NoticeReason.DIAGNOSED, posted)
    assert "It is worse" in shown(secret.roots[0])
    assert secret.replies(posted.ts)
    assert slack.channels[PUBLIC_CHANNEL].messages == []
    await bot.post(diagnosed, NoticeReason.FIRST, nonce="n2")
    assert len(slack.channels[PUBLIC_CHANNEL].roots) == 1


async def test_a_new_message_calls_and_an_edit_does_not_whatever_the_text_says(
    slack: FakeSlack, bot: SlackBot, diagnosed: Incident
) -> None:
    hostile = replace(diagnosed, title=HOSTILE, errors=(HOSTILE,), details=HOSTILE)
    to = Audience("", ONCALL)
    posted = await bot.post(hostile, NoticeReason.FIRST, nonce="n1", to=to)
    root = slack.channel.roots[0]
    assert called(root["blocks"]) == [
        {"type": "usergroup", "usergroup_id": "S0ONCALL01"},
        {"type": "user", "user_id": "U0ADA00001"},
        {"type": "broadcast", "range": "here"},
    ]
    await bot.edit(hostile, NoticeReason.FIRST, posted)
    assert called(slack.channel.roots[0]["blocks"]) == []
    await bot.reply(hostile, NoticeReason.REPEAT, posted, mentions=ONCALL[:1])
    await bot.reply(hostile, NoticeReason.CHANGED, posted)
    repeat, changed = slack.channel.replies(posted.ts)
    assert called(repeat["blocks"]) == [{"type": "usergroup", "usergroup_id": "S0ONCALL01"}]
    assert called(changed["blocks"]) == []


async def test_a_plain_text_calls_those_of_the_settings_only(
    slack: FakeSlack, bot: SlackBot, diagnosed: Incident
) -> None:
    slack.faults["chat.postMessage"].append(Fault.INVALID_BLOCKS)
    hostile = replace(diagnosed, title=HOSTILE, errors=(HOSTILE,))
    await bot.post(hostile, NoticeReason.FIRST, nonce="n1", to=Audience("", ONCALL))
    text = str(slack.channel.roots[0]["text"])
    assert text.startswith("<!subteam^S0ONCALL01> <@U0ADA00001> <!here>\n")
    assert text.count("<") == 3


async def test_an_incoming_webhook_calls_too(
    slack: FakeSlack, webhook: SlackWebhook, diagnosed: Incident
) -> None:
    to = Audience("", ("channel",))
    await webhook.post(diagnosed, NoticeReason.FIRST, nonce="n1", to=to)
    [message] = slack.channel.messages
    assert called(message["blocks"]) == [{"type": "broadcast", "range": "channel"}]


async def test_each_channel_has_a_second_of_its_own() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    pacer = Pacer(interval=1, clock=lambda: sum(slept), sleep=sleep)
    await pacer.turn("a")
    await pacer.turn("b")
    assert slept == []
    await pacer.turn("a")
    assert slept == [1]
