"""From an accepted finding to a told incident, whatever is away meanwhile."""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from aegis_sink.diagnosis.assess import Assessment, assess
from aegis_sink.dialects.errors import NotReadable
from aegis_sink.dialects.table import Recognised, read
from aegis_sink.flow.collecting import MOST_COMPLETIONS, OLD_EVIDENCE
from aegis_sink.flow.replay import Replay
from aegis_sink.flow.worker import Outcome, Stage
from aegis_sink.intake.receipt import Status
from aegis_sink.model import Collected, Finding, ObjectRef, OwnerChain, State
from aegis_sink.store import incidents, jobs, quarantine, tables
from aegis_sink.store.decisions import decisions_of
from aegis_sink.store.jobs import Job
from tests.integration.flow.conftest import START, Flow, finding

DEPLOYMENT = ObjectRef("Deployment", "api", "shop")
CRASH = "the last termination reason is Error container=api pod=api-1"


async def test_a_problem_is_told_after_the_group_wait_with_the_models_words(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(9)
    assert flow.channel.roots == {}
    await flow.after(1)
    [root] = flow.channel.roots.values()
    assert root.id == receipt.id
    assert root.diagnosis is not None
    assert root.diagnosis.explanation == "It fails."
    assert await flow.reasons(receipt.id) == ["first"]


async def test_while_the_model_is_away_the_message_comes_in_time_and_says_so(flow: Flow) -> None:
    flow.model.away = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert root.diagnosis is not None
    assert root.diagnosis.model_note.startswith("the model did not answer")
    assert root.evidence
    flow.model.away = False
    await flow.after(600)
    [root] = flow.channel.roots.values()
    assert root.diagnosis is not None
    assert root.diagnosis.explanation == "It fails."
    assert await flow.reasons(receipt.id) == ["first", "diagnosed"]


async def test_what_a_model_server_says_of_its_fault_is_told_without_secrets(flow: Flow) -> None:
    flow.model.away = True
    flow.model.error = "500 boom secret=hunter2"
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    incident = await flow.incident(receipt.id)
    assert incident.diagnosis is not None
    assert "500 boom" in incident.diagnosis.model_note
    told = str(incident) + str(flow.channel.roots)
    assert "hunter2" not in told


async def test_a_model_that_thinks_for_long_holds_up_no_message(flow: Flow) -> None:
    flow.model.gate.clear()
    await flow.post(finding("api-1", CRASH))
    await flow.model.arrived.wait()
    flow.clock.now += timedelta(seconds=10)
    flow.worker.wake()
    async with asyncio.timeout(10):
        while not flow.channel.roots:  # noqa: ASYNC110 — whatever is late is late in the store
            await asyncio.sleep(0.01)
    flow.model.gate.set()
    await flow.after(0)


async def test_posts_do_not_wait_while_the_playbooks_are_tried_on_a_log(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, released = threading.Event(), threading.Event()

    def slow(*args: Any, **options: Any) -> Assessment:
        begun.set()
        assert released.wait(30), "the event loop stood still"
        return assess(*args, **options)

    monkeypatch.setattr("aegis_sink.flow.diagnosing.assess", slow)
    await flow.post(finding("api-1", CRASH))
    async with asyncio.timeout(30):
        while not begun.is_set():  # noqa: ASYNC110 — set by another thread
            await asyncio.sleep(0.01)
    second = await flow.post(finding("web-1", CRASH))
    released.set()
    await flow.after(10)
    assert second.id in {root.id for root in flow.channel.roots.values()}


async def test_where_nothing_can_be_edited_diagnosis_and_end_are_messages_of_their_own(
    flow: Flow,
) -> None:
    flow.channel.can_edit = False
    flow.model.away = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    flow.model.away = False
    await flow.after(600)
    await flow.post(finding("api-1", gone=True))
    await flow.after(300)
    assert await flow.reasons(receipt.id) == ["first", "diagnosed", "resolved"]
    first, second, third = flow.channel.roots.values()
    assert first.diagnosis is not None
    assert first.diagnosis.explanation == ""
    assert second.diagnosis is not None
    assert second.diagnosis.explanation == "It fails."
    assert third.state is State.RESOLVED
    assert flow.channel.replies == []


async def test_while_slack_is_away_nothing_is_lost(flow: Flow) -> None:
    flow.channel.away = True
    receipt = await flow.post(finding("api-1", CRASH))
    for _ in range(20):
        await flow.after(300)
    assert await flow.reasons(receipt.id) == []
    flow.channel.away = False
    await flow.after(300)
    assert len(flow.channel.roots) == 1
    assert await flow.reasons(receipt.id) == ["first"]


async def test_a_message_whose_answer_was_lost_is_found_and_not_posted_again(flow: Flow) -> None:
    flow.channel.lose_answer = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await flow.after(60)
    assert len(flow.channel.roots) == 1
    assert await flow.reasons(receipt.id) == ["first"]


async def test_a_thread_that_had_to_wait_is_written_later(flow: Flow) -> None:
    flow.channel.reply_away = 3
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    for _ in range(5):
        await flow.after(60)
    assert len(flow.channel.roots) == 1
    assert flow.channel.replies == ["first"]
    assert await flow.reasons(receipt.id) == ["first"]


async def test_while_the_cluster_is_away_it_is_told_with_what_lacks_and_read_later(
    flow: Flow,
) -> None:
    flow.cluster.away = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert root.evidence == ()
    assert root.missing == ("the API server did not answer",)
    for _ in range(30):  # longer than any count of attempts
        await flow.after(300)
    flow.cluster.away = False
    flow.cluster.above[finding().object] = DEPLOYMENT
    await flow.after(300)
    found = await flow.incident(receipt.id)
    assert (found.subject, [e.id for e in found.evidence]) == (DEPLOYMENT, ["E1"])
    assert len(flow.channel.roots) == 1


async def test_a_finding_without_error_texts_gets_them_from_its_result(flow: Flow) -> None:
    flow.cluster.errors[finding().object] = (CRASH,)
    receipt = await flow.post(finding("api-1", dialect="slack"))
    await flow.after(10)
    assert (await flow.incident(receipt.id)).errors == (CRASH,)


async def test_a_post_that_repeats_what_its_result_says_reads_no_evidence_anew(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected: list[Finding] = []
    collect = flow.cluster.collect

    async def counted(one: Finding, owners: OwnerChain) -> Collected:
        collected.append(one)
        return await collect(one, owners)

    monkeypatch.setattr(flow.cluster, "collect", counted)
    post = finding("api-1", dialect="slack")
    flow.cluster.errors[post.object] = (CRASH,)
    receipt = await flow.post(post)
    await flow.after(30)
    for _ in range(10):  # a sink that only a Secret names posts at each analysis
        await flow.post(replace(post, details="Worded anew."))
        await flow.after(30)
    assert len(collected) == 1
    flow.cluster.errors[post.object] = ("the last termination reason is OOMKilled container=api",)
    await flow.post(post)
    await flow.after(30)
    assert len(collected) == 2
    assert "OOMKilled" in (await flow.incident(receipt.id)).failure_class
    flow.clock.now += OLD_EVIDENCE
    await flow.post(post)
    await flow.after(30)
    assert len(collected) == 3


async def test_of_thousands_of_pods_only_some_results_are_asked_each_time(flow: Flow) -> None:
    pods = [
        finding(f"api-6f9d7c5b48-{n:05}".translate(LETTERS), dialect="slack") for n in range(2000)
    ]
    for pod in pods:
        flow.cluster.errors[pod.object] = (CRASH,)
    receipt = await flow.door.accept(b"{}", Recognised("slack", tuple(pods)), door="test")
    await flow.after(10)
    assert len(flow.cluster.asked) == MOST_COMPLETIONS
    [root] = flow.channel.roots.values()
    assert (len(root.objects), root.errors) == (2000, (CRASH,))
    # A finding that was asked and is seen again is asked again, the others of those not.
    flow.clock.now += timedelta(seconds=1)
    await flow.post(pods[0])
    await flow.after(10)
    assert flow.cluster.asked[MOST_COMPLETIONS:].count(pods[0].object) == 1
    assert len(flow.cluster.asked) == 2 * MOST_COMPLETIONS
    assert (await flow.incident(receipt.id)).occurrences == 2001


async def test_two_that_turn_out_to_be_one_problem_get_one_message(flow: Flow) -> None:
    for name in ("api-x", "worker-y"):
        flow.cluster.above[finding(name).object] = DEPLOYMENT
    one, two = [await flow.post(finding(name, "it fails")) for name in ("api-x", "worker-y")]
    assert one.id != two.id
    await flow.after(10)
    assert len(flow.channel.roots) == 1
    found = await flow.incident(two.id)
    assert found.id == (await flow.incident(one.id)).id
    assert (found.occurrences, len(found.objects)) == (2, 2)


async def test_two_that_were_told_and_turn_out_to_be_one_problem_go_on_as_one(flow: Flow) -> None:
    flow.cluster.away = True
    bare = await flow.post(finding("api-1", dialect="slack"))
    full = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert len(flow.channel.roots) == 2
    flow.cluster.away = False
    flow.cluster.errors[finding("api-1").object] = (CRASH,)
    await flow.after(600)
    part, whole = await flow.incident(bare.id), await flow.incident(full.id)
    assert (part.state, part.superseded_by) == (State.RESOLVED, whole.id)
    assert (whole.state, whole.occurrences) == (State.OPEN, 2)
    assert {root.id: root.superseded_by for root in flow.channel.roots.values()} == {
        part.id: whole.id,
        whole.id: "",
    }
    assert (await flow.post(finding("api-1", dialect="slack"))).id == whole.id
    await flow.after(600)
    assert len(flow.channel.roots) == 2


async def test_the_same_evidence_is_asked_about_once_also_after_a_restart(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert flow.model.asked == 1
    await flow.restart()
    flow.clock.now += timedelta(minutes=1)
    await flow.database.write(
        lambda c: incidents.set_state(
            c, receipt.id, State.RESOLVED, at=flow.clock.now, what="resolved"
        )
    )
    await flow.post(finding("api-1", CRASH))
    await flow.after(60)
    assert (await flow.incident(receipt.id)).state is State.OPEN
    assert flow.model.asked == 1
    flow.cluster.evidence = "container api: OOMKilled"
    await flow.post(finding("api-2", CRASH))
    await flow.after(60)
    assert flow.model.asked == 2


async def test_an_answer_that_cannot_be_used_is_not_asked_for_again(flow: Flow) -> None:
    flow.model.nonsense = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    asked = flow.model.asked
    assert asked == 2  # with the one round of repair
    await flow.restart()
    await flow.post(finding("api-2", CRASH))
    await flow.after(60)
    assert flow.model.asked == asked
    told = (await flow.incident(receipt.id)).diagnosis
    assert told is not None
    assert "could not be used" in told.model_note


async def test_an_answer_about_old_evidence_does_not_stand_beside_the_new(flow: Flow) -> None:
    flow.model.gate.clear()
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.model.arrived.wait()
    flow.cluster.evidence = "container api: OOMKilled"
    await flow.post(finding("api-2", CRASH))
    async with asyncio.timeout(10):
        while (await flow.incident(receipt.id)).evidence[0].text != flow.cluster.evidence:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    flow.model.gate.set()
    await flow.after(10)
    assert flow.model.asked == 2
    assert await flow.reasons(receipt.id) == ["first"]


async def test_the_end_is_told_once_after_the_hold(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await flow.post(finding("api-1", gone=True))
    await flow.after(89)
    assert (await flow.incident(receipt.id)).state is State.OPEN
    await flow.after(1)
    await flow.post(finding("api-1", gone=True))
    await flow.after(300)
    assert (await flow.incident(receipt.id)).state is State.RESOLVED
    assert await flow.reasons(receipt.id) == ["first", "resolved"]


async def test_seen_again_within_the_hold_it_is_not_over(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await flow.post(finding("api-1", gone=True))
    await flow.after(60)
    await flow.post(finding("api-1", CRASH))
    await flow.after(600)
    assert (await flow.incident(receipt.id)).state is State.OPEN
    assert await flow.reasons(receipt.id) == ["first"]


async def test_a_replayed_incident_ends_the_old_message_and_tells_nobody_twice(flow: Flow) -> None:
    old = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    new = await flow.post(finding("api-1", CRASH), force=True)
    await flow.after(10)
    assert new.id != old.id
    assert await flow.reasons(old.id) == ["first"]
    assert await flow.reasons(new.id) == ["first"]
    edited = next(root for root in flow.channel.roots.values() if root.id == old.id)
    assert edited.superseded_by == new.id


async def test_a_body_that_is_no_longer_understood_goes_to_quarantine_at_a_replay(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await flow.post(finding("api-1", CRASH))

    def no_more(body: bytes, *, cluster: str, yaml: bool) -> Recognised:
        raise NotReadable("this version does not read it")

    monkeypatch.setattr("aegis_sink.intake.reading.read", no_more)
    [receipt] = await Replay(flow.database, flow.door, "east").incident(kept.id)
    assert (receipt.status, receipt.items) == (Status.QUARANTINED, ())
    [item] = await flow.database.read(quarantine.items)
    assert (item.id, item.reason) == (receipt.id, "this version does not read it")


async def test_what_a_failure_says_is_stored_without_secrets(flow: Flow) -> None:
    async def fails(job: Job) -> Outcome:
        raise RuntimeError("password hunter2 was refused")

    flow.worker.stages = {**flow.worker.stages, jobs.COLLECT: Stage(fails, 1)}
    await flow.post(finding("api-1", CRASH))
    await flow.after(1)
    errors = await flow.database.read(
        lambda c: c.execute(select(tables.jobs.c.last_error)).scalars().all()
    )
    assert errors == ["RuntimeError: password [redacted] was refused"]


@pytest.mark.parametrize("edits", [True, False])
async def test_a_burst_of_the_same_post_is_one_incident_and_every_post_counts(
    edits: bool, flow: Flow
) -> None:
    flow.channel.can_edit = edits
    title = ">*[main] K8sGPT analysis of the Pod shop/api-1*"
    attachment = {"type": "mrkdwn", "text": "said anew each time", "title": "Report"}
    raw = json.dumps({"text": title, "attachments": [attachment]}).encode()
    again = raw.replace(b"said anew", b"in other words")
    receipts = await asyncio.gather(
        *(
            flow.door.post(body, read(body, cluster="east"), door="webhook")
            for body in (raw, again) * 40
        )
    )
    assert {receipt.id for receipt in receipts} == {receipts[0].id}
    assert sorted(r.status for r in receipts) == [Status.ACCEPTED] + [Status.DUPLICATE] * 79
    await flow.door.sorting.settle()
    await flow.after(10)
    found = await flow.incident(receipts[0].id)
    assert found.occurrences == 80
    assert await flow.reasons(found.id) == ["first"]
    assert len(flow.channel.roots) == 1


LETTERS = str.maketrans("0123456789", "bcdfghjklm")


async def test_the_fingerprint_of_an_incident_outlives_the_pod_that_showed_it(flow: Flow) -> None:
    told = []
    for pod in ("fluentd-x7k2p", "fluentd-q9d8w"):
        receipt = await flow.post(finding(pod, CRASH), force=True)
        await flow.after(1)
        told.append(await flow.incident(receipt.id))
    assert told[0].id != told[1].id
    assert told[0].fingerprint == told[1].fingerprint


async def decided(flow: Flow, incident_id: str) -> list[tuple[str, str, float | None]]:
    """Stage, what, and in how many seconds after the start that is looked at again."""
    found = await flow.database.read(lambda c: decisions_of(c, incident_id))
    return [
        (
            one.stage,
            one.what,
            None if one.wait_until is None else (one.wait_until - START).total_seconds(),
        )
        for one in found
    ]


async def test_each_decision_is_written_down_also_one_to_wait(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(1)
    waits = ("tell", "waits", 10.0)
    assert await decided(flow, receipt.id) == [waits]
    await flow.after(9)
    told = [waits, ("tell", "first", None), ("tell", "unchanged", 10.0 + 4 * 3600)]
    assert await decided(flow, receipt.id) == told
    await flow.after(600)
    assert await decided(flow, receipt.id) == told
    await flow.post(finding("api-1", gone=True))
    await flow.after(1)
    assert await decided(flow, receipt.id) == [*told, ("resolve", "held", 610.0 + 90)]
    await flow.after(90)
    assert [what for _, what, _ in await decided(flow, receipt.id)][-2:] == ["resolved", "over"]


async def test_an_attempt_that_failed_leaves_its_decision_and_why_it_failed(flow: Flow) -> None:
    flow.channel.away = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert (await decided(flow, receipt.id))[-1] == ("tell", "first", None)
    await flow.after(60)
    flow.channel.away = False
    await flow.after(600)
    assert await flow.reasons(receipt.id) == ["first"]
    history = [(h.what, h.reason) for h in (await flow.incident(receipt.id)).history]
    assert history.count(("not told yet", "Slack cannot be reached")) == 1
