"""What the tests of the notifiers against the fake Slack share."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from aegis_sink.model import Incident
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from aegis_sink.notify.webhook import SlackWebhook
from tests.fakes.notify_incidents import NOW, make_diagnosed, make_found
from tests.fakes.slack import FakeSlack, slack

__all__ = ["slack"]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def found() -> Incident:
    return make_found()


@pytest.fixture
def diagnosed() -> Incident:
    return make_diagnosed()


@pytest.fixture
async def bot(slack: FakeSlack) -> AsyncIterator[SlackBot]:
    """A bot without a pace, so that no test waits a second."""
    bot = SlackBot(
        slack.token,
        "#ops",
        api_url=slack.api_url,
        now=lambda: NOW,
        pacer=Pacer(interval=0),
        timeout=2.0,
    )
    yield bot
    await bot.close()


@pytest.fixture
async def webhook(slack: FakeSlack) -> AsyncIterator[SlackWebhook]:
    hook = SlackWebhook(slack.webhook_url, now=lambda: NOW, pacer=Pacer(interval=0), timeout=2.0)
    yield hook
    await hook.close()
