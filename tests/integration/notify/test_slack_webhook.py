"""Incoming webhooks: single messages, and a URL that is never shown."""

import logging

import pytest

from aegis_sink.model import Incident, NoticeReason, Posted
from aegis_sink.notify.errors import NotifyError, NotifyRefused, NotifyUnavailable, OutcomeUnknown
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.webhook import SlackWebhook
from tests.fakes.slack import FakeSlack, Fault, shown


async def test_each_telling_is_a_message_of_its_own(
    slack: FakeSlack, webhook: SlackWebhook, found: Incident, diagnosed: Incident
) -> None:
    posted = await webhook.post(found, NoticeReason.FIRST, nonce="n1")
    await webhook.post(diagnosed, NoticeReason.DIAGNOSED, nonce="n2")
    assert len(slack.channel.messages) == 2
    assert posted == Posted("slack-webhook")
    assert "on the incident's page" in shown(slack.channel.messages[1])
    assert "in the thread" not in shown(slack.channel.messages[1])


async def test_what_a_webhook_cannot_do_does_nothing(
    slack: FakeSlack, webhook: SlackWebhook, found: Incident
) -> None:
    posted = await webhook.post(found, NoticeReason.FIRST, nonce="n1")
    await webhook.edit(found, NoticeReason.CHANGED, posted)
    await webhook.reply(found, NoticeReason.RESOLVED, posted)
    assert len(slack.made("webhook")) == 1
    assert not webhook.can_edit


async def test_refused_blocks_are_sent_again_as_plain_text(
    slack: FakeSlack, webhook: SlackWebhook, diagnosed: Incident
) -> None:
    slack.faults["webhook"].append(Fault.INVALID_BLOCKS)
    posted = await webhook.post(diagnosed, NoticeReason.DIAGNOSED, nonce="n1")
    assert "invalid_blocks" in posted.refusal
    (message,) = slack.channel.messages
    assert "blocks" not in message
    assert "invalid_blocks" in str(message["text"])


@pytest.mark.parametrize(
    "fault",
    [
        Fault.SERVER_ERROR,
        Fault.FATAL_ERROR,
        Fault.HANG_AFTER,
        Fault.DROP_AFTER,
        Fault.DROP_BEFORE,
    ],
)
async def test_no_answer_is_an_unknown_outcome_and_nothing_is_sent_twice(
    slack: FakeSlack, webhook: SlackWebhook, found: Incident, fault: Fault
) -> None:
    slack.faults["webhook"].append(fault)
    with pytest.raises(OutcomeUnknown):
        await webhook.post(found, NoticeReason.FIRST, nonce="n1")
    assert len(slack.made("webhook")) == 1


async def test_a_rate_limit_says_how_long(
    slack: FakeSlack, webhook: SlackWebhook, found: Incident
) -> None:
    slack.faults["webhook"].append(Fault.RATE_LIMIT)
    with pytest.raises(NotifyUnavailable) as caught:
        await webhook.post(found, NoticeReason.FIRST, nonce="n1")
    assert caught.value.retry_after == 7


async def test_a_removed_webhook_says_what_to_do_without_its_url(
    slack: FakeSlack, found: Incident, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "T999/B999/thisisasecret"
    url = slack.webhook_url.replace(slack.webhook_secret, secret)
    hook = SlackWebhook(url, pacer=Pacer(interval=0))
    with caplog.at_level(logging.DEBUG), pytest.raises(NotifyRefused, match="make a new") as caught:
        await hook.post(found, NoticeReason.FIRST, nonce="n1")
    assert "thisisasecret" not in f"{caught.value!r}{caught.value.__cause__!r}{hook!r}{caplog.text}"
    await hook.close()


async def test_a_url_that_is_none_is_not_shown_either(found: Incident) -> None:
    hook = SlackWebhook("hooks.slack.com/services/thisisasecret", pacer=Pacer(interval=0))
    with pytest.raises(NotifyError) as caught:
        await hook.post(found, NoticeReason.FIRST, nonce="n1")
    chain = f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    assert "thisisasecret" not in chain
    await hook.close()
