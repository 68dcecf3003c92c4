"""What Slack refuses: kept, told as plain text where that helps, and tried less and less."""

from dataclasses import replace

import pytest

from aegis_sink.model import Incident, NoticeReason, State
from aegis_sink.store import jobs
from tests.integration.flow.conftest import Flow, finding

CRASH = "the last termination reason is Error container=api pod=api-1"


def notes(incident: Incident, what: str) -> list[str]:
    return [entry.reason for entry in incident.history if entry.what == what]


async def test_a_refused_rich_message_is_kept_once_however_often_it_is_edited(flow: Flow) -> None:
    flow.channel.refusal = "invalid_blocks: unsupported type"
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await flow.after(600)
    await flow.post(finding("worker-1", CRASH))
    await flow.after(600)
    found = await flow.incident(receipt.id)
    assert notes(found, "told as plain text") == ["invalid_blocks: unsupported type"]
    assert (await flow.reasons(receipt.id))[0] == "first"


async def test_what_is_refused_for_good_is_tried_at_least_every_hour_and_at_once_after_a_restart(
    flow: Flow,
) -> None:
    flow.channel.refuses = "channel_not_found"
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    for _ in range(24 * 12):
        await flow.after(300)
    assert 24 <= flow.channel.tries <= 60  # of 288 looks
    assert notes(await flow.incident(receipt.id), "not told") == ["channel_not_found"]
    flow.channel.refuses = ""
    await flow.restart()
    await flow.after(0)
    assert (await flow.reasons(receipt.id))[0] == "first"


async def test_an_edit_that_is_refused_is_made_when_slack_takes_it(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    flow.channel.refuses = "invalid_auth"
    flow.cluster.evidence = "container api: OOMKilled"
    await flow.post(finding("api-2", CRASH))
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert root.evidence[0].text != flow.cluster.evidence
    flow.channel.refuses = ""
    for _ in range(5):
        await flow.after(60)
    [root] = flow.channel.roots.values()
    assert root.evidence[0].text == flow.cluster.evidence
    assert await flow.reasons(receipt.id) == ["first"]


@pytest.mark.parametrize("how", ["refuses", "refusal"])
async def test_what_slack_refuses_never_costs_another_question(how: str, flow: Flow) -> None:
    setattr(flow.channel, how, "invalid_blocks")
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    for _ in range(12):
        await flow.after(600)
    await flow.restart()
    await flow.after(0)
    assert notes(
        await flow.incident(receipt.id), "not told" if how == "refuses" else "told as plain text"
    )
    assert flow.model.asked == 1


async def test_the_end_is_told_in_the_thread_where_the_message_cannot_be_edited(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    flow.channel.frozen = True
    await flow.post(replace(finding("api-1", CRASH), gone=True))
    await flow.after(90)
    assert flow.channel.replies[-1] is NoticeReason.RESOLVED
    assert [one.state for one in flow.channel.restated] == [State.RESOLVED]
    assert (await flow.reasons(receipt.id))[-1] == "resolved"
    assert len(flow.channel.roots) == 1


async def test_the_metric_tells_what_slack_refuses_from_what_waits_for_its_repeat(
    flow: Flow,
) -> None:
    await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    # Told: the incident waits for its repeat, and nothing fails.
    assert (await flow.database.read(jobs.counts))["tell"] == 1
    assert (await flow.database.read(jobs.failing))["tell"] == 0
    flow.channel.refuses = "token_revoked"
    await flow.after(5 * 3600)
    assert (await flow.database.read(jobs.failing))["tell"] == 1
    flow.channel.refuses = ""
    await flow.after(3600)
    assert (await flow.database.read(jobs.failing))["tell"] == 0
