"""What people do with an incident, and what is told of it then."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from aegis_sink.flow import acts
from aegis_sink.flow.acts import Acted, Effect, Person
from aegis_sink.model import Incident, NoticeReason, Posted, State
from aegis_sink.store import incidents
from aegis_sink.store.database import Connection
from tests.integration.flow.conftest import START, Flow, finding

CRASH = "the last termination reason is Error container=api pod=api-1"
ADA = Person("ada", user="U1")
BOB = Person("bob", user="U2")
HOUR = timedelta(hours=1)


async def do(flow: Flow, act: Any, incident_id: str, person: Person = ADA, **more: Any) -> Acted:
    """One act, now."""

    def run(connection: Connection) -> Acted:
        incident = incidents.get(connection, incident_id)
        assert incident is not None
        acted: Acted = act(connection, incident, person, at=flow.clock.now, **more)
        return acted

    acted = await flow.database.write(run)
    flow.worker.wake()
    await flow.after(0)
    return acted


async def a_told_problem(flow: Flow) -> str:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert await flow.reasons(receipt.id) == ["first"]
    return receipt.id


hush = partial(acts.silence, length=HOUR)
hush_for_good = partial(acts.silence, length=None)


async def test_who_acknowledged_and_when_is_in_the_message(flow: Flow) -> None:
    told = await a_told_problem(flow)
    assert (await do(flow, acts.acknowledge, told)).effect is Effect.DONE
    [root] = flow.channel.roots.values()
    assert (root.state, root.acknowledged_by) == (State.ACKNOWLEDGED, "ada")
    assert root.acknowledged_at == START + timedelta(seconds=10)
    await flow.after(5 * 3600)
    assert await flow.reasons(told) == ["first"]


async def test_what_changes_while_slack_is_slow_is_one_edit_with_the_newest_state(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await a_told_problem(flow)
    edit, edits, slow, begun = flow.channel.edit, [], asyncio.Event(), asyncio.Event()

    async def slowly(incident: Incident, reason: NoticeReason, posted: Posted) -> Posted:
        edits.append([judged.by for judged in incident.feedback])
        begun.set()
        await slow.wait()
        return await edit(incident, reason, posted)

    def judge(connection: Connection, person: Person) -> None:
        incident = incidents.get(connection, told)
        assert incident is not None
        acts.judge(connection, incident, person, at=flow.clock.now, right=True)

    monkeypatch.setattr(flow.channel, "edit", slowly)
    names = [f"person-{n:02}" for n in range(20)]
    for name in names:
        await flow.database.write(partial(judge, person=Person(name)))
        flow.worker.wake()
        await begun.wait()
    slow.set()
    await flow.after(0)
    assert edits == [names[:1], names]


async def test_the_second_who_is_on_it_hears_who_was_first(flow: Flow) -> None:
    told = await a_told_problem(flow)
    await do(flow, acts.acknowledge, told)
    late = await do(flow, acts.acknowledge, told, BOB)
    assert (late.effect, late.words) == (Effect.ALREADY, "ada has it since 12:00 UTC.")
    assert (await flow.incident(told)).acknowledged_by == "ada"


async def test_a_silence_mutes_until_its_end_and_what_is_still_there_is_told_again(
    flow: Flow,
) -> None:
    told = await a_told_problem(flow)
    acted = await do(flow, hush, told)
    assert "until 13:00 UTC" in acted.words
    [root] = flow.channel.roots.values()
    assert (root.state, root.silenced_by) == (State.SILENCED, "ada")
    await flow.after(600)
    await flow.post(finding("worker-1", CRASH))
    await flow.after(3600 - 601)
    assert await flow.reasons(told) == ["first"]
    assert (await flow.incident(told)).state is State.SILENCED
    await flow.after(1)
    assert await flow.reasons(told) == ["first", "repeat"]
    assert (await flow.incident(told)).state is State.OPEN
    await flow.after(3600)
    assert await flow.reasons(told) == ["first", "repeat"]


async def test_the_end_of_a_silence_is_not_missed_by_a_service_that_was_down(flow: Flow) -> None:
    told = await a_told_problem(flow)
    await do(flow, hush, told)
    await flow.restart()
    await flow.after(3 * 3600)
    assert await flow.reasons(told) == ["first", "repeat"]


async def test_what_somebody_works_on_is_not_told_again_after_a_silence(flow: Flow) -> None:
    told = await a_told_problem(flow)
    await do(flow, acts.acknowledge, told)
    await do(flow, hush, told)
    await flow.after(3600)
    assert (await flow.incident(told)).state is State.ACKNOWLEDGED
    assert await flow.reasons(told) == ["first"]


async def test_the_end_is_told_although_silenced_when_the_beginning_was(flow: Flow) -> None:
    told = await a_told_problem(flow)
    await do(flow, hush_for_good, told)
    await flow.post(finding("api-1", gone=True))
    await flow.after(90)
    assert await flow.reasons(told) == ["first", "resolved"]


async def test_what_was_silenced_before_it_was_told_ends_untold(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await do(flow, hush_for_good, receipt.id)
    await flow.after(60)
    await flow.post(finding("api-1", gone=True))
    await flow.after(90)
    assert await flow.reasons(receipt.id) == []
    assert flow.channel.roots == {}


async def test_what_comes_back_before_its_silence_is_over_comes_back_silenced(flow: Flow) -> None:
    told = await a_told_problem(flow)
    await do(flow, hush, told)
    await flow.post(finding("api-1", gone=True))
    await flow.after(90)
    await flow.post(finding("api-1", CRASH))
    await flow.after(600)
    assert (await flow.incident(told)).state is State.SILENCED
    assert await flow.reasons(told) == ["first", "resolved"]
    await flow.after(3600)
    assert (await flow.reasons(told))[:3] == ["first", "resolved", "reopened"]


async def test_a_silence_until_resolved_ends_with_it_and_so_does_an_acknowledgement(
    flow: Flow,
) -> None:
    told = await a_told_problem(flow)
    await do(flow, acts.acknowledge, told)
    await do(flow, hush_for_good, told)
    await flow.post(finding("api-1", gone=True))
    await flow.after(90)
    await flow.post(finding("api-1", CRASH))
    await flow.after(60)
    back = await flow.incident(told)
    assert (back.state, back.acknowledged_by) == (State.OPEN, "")
    # Whether the model's words come with it or after it is a race.
    assert (await flow.reasons(told))[:3] == ["first", "resolved", "reopened"]


async def test_a_silence_that_a_person_ends_is_over_and_brings_no_message(flow: Flow) -> None:
    told = await a_told_problem(flow)
    await do(flow, hush, told)
    assert (await do(flow, acts.end_silence, told)).effect is Effect.DONE
    [root] = flow.channel.roots.values()
    assert root.state is State.OPEN
    await flow.after(2 * 3600)
    assert await flow.reasons(told) == ["first"]
    assert (await do(flow, acts.end_silence, told)).effect is Effect.ALREADY


async def test_what_is_over_takes_no_acts_but_the_word_on_its_diagnosis(flow: Flow) -> None:
    told = await a_told_problem(flow)
    assert (await do(flow, acts.resolve, told)).effect is Effect.DONE
    assert (await do(flow, acts.resolve, told)).effect is Effect.ALREADY
    for act in (acts.acknowledge, hush, acts.end_silence, acts.diagnose_again):
        acted = await do(flow, act, told)
        assert (acted.effect, acted.words) == (Effect.REFUSED, "It has been over since 12:00 UTC.")
    assert (await flow.incident(told)).state is State.RESOLVED
    assert (await do(flow, partial(acts.judge, right=True), told)).effect is Effect.DONE


async def test_what_was_replayed_points_to_the_new_one(flow: Flow) -> None:
    old = await a_told_problem(flow)
    new = await flow.post(finding("api-1", CRASH), force=True)
    await flow.after(10)
    assert new.id in (await do(flow, acts.acknowledge, old)).words


async def test_diagnosing_again_asks_the_model_only_about_new_evidence(flow: Flow) -> None:
    told = await a_told_problem(flow)
    assert flow.model.asked == 1
    await do(flow, acts.diagnose_again, told)
    assert flow.model.asked == 1
    flow.cluster.evidence = "container api: OOMKilled"
    await do(flow, acts.diagnose_again, told)
    assert flow.model.asked == 2
    [root] = flow.channel.roots.values()
    assert root.evidence[0].text == "container api: OOMKilled"
    assert await flow.reasons(told) == ["first"]


async def test_a_word_on_the_diagnosis_is_kept_with_what_it_was_said_of(flow: Flow) -> None:
    told = await a_told_problem(flow)
    wrong, right = partial(acts.judge, right=False), partial(acts.judge, right=True)
    await do(flow, wrong, told, ADA)
    await do(flow, right, told, BOB)
    assert (await do(flow, right, told, BOB)).effect is Effect.ALREADY
    await do(flow, right, told, ADA)
    judged = await flow.incident(told)
    assert {(f.by, f.right) for f in judged.feedback} == {("ada", True), ("bob", True)}
    assert [f.diagnosis for f in judged.feedback] == [judged.diagnosis] * 2
    [root] = flow.channel.roots.values()
    assert root.feedback == judged.feedback


async def test_before_there_is_a_diagnosis_there_is_nothing_to_judge(flow: Flow) -> None:
    flow.cluster.gate.clear()
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.door.sorting.settle()
    early = await flow.database.write(
        lambda c: acts.judge(
            c,
            incidents.get(c, receipt.id),  # type: ignore[arg-type]
            ADA,
            at=flow.clock.now,
            right=True,
        )
    )
    assert early.effect is Effect.REFUSED
    flow.cluster.gate.set()
