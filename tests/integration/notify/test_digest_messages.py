"""A digest of any size is one message that Slack takes, finds again and lets us edit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aegis_sink.model import Digest, DigestKind, DigestLine, ObjectRef, Severity, State
from aegis_sink.notify.slack import SlackBot
from aegis_sink.notify.webhook import SlackWebhook
from tests.fakes.slack import FakeSlack, shown

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "<!channel> *bold* ```fence``` <http://x|click> & \u202e" + "x" * 500


def digest(count: int, *, title: str = "does not run", state: State = State.OPEN) -> Digest:
    severities = list(Severity)
    lines = tuple(
        DigestLine(
            f"i{n}",
            f"Deployment shop/app-{n}: {title} {n % 40}",
            severities[n % 4],
            state,
            ObjectRef("Deployment", f"app-{n}", "shop"),
        )
        for n in range(count)
    )
    return Digest("d1", DigestKind.STORM, "east", NOW, lines)


@pytest.mark.parametrize("count", [1, 25, 2000])
async def test_any_number_of_problems_is_one_message(
    slack: FakeSlack, bot: SlackBot, count: int
) -> None:
    posted = await bot.post_digest(digest(count, title=HOSTILE), nonce="n1")
    found = await bot.find("n1", since=datetime.now(UTC) - timedelta(minutes=1))
    assert (found is not None and found.ts) == posted.ts
    await bot.edit_digest(digest(count, state=State.RESOLVED), posted)
    [message] = slack.channel.roots
    assert "RESOLVED" in str(message["text"])
    assert slack.pings() == []
    assert slack.links() == []


async def test_a_digest_says_how_many_of_it_are_over_and_nothing_twice(
    slack: FakeSlack, bot: SlackBot
) -> None:
    posted = await bot.post_digest(digest(3), nonce="n1")
    assert "told together" not in shown(slack.channel.roots[0]).split("\n", 1)[1]
    first, *rest = digest(3).lines
    ended = replace(digest(3), lines=(replace(first, state=State.RESOLVED), *rest))
    await bot.edit_digest(ended, posted)
    text = shown(slack.channel.roots[0])
    assert "2 problems told together" in text
    assert "1 of 3 over" in text


async def test_a_digest_says_how_many_and_what_they_have_in_common(
    slack: FakeSlack, webhook: SlackWebhook
) -> None:
    await webhook.post_digest(digest(80, title="does not run"), nonce="n1")
    [message] = slack.channel.roots
    text: Any = message["text"]
    assert "80 problems told together" in text
    assert "2 × does not run 0: Deployment shop/app-0, Deployment shop/app-40" in text
