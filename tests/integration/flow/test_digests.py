"""Hints once a day, a storm in one message: everything is told, and people can read it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aegis_sink.model import Digest, DigestKind, Mute, MuteKind, NoticeReason, Posted, State
from aegis_sink.notify.digest import compose_digest
from aegis_sink.notify.plain import plain_lines
from aegis_sink.store import digests, incidents, mutes
from aegis_sink.store.database import Connection
from tests.integration.flow.conftest import Flow, stated

CRASH = "Deployment shop/{0} has 1 replicas but 0 are available"


async def until_nine(flow: Flow) -> None:
    """The test's day begins at noon."""
    await flow.after(20 * 3600)
    await flow.after(3600)


async def hint(flow: Flow, name: str) -> str:
    return (
        await flow.post(stated("ConfigMap", name, f"ConfigMap {name} is not used by any pods"))
    ).id


async def storm(flow: Flow, count: int, *, start: int = 0) -> list[str]:
    ids = []
    for n in range(start, start + count):
        name = f"app{chr(97 + n // 26)}{chr(97 + n % 26)}"
        ids.append((await flow.post(stated("Deployment", name, CRASH.format(name)))).id)
    return ids


async def test_hints_are_told_once_in_the_digest_of_the_day(flow: Flow) -> None:
    ids = [await hint(flow, name) for name in ("one", "two")]
    await flow.after(3600)
    assert (flow.channel.roots, flow.channel.digests) == ({}, {})
    await until_nine(flow)
    [digest] = flow.channel.digests.values()
    assert digest.kind is DigestKind.HINTS
    assert [line.id for line in digest.lines] == ids
    assert flow.channel.roots == {}
    assert await flow.reasons(ids[0]) == ["digest"]
    await until_nine(flow)
    assert len(flow.channel.digests) == 1
    third = await hint(flow, "three")
    await until_nine(flow)
    *_, newest = flow.channel.digests.values()
    assert [line.id for line in newest.lines] == [third]


async def test_hints_that_are_over_before_the_digest_is_due_are_not_told(flow: Flow) -> None:
    await hint(flow, "one")
    await flow.after(60)
    await flow.post(replace(stated("ConfigMap", "one"), gone=True))
    await flow.after(90)
    await until_nine(flow)
    assert flow.channel.digests == {}


async def test_a_storm_is_a_few_messages_one_digest_and_few_questions(flow: Flow) -> None:
    ids = await storm(flow, 60)
    for _ in range(8):
        await flow.after(10)
    [digest] = flow.channel.digests.values()
    alone = {root.id for root in flow.channel.roots.values()}
    together = {line.id for line in digest.lines}
    assert len(alone) <= 9
    assert flow.model.asked <= 5
    assert alone | together == set(ids)
    assert alone.isdisjoint(together)
    assert await flow.reasons(next(iter(together))) == ["digest"]
    told = flow.model.asked
    await flow.after(600)
    await flow.after(60)
    assert flow.model.asked >= told


async def test_what_comes_later_in_a_storm_is_added_to_its_digest(flow: Flow) -> None:
    await storm(flow, 40)
    await flow.after(10)
    await flow.after(10)
    [before] = flow.channel.digests.values()
    await storm(flow, 5, start=40)
    await flow.after(10)
    await flow.after(10)
    [after] = flow.channel.digests.values()
    assert len(after.lines) == len(before.lines) + 5


async def test_the_digest_of_a_storm_stays_true_when_its_problems_end(flow: Flow) -> None:
    await storm(flow, 40)
    await flow.after(10)
    await flow.after(10)
    [digest] = flow.channel.digests.values()
    for line in digest.lines:
        await flow.post(replace(stated("Deployment", line.subject.name), gone=True))
    await flow.after(90)
    await flow.after(20)
    [after] = flow.channel.digests.values()
    assert {line.state for line in after.lines} == {State.RESOLVED}
    assert "resolved" not in await flow.reasons(digest.lines[0].id)
    words = "\n".join(
        plain_lines(compose_digest(after, now=flow.clock.now), now=flow.clock.now, more="")
    )
    assert "RESOLVED" in words


async def test_what_outlives_the_storm_is_told_alone_after_the_repeat_interval(
    flow: Flow,
) -> None:
    await storm(flow, 30)
    await flow.after(10)
    await flow.after(10)
    [digest] = flow.channel.digests.values()
    last = digest.lines[-1]
    for line in digest.lines[:-1]:
        await flow.post(replace(stated("Deployment", line.subject.name), gone=True))
    await flow.after(90)
    await flow.after(4 * 3600)
    assert (await flow.reasons(last.id))[:2] == ["digest", "repeat"]


async def ended(flow: Flow, name: str) -> None:
    await flow.post(replace(stated("Deployment", name), gone=True))
    await flow.after(90)


async def test_what_was_told_in_a_digest_and_is_back_after_its_end_is_told_to_be_reopened(
    flow: Flow,
) -> None:
    await storm(flow, 30)
    await flow.after(10)
    await flow.after(10)
    [digest] = flow.channel.digests.values()
    last = digest.lines[-1]
    await ended(flow, last.subject.name)
    await flow.after(900)
    flow.clock.now += timedelta(seconds=1)
    await flow.post(
        stated("Deployment", last.subject.name, CRASH.format(last.subject.name)),
    )
    assert await flow.reasons(last.id) == ["digest"]
    await flow.after(10)
    assert await flow.reasons(last.id) == ["digest", "reopened"]
    [message] = [one for one in flow.channel.roots.values() if one.id == last.id]
    assert message.state is State.OPEN
    await flow.after(20)
    [after] = flow.channel.digests.values()
    assert {line.id: line.state for line in after.lines}[last.id] is State.OPEN
    await ended(flow, last.subject.name)
    assert await flow.reasons(last.id) == ["digest", "reopened", "resolved"]


async def test_what_is_back_while_the_storm_lasts_is_told_in_its_digest_again(flow: Flow) -> None:
    await storm(flow, 30)
    await flow.after(10)
    await flow.after(10)
    [digest] = flow.channel.digests.values()
    last = digest.lines[-1]
    await ended(flow, last.subject.name)
    await flow.post(
        stated("Deployment", last.subject.name, CRASH.format(last.subject.name)),
    )
    await flow.after(10)
    await flow.after(20)
    [after] = flow.channel.digests.values()
    assert {line.id: line.state for line in after.lines}[last.id] is State.OPEN
    assert await flow.reasons(last.id) == ["digest", "digest"]
    await flow.after(4 * 3600)
    assert await flow.reasons(last.id) == ["digest", "digest", "repeat"]


async def test_what_changes_while_a_digest_is_on_its_way_is_in_the_next_edit(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storm(flow, 30)
    await flow.after(10)
    await flow.after(10)
    [digest] = flow.channel.digests.values()
    last, other = digest.lines[-2:]
    await ended(flow, last.subject.name)
    edit = flow.channel.edit_digest

    async def slowly(digest: Digest, posted: Posted) -> None:
        monkeypatch.setattr(flow.channel, "edit_digest", edit)
        await edit(digest, posted)
        flow.clock.now += timedelta(seconds=1)
        await flow.database.write(
            lambda c: incidents.set_state(
                c, other.id, State.RESOLVED, at=flow.clock.now, what="resolved"
            )
        )
        flow.clock.now += timedelta(seconds=1)

    monkeypatch.setattr(flow.channel, "edit_digest", slowly)
    await flow.after(20)
    await flow.after(20)
    [after] = flow.channel.digests.values()
    states = {line.id: line.state for line in after.lines}
    assert (states[last.id], states[other.id]) == (State.RESOLVED, State.RESOLVED)


async def test_a_hint_that_is_back_is_told_in_the_next_digest(flow: Flow) -> None:
    one = await hint(flow, "one")
    await until_nine(flow)
    await flow.post(replace(stated("ConfigMap", "one"), gone=True))
    await flow.after(90)
    await hint(flow, "one")
    await until_nine(flow)
    await until_nine(flow)
    assert len(flow.channel.digests) == 2
    assert await flow.reasons(one) == ["digest", "digest"]
    await until_nine(flow)
    assert len(flow.channel.digests) == 2


@pytest.mark.parametrize("lost", [True, False])
async def test_a_digest_is_posted_once_although_the_answer_was_lost(flow: Flow, lost: bool) -> None:
    await hint(flow, "one")
    await flow.after(1)
    flow.channel.lose_answer = lost
    flow.channel.away = not lost
    await until_nine(flow)
    await flow.restart()
    flow.channel.away = False
    await flow.after(120)
    assert len(flow.channel.digests) == 1
    [digest] = flow.channel.digests.values()
    assert await flow.reasons(digest.lines[0].id) == [NoticeReason.DIGEST]


async def test_a_silenced_hint_is_in_no_digest(flow: Flow) -> None:
    ids = [await hint(flow, name) for name in ("one", "two")]
    await flow.after(60)
    mute = Mute(MuteKind.SILENCE, "s1", "ada", flow.clock.now + timedelta(days=3))
    await flow.database.write(lambda c: mutes.store_mute(c, ids[0], mute))
    await until_nine(flow)
    [digest] = flow.channel.digests.values()
    assert [line.id for line in digest.lines] == ids[1:]


async def test_a_digest_is_not_told_to_be_over_while_one_of_it_is_only_silenced(
    flow: Flow,
) -> None:
    ids = [await hint(flow, name) for name in ("one", "two")]
    await until_nine(flow)
    mute = Mute(MuteKind.SILENCE, "s1", "ada", flow.clock.now + timedelta(days=3))
    await flow.database.write(lambda c: mutes.store_mute(c, ids[0], mute))
    await flow.post(replace(stated("ConfigMap", "two"), gone=True))
    await flow.after(90)
    await flow.after(20)
    [digest] = flow.channel.digests.values()
    assert [(line.id, line.state) for line in digest.lines] == [(ids[1], State.RESOLVED)]
    message = compose_digest(digest, now=flow.clock.now)
    assert message.headline == "🔕 SILENCED · what is left of this is silenced"
    assert message.status == "1 silenced"
    assert message.until is None


async def test_that_it_is_told_with_others_is_part_of_its_story(flow: Flow) -> None:
    receipt = await flow.post(stated("ConfigMap", "old", "ConfigMap old is not used"))
    await flow.after(10)
    await flow.after(60)
    story = [(entry.what, entry.reason) for entry in (await flow.incident(receipt.id)).history]
    assert story.count(("told in a digest of hints", "a hint waits for the digest of the day")) == 1


async def test_what_slack_says_against_a_digest_is_part_of_the_story_of_each(flow: Flow) -> None:
    ids = [await hint(flow, name) for name in ("one", "two")]
    flow.channel.refuses = "channel_not_found"
    await until_nine(flow)
    await flow.after(120)
    flow.channel.refuses, flow.channel.refusal = "", "invalid_blocks"
    await flow.after(120)
    assert len(flow.channel.digests) == 1
    for id in ids:
        story = [(entry.what, entry.reason) for entry in (await flow.incident(id)).history]
        assert story.count(("not told", "channel_not_found")) == 1
        assert story.count(("told as plain text", "invalid_blocks")) == 1


async def test_who_joins_while_a_digest_is_on_its_way_stands_in_a_message(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.channel.can_edit = False
    await flow.post(stated("ConfigMap", "old", "ConfigMap old is not used"))
    late = await flow.post(stated("Deployment", "web", "it fails"))
    await flow.after(10)
    intend = digests.intend

    def overtaken(connection: Connection, **values: Any) -> None:
        flow.digests.join(connection, DigestKind.HINTS, late.id, "")
        intend(connection, **values)

    monkeypatch.setattr(digests, "intend", overtaken)
    await flow.after(24 * 3600)
    await flow.after(60)
    listed = {line.id for digest in flow.channel.digests.values() for line in digest.lines}
    assert "digest" in await flow.reasons(late.id)
    assert late.id in listed
