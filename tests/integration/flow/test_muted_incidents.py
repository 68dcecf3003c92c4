"""What mutes an incident: it is listed and says why, nobody is told, and nothing is forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aegis_sink.model import Mute, MuteKind, ObjectRef, State
from aegis_sink.model.facts import PodFacts
from aegis_sink.store import listing, silences
from aegis_sink.store.database import Connection
from aegis_sink.store.listing import Filter
from aegis_sink.triage.matchers import parse
from aegis_sink.triage.silence import Silence
from tests.integration.flow.conftest import Flow, finding, stated

CRASH = "the last termination reason is Error container=api pod=api-1"
NODE_DOWN = "n1 has condition of type Ready, reason NodeStatusUnknown: Kubelet stopped posting."
POD = ObjectRef("Pod", "api-1", "shop")


async def silence(flow: Flow, matchers: str, *, hours: float = 2) -> str:
    one = Silence(
        "quiet", parse(matchers), flow.clock.now, flow.clock.now + timedelta(hours=hours), "ada"
    )

    def put(connection: Connection) -> None:
        silences.put(connection, one)
        flow.muting.silence_began(connection, one)

    await flow.database.write(put)
    flow.worker.wake()
    return one.id


async def listed(flow: Flow, state: State) -> list[str]:
    page = await flow.database.read(lambda c: listing.page(c, Filter(state=state)))
    return [one.id for one in page.incidents]


async def test_an_excluded_namespace_is_listed_and_never_told_nor_asked_about(flow: Flow) -> None:
    receipt = await flow.post(stated("Pod", "api-1", CRASH, namespace="sandbox-7"))
    await flow.after(3600)
    await flow.after(3600)
    assert flow.channel.roots == {}
    assert flow.model.asked == 0
    incident = await flow.incident(receipt.id)
    assert incident.mute is not None
    assert incident.mute.because == ("AEGIS_EXCLUDE_NAMESPACES: namespace sandbox-7 is in it")
    assert await listed(flow, State.OPEN) == [receipt.id]
    assert [h.what for h in incident.history if h.what == "muted"] == ["muted"]


async def test_what_is_silenced_before_it_was_told_is_told_when_the_silence_ends(
    flow: Flow,
) -> None:
    await silence(flow, 'namespace="shop"', hours=1)
    receipt = await flow.post(finding("api-1", CRASH))
    for _ in range(5):
        await flow.after(600)
    assert flow.channel.roots == {}
    assert flow.model.asked == 0
    assert await listed(flow, State.SILENCED) == [receipt.id]
    assert await listed(flow, State.OPEN) == []
    await flow.after(601)
    # What it is now was fetched only then, so that the diagnosis comes by edit.
    assert await flow.reasons(receipt.id) == ["first", "diagnosed"]
    [root] = flow.channel.roots.values()
    assert root.mute is None
    assert root.diagnosis is not None
    assert root.diagnosis.explanation == "It fails."
    assert await listed(flow, State.OPEN) == [receipt.id]


async def test_a_silence_shows_in_the_message_at_once_and_repeats_stop(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await silence(flow, 'name="api"', hours=9)
    await flow.after(1)
    [root] = flow.channel.roots.values()
    assert root.mute is not None
    assert root.mute.kind is MuteKind.SILENCE
    for _ in range(8):
        await flow.after(3600)
    assert await flow.reasons(receipt.id) == ["first"]


async def test_an_ended_silence_mutes_nothing(flow: Flow) -> None:
    wanted = await silence(flow, 'namespace="shop"')
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(60)

    def end(connection: Connection) -> None:
        silences.end(connection, wanted, now=flow.clock.now)
        flow.muting.silence_ended(connection, wanted)

    await flow.database.write(end)
    flow.worker.wake()
    await flow.after(0)
    assert (await flow.reasons(receipt.id))[0] == "first"


async def test_the_end_of_what_was_told_is_told_although_it_is_silenced(flow: Flow) -> None:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await silence(flow, 'namespace="shop"')
    await flow.post(finding("api-1", gone=True))
    await flow.after(90)
    assert await flow.reasons(receipt.id) == ["first", "resolved"]


async def test_what_runs_on_a_dead_node_is_listed_under_it_and_told_if_it_outlives_it(
    flow: Flow,
) -> None:
    flow.cluster.facts[POD] = PodFacts(node="n1")
    child = await flow.post(finding("api-1", CRASH))
    parent = await flow.post(stated("Node", "n1", NODE_DOWN, namespace=""))
    await flow.after(10)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert root.id == parent.id
    assert [one.id for one in root.followers] == [child.id]
    asked = flow.model.asked
    incident = await flow.incident(child.id)
    assert incident.mute == Mute(
        MuteKind.INCIDENT,
        parent.id,
        "follows from Node n1, which is not ready: all its pods that were looked at are there",
    )
    await flow.post(replace(stated("Node", "n1", namespace=""), gone=True))
    await flow.after(90)
    assert (await flow.incident(parent.id)).state is State.RESOLVED
    assert len(flow.channel.roots) == 1
    await flow.after(120)
    assert (await flow.reasons(child.id))[0] == "first"
    assert flow.model.asked > asked


async def test_what_was_told_before_its_parent_was_known_says_what_it_follows_from(
    flow: Flow,
) -> None:
    flow.cluster.facts[POD] = PodFacts(node="n1")
    child = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert await flow.reasons(child.id) == ["first"]
    await flow.post(stated("Node", "n1", NODE_DOWN, namespace=""))
    await flow.after(10)
    [said] = [one for one in flow.channel.roots.values() if one.id == child.id]
    assert said.mute is not None
    assert said.mute.because.startswith("follows from Node n1")
    for _ in range(5):
        await flow.after(3600)
    assert "repeat" not in await flow.reasons(child.id)


async def test_a_node_that_is_away_again_explains_what_began_with_it_and_nothing_older(
    flow: Flow,
) -> None:
    other = ObjectRef("Pod", "web-1", "shop")
    flow.cluster.facts[POD] = flow.cluster.facts[other] = PodFacts(node="n1")
    node = await flow.post(stated("Node", "n1", NODE_DOWN, namespace=""))
    await flow.after(10)
    await flow.post(replace(stated("Node", "n1", namespace=""), gone=True))
    await flow.after(90)
    older = await flow.post(finding("web-1", CRASH))
    await flow.after(3600)
    child = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert await flow.reasons(child.id) == ["first"]
    again = await flow.post(stated("Node", "n1", NODE_DOWN, namespace=""))
    assert again.id == node.id
    await flow.after(20)
    followers = (await flow.incident(node.id)).followers
    assert [one.id for one in followers] == [child.id]
    await flow.after(3600)
    assert (await flow.incident(older.id)).mute is None


async def test_a_parent_that_is_gone_from_the_store_mutes_nothing_for_long(flow: Flow) -> None:
    flow.cluster.facts[POD] = PodFacts(node="n1")
    child = await flow.post(finding("api-1", CRASH))
    await flow.post(stated("Node", "n1", NODE_DOWN, namespace=""))
    await flow.after(10)
    await flow.post(stated("Node", "n1", NODE_DOWN, namespace=""), force=True)
    for _ in range(2):
        await flow.after(600)
    incident = await flow.incident(child.id)
    assert incident.mute is not None
    parent = await flow.incident(incident.mute.by)
    assert parent.state is State.OPEN


async def test_a_node_is_a_parent_however_many_others_could_be(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_PARENTS", 1)
    claim = stated("PersistentVolumeClaim", "data", 'storageclass.storage.k8s.io "fast" not found')
    told = await flow.post(claim)
    waits = await flow.post(replace(claim, object=ObjectRef("PersistentVolumeClaim", "x", "bank")))
    await flow.after(10)
    flow.cluster.facts[POD] = PodFacts(node="n1")
    node = await flow.post(stated("Node", "n1", NODE_DOWN, namespace=""))
    child = await flow.post(finding("api-1", CRASH))
    await flow.after(60)
    mute = (await flow.incident(child.id)).mute
    assert mute is not None
    assert mute.by == node.id
    assert {one.id for one in flow.channel.roots.values()} == {told.id, node.id}
    assert (await flow.incident(waits.id)).mute is not None


async def test_when_the_one_that_spoke_for_others_is_silenced_the_next_speaks(flow: Flow) -> None:
    text = (
        'pods "x-" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=9, limited: '
        "pods=9"
    )
    first = await flow.post(stated("ReplicaSet", "a-66959989c5", text))
    await flow.after(10)
    second = await flow.post(stated("ReplicaSet", "b-66959989c5", text))
    await flow.after(60)
    assert {one.id for one in flow.channel.roots.values()} == {first.id}
    await silence(flow, 'name="a"')
    await flow.after(1)
    await flow.after(1)
    assert {one.id for one in flow.channel.roots.values()} == {first.id, second.id}
