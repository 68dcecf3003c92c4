"""The bot against a Slack that refuses what Slack refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis_sink.model import (
    Follower,
    Incident,
    Mute,
    MuteKind,
    NoticeReason,
    ObjectRef,
    Posted,
    RuledOut,
    State,
)
from aegis_sink.notify.errors import MessageFrozen, MessageGone, NotifyRefused
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from tests.fakes.slack import PRIVATE_CHANNEL, PUBLIC_CHANNEL, FakeSlack, Fault, shown


def recently() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


async def test_one_message_from_found_to_resolved(
    slack: FakeSlack, bot: SlackBot, found: Incident, diagnosed: Incident, now: datetime
) -> None:
    posted = await bot.post(found, NoticeReason.FIRST, nonce="n1")
    await bot.edit(replace(found, diagnosing=True), NoticeReason.FIRST, posted)
    assert "Asking the model" in shown(slack.channel.roots[0])
    await bot.edit(diagnosed, NoticeReason.DIAGNOSED, posted)
    assert "Java heap" in shown(slack.channel.roots[0])
    resolved = replace(diagnosed, state=State.RESOLVED, resolved_at=now)
    await bot.edit(resolved, NoticeReason.RESOLVED, posted)
    assert posted == Posted(channel=PUBLIC_CHANNEL, ts=str(slack.channel.roots[0]["ts"]))
    assert len(slack.channel.messages) == 1
    assert "RESOLVED" in shown(slack.channel.messages[0])
    assert "kubectl" not in shown(slack.channel.messages[0])


async def test_the_thread_holds_the_proof_the_message_has_no_room_for(
    slack: FakeSlack, bot: SlackBot, diagnosed: Incident
) -> None:
    posted = await bot.post(diagnosed, NoticeReason.DIAGNOSED, nonce="n1")
    await bot.reply(diagnosed, NoticeReason.DIAGNOSED, posted)
    replies = slack.channel.replies(posted.ts)
    text = "\n".join(map(shown, replies))
    assert "BackOff: back-off 5m0s" in text
    assert "rollout undo" in text
    assert "Node out of memory" in text
    assert len(slack.channel.roots) == 1


async def test_a_first_message_that_said_everything_gets_no_reply(
    slack: FakeSlack, bot: SlackBot, found: Incident
) -> None:
    alone = replace(found, objects=(found.subject,))
    posted = await bot.post(alone, NoticeReason.FIRST, nonce="n1")
    await bot.reply(alone, NoticeReason.FIRST, posted)
    assert len(slack.channel.messages) == 1


async def test_a_resolved_reply_says_how_long_it_lasted(
    slack: FakeSlack, bot: SlackBot, found: Incident, now: datetime
) -> None:
    posted = await bot.post(found, NoticeReason.FIRST, nonce="n1")
    resolved = replace(found, state=State.RESOLVED, resolved_at=now)
    await bot.reply(resolved, NoticeReason.RESOLVED, posted)
    assert "Resolved after 12 min" in shown(slack.channel.replies(posted.ts)[0])


async def test_a_message_is_found_by_its_nonce_and_not_by_another(
    slack: FakeSlack, bot: SlackBot, found: Incident
) -> None:
    await bot.post(found, NoticeReason.FIRST, nonce="other")
    posted = await bot.post(found, NoticeReason.FIRST, nonce="mine")
    await bot.post(found, NoticeReason.FIRST, nonce="third")
    assert await bot.find("mine", since=recently()) == posted
    assert await bot.find("nobody's", since=recently()) is None


async def test_an_edited_message_is_still_found(
    slack: FakeSlack, bot: SlackBot, found: Incident, diagnosed: Incident
) -> None:
    posted = await bot.post(found, NoticeReason.FIRST, nonce="mine")
    await bot.edit(diagnosed, NoticeReason.DIAGNOSED, posted)
    assert await bot.find("mine", since=recently()) == posted


async def test_a_message_is_found_behind_many_others(
    slack: FakeSlack, bot: SlackBot, found: Incident
) -> None:
    slack.page_limit = 2
    posted = await bot.post(found, NoticeReason.FIRST, nonce="mine")
    for n in range(5):
        await bot.post(found, NoticeReason.FIRST, nonce=f"later-{n}")
    assert await bot.find("mine", since=recently()) == posted


async def test_a_new_process_finds_by_name_in_a_private_channel(
    slack: FakeSlack, found: Incident
) -> None:
    first = SlackBot(slack.token, "secret-ops", api_url=slack.api_url, pacer=Pacer(interval=0))
    posted = await first.post(found, NoticeReason.FIRST, nonce="mine")
    await first.close()
    second = SlackBot(slack.token, "secret-ops", api_url=slack.api_url, pacer=Pacer(interval=0))
    assert await second.find("mine", since=recently()) == posted
    assert posted.channel == PRIVATE_CHANNEL
    await second.close()


@pytest.mark.parametrize(
    ("channel", "scope"), [("ops", "channels:read"), ("secret-ops", "groups:read")]
)
async def test_a_name_is_looked_up_with_the_scope_of_its_kind_of_channel(
    slack: FakeSlack, bot: SlackBot, channel: str, scope: str
) -> None:
    named = SlackBot(slack.token, channel, api_url=slack.api_url, pacer=Pacer(interval=0))
    slack.scopes = {"channels:history", "groups:history", scope}
    assert await named.find("mine", since=recently()) is None
    slack.scopes -= {scope}
    other = SlackBot(slack.token, channel, api_url=slack.api_url, pacer=Pacer(interval=0))
    with pytest.raises(NotifyRefused, match="channels:read"):
        await other.find("mine", since=recently())
    await named.close()
    await other.close()


@pytest.mark.parametrize(
    ("channel", "advice"),
    [
        ("#elsewhere", "/invite"),
        ("C0NOTAMEMB", "/invite"),
        ("#nowhere", "AEGIS_SLACK_CHANNEL"),
        ("#old-ops", "archived"),
    ],
)
async def test_a_wrong_channel_is_named_with_what_to_do(
    slack: FakeSlack, found: Incident, channel: str, advice: str
) -> None:
    bot = SlackBot(slack.token, channel, api_url=slack.api_url, pacer=Pacer(interval=0))
    with pytest.raises(NotifyRefused, match=advice) as caught:
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert channel in str(caught.value)
    await bot.close()


async def test_a_wrong_token_is_refused_and_never_shown(slack: FakeSlack, found: Incident) -> None:
    token = "xoxb-wrong-but-secret"
    bot = SlackBot(token, "#ops", api_url=slack.api_url, pacer=Pacer(interval=0))
    with pytest.raises(NotifyRefused, match="AEGIS_SLACK_BOT_TOKEN") as caught:
        await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert token not in f"{caught.value!r}{bot!r}{caught.value.__cause__!r}"
    await bot.close()


async def test_a_missing_scope_to_post_is_named(
    slack: FakeSlack, bot: SlackBot, found: Incident
) -> None:
    slack.scopes.remove("chat:write")
    with pytest.raises(NotifyRefused, match="chat:write"):
        await bot.post(found, NoticeReason.FIRST, nonce="n1")


async def test_a_missing_scope_to_find_is_named(
    slack: FakeSlack, bot: SlackBot, found: Incident
) -> None:
    slack.scopes.remove("channels:history")
    with pytest.raises(NotifyRefused, match="channels:history"):
        await bot.find("n1", since=recently())


async def test_what_a_frozen_message_should_say_is_said_in_its_thread(
    slack: FakeSlack, bot: SlackBot, diagnosed: Incident, now: datetime
) -> None:
    posted = await bot.post(diagnosed, NoticeReason.FIRST, nonce="n1")
    slack.faults["chat.update"].append(Fault.EDIT_WINDOW_CLOSED)
    resolved = replace(diagnosed, state=State.RESOLVED, resolved_at=now)
    with pytest.raises(MessageFrozen):
        await bot.edit(resolved, NoticeReason.RESOLVED, posted)
    await bot.reply(resolved, NoticeReason.RESOLVED, posted, whole=True)
    whole, end = slack.channel.replies(posted.ts)
    assert "✅ RESOLVED · Deployment shop/api" in shown(whole)
    assert slack.buttons(whole) == {}
    assert "Resolved after 12 min" in shown(end)
    assert len(slack.channel.roots) == 1


async def test_a_deleted_message_is_gone_not_unavailable(
    slack: FakeSlack, bot: SlackBot, found: Incident
) -> None:
    posted = await bot.post(found, NoticeReason.FIRST, nonce="n1")
    slack.channel.messages.clear()
    with pytest.raises(MessageGone):
        await bot.edit(found, NoticeReason.CHANGED, posted)
    with pytest.raises(MessageGone):
        await bot.reply(found, NoticeReason.RESOLVED, posted)


async def test_status_proves_token_channel_and_history(slack: FakeSlack, bot: SlackBot) -> None:
    assert await bot.status() == "Slack: posts to #ops in Acme as aegis, and edits its messages"
    slack.scopes.remove("channels:history")
    with pytest.raises(NotifyRefused, match="channels:history"):
        await bot.status()


async def test_a_test_message_leaves_nothing_behind(slack: FakeSlack, bot: SlackBot) -> None:
    await bot.send_test_message()
    assert slack.channel.messages == []
    assert len(slack.made("chat.delete")) == 1


HOSTILE = "<!channel> <@U123> @here <https://evil.example|click> ``` *x* &lt;!here&gt; \x1b[31m"


def poisoned(incident: Incident, text: str) -> Incident:
    """The text wherever the cluster, K8sGPT, the model or a person can put one."""
    diagnosis = incident.diagnosis
    assert diagnosis is not None
    ref = ObjectRef(text, text, text)
    fixes = tuple(replace(f, title=text, command=text, target=ref) for f in diagnosis.fixes)
    return replace(
        incident,
        title=text,
        cluster=text,
        subject=ref,
        objects=(ref, replace(ref, name="other")),
        errors=(text,) * 5,
        details=text,
        missing=(text,),
        acknowledged_by=text,
        silenced_by=text,
        superseded_by=text,
        followers=(Follower("inc-2", text),),
        mute=Mute(MuteKind.INCIDENT, text, text),
        evidence=tuple(replace(e, text=text, source=text) for e in incident.evidence),
        diagnosis=replace(
            diagnosis,
            root_cause=text,
            explanation=text,
            model=text,
            model_note=text,
            objection=text,
            missing=(text,),
            fixes=fixes,
            ruled_out=(RuledOut("a", text, text),),
        ),
    )


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("replaced", [False, True])
async def test_hostile_text_pings_nobody_and_links_nowhere(
    slack: FakeSlack, bot: SlackBot, diagnosed: Incident, plain: bool, state: State, replaced: bool
) -> None:
    incident = replace(poisoned(diagnosed, HOSTILE), state=state)
    if not replaced:
        incident = replace(incident, superseded_by="", mute=None)
    if plain:
        slack.faults["chat.postMessage"].extend([Fault.INVALID_BLOCKS])
        slack.faults["chat.update"].extend([Fault.INVALID_BLOCKS])
    posted = await bot.post(incident, NoticeReason.FIRST, nonce="n1")
    for reason in NoticeReason:
        await bot.reply(incident, reason, posted)
    await bot.edit(incident, NoticeReason.DIAGNOSED, posted)
    assert len(slack.channel.messages) > 5
    assert slack.pings() == []
    assert slack.links() == []
    assert "<!channel>" not in repr(slack.channel.messages)
    assert "\\x1b" not in repr(slack.channel.messages)


async def test_buttons_come_only_when_asked_for(slack: FakeSlack, found: Incident) -> None:
    bot = SlackBot(
        slack.token, "#ops", api_url=slack.api_url, buttons=True, pacer=Pacer(interval=0)
    )
    await bot.post(found, NoticeReason.FIRST, nonce="n1")
    assert '"actions"' in repr(slack.channel.messages).replace("'", '"')
    assert "I'm on it" in shown(slack.channel.messages[0])
    await bot.close()
