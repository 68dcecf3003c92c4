"""The app manifest asks for what the bot needs, and for nothing else."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from aegis_sink.model import Incident, NoticeReason
from aegis_sink.notify.errors import NotifyRefused
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from tests.fakes.slack import PRIVATE_CHANNEL, PUBLIC_CHANNEL, FakeSlack

FILE = Path(__file__).parents[3] / "k8sgpt" / "slack-app-manifest.yaml"
TEXT = FILE.read_text()
MANIFEST = yaml.safe_load(TEXT)
SCOPES = frozenset(MANIFEST["oauth_config"]["scopes"]["bot"])

Life = Callable[[str], Awaitable[None]]


@pytest.fixture
def life(slack: FakeSlack, diagnosed: Incident) -> Life:
    """All that the bot does in one channel."""

    async def live(channel: str) -> None:
        bot = SlackBot(slack.token, channel, api_url=slack.api_url, pacer=Pacer(interval=0))
        try:
            await bot.status()
            posted = await bot.post(diagnosed, NoticeReason.FIRST, nonce="n1")
            await bot.edit(diagnosed, NoticeReason.DIAGNOSED, posted)
            await bot.reply(diagnosed, NoticeReason.DIAGNOSED, posted)
            since = datetime.now(UTC) - timedelta(minutes=1)
            assert await bot.find("n1", since=since) == posted
            await bot.send_test_message()
        finally:
            await bot.close()

    return live


async def test_its_scopes_are_enough(slack: FakeSlack, life: Life) -> None:
    slack.scopes = set(SCOPES)
    await life(PUBLIC_CHANNEL)


@pytest.mark.parametrize("scope", sorted(SCOPES))
async def test_none_of_its_scopes_is_too_many(slack: FakeSlack, life: Life, scope: str) -> None:
    slack.scopes = set(SCOPES - {scope})
    with pytest.raises(NotifyRefused, match=scope):
        await life(PUBLIC_CHANNEL)


@pytest.mark.parametrize(
    ("channel", "instead", "added"),
    [
        (PRIVATE_CHANNEL, "channels:history", {"groups:history"}),
        ("#ops", "", {"channels:read"}),
        ("#secret-ops", "channels:history", {"groups:history", "groups:read"}),
    ],
)
async def test_what_another_channel_needs_is_named_in_its_comments(
    slack: FakeSlack, life: Life, channel: str, instead: str, added: set[str]
) -> None:
    slack.scopes = set(SCOPES - {instead}) | added
    await life(channel)
    assert all(scope in TEXT for scope in {*added, "usergroups:read"})


def test_it_asks_for_presses_and_for_no_events() -> None:
    settings = MANIFEST["settings"]
    assert settings["interactivity"]["is_enabled"] is True
    assert "event_subscriptions" not in settings
    assert set(MANIFEST["oauth_config"]["scopes"]) == {"bot"}
