"""At most one root message, whatever happens between the post and its answer."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from aegis_sink.model import Incident, NoticeReason, Posted
from aegis_sink.notify.errors import NotifyUnavailable, OutcomeUnknown
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from tests.fakes.slack import FakeSlack, Fault

FAULTS = [
    Fault.DROP_BEFORE,
    Fault.DROP_AFTER,
    Fault.SERVER_ERROR,
    Fault.FATAL_ERROR,
    Fault.NOT_JSON,
    Fault.RATE_LIMIT,
]


@pytest.mark.parametrize("block", range(4))
async def test_fifty_unlucky_posts_end_in_fifty_root_messages(
    slack: FakeSlack, found: Incident, block: int
) -> None:
    luck = random.Random(block)  # noqa: S311 - repeatable, not secret
    for n in range(50):
        method_of = ("chat.postMessage", "conversations.history")
        for fault in luck.choices(FAULTS, k=luck.randrange(4)):
            slack.faults[luck.choice(method_of)].append(fault)
        posted = await tell(slack, found, nonce=f"{block}-{n}")
        assert posted.ts == slack.channel.roots[-1]["ts"]
        assert len(slack.channel.roots) == n + 1


async def tell(slack: FakeSlack, incident: Incident, *, nonce: str) -> Posted:
    """What the flow does: after an unknown outcome, and in every new process, search first."""
    intended_at = datetime.now(UTC) - timedelta(seconds=1)
    intended = False
    for _ in range(20):
        # A new bot each time, as after a kill: nothing is remembered but the intent.
        bot = SlackBot(
            slack.token, "#ops", api_url=slack.api_url, pacer=Pacer(interval=0, sleep=_skip)
        )
        try:
            if intended and (posted := await bot.find(nonce, since=intended_at)) is not None:
                return posted
            intended = True
            return await bot.post(incident, NoticeReason.FIRST, nonce=nonce)
        except (NotifyUnavailable, OutcomeUnknown):
            continue
        finally:
            await bot.close()
    raise AssertionError("never told")


async def _skip(_seconds: float) -> None:
    return None
