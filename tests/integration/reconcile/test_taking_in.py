"""What the cluster's Results say is what incidents say, whatever was lost on the way."""

import json
from datetime import timedelta

import pytest

from aegis_sink.cluster.health import Health
from aegis_sink.dialects.table import read
from aegis_sink.flow.reconciler import LIST_GRACE, NotListed
from aegis_sink.flow.replay import Replay
from aegis_sink.flow.resolving import HIDDEN_LIMIT, RECHECK, UNREAD_LIMIT, VANISHED_LIMIT
from aegis_sink.model import NoticeReason, ObjectRef, Severity, State
from aegis_sink.store import incidents, listing
from aegis_sink.store.decisions import HELD, decisions_of
from aegis_sink.store.listing import Filter
from tests.fakes.results_api import result
from tests.integration.flow.conftest import GROUP_WAIT, HOLD, START
from tests.integration.reconcile.conftest import Sink, until

WAIT = GROUP_WAIT.total_seconds()
HOLD_SECONDS = HOLD.total_seconds()
CRASH = "the last termination reason is Error container=api pod=api-1"
IMAGE = "Back-off pulling image shop/api:2"


async def all_of(sink: Sink) -> dict[str, str]:
    """Title → state of every incident."""
    page = await sink.flow.database.read(lambda c: listing.page(c, Filter(limit=500)))
    return {one.title: str(one.state) for one in page.incidents}


async def states(sink: Sink) -> list[str]:
    return sorted((await all_of(sink)).values())


async def history(sink: Sink) -> list[str]:
    page = await sink.flow.database.read(lambda c: listing.page(c, Filter(limit=500)))
    found = [await sink.flow.incident(one.id) for one in page.incidents]
    return [entry.what for one in found for entry in one.history]


def slack(pod: str, k8sgpt: str = "main") -> bytes:
    title = f">*[{k8sgpt}] K8sGPT analysis of the Pod shop/{pod}*"
    return json.dumps({"text": title, "attachments": [{"type": "mrkdwn", "text": ""}]}).encode()


async def posted(sink: Sink, body: bytes) -> None:
    await sink.flow.door.post(body, read(body, cluster="east"), door="webhook")
    await sink.flow.door.sorting.settle()


async def test_a_result_whose_post_was_lost_is_told(sink: Sink) -> None:
    sink.start()
    await sink.watched()
    sink.api.put(result("shop/api-1", CRASH))
    await sink.seen()
    await sink.after(WAIT)
    assert sink.messages == ["open"]


async def test_an_incident_that_no_post_made_can_be_replayed(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.watched()
    await sink.seen()
    page = await sink.flow.database.read(lambda c: listing.page(c, Filter(limit=5)))
    [old] = page.incidents
    [receipt] = await Replay(sink.flow.database, sink.flow.door, "east").incident(old.id)
    [new] = [await sink.flow.incident(item.incident_id) for item in receipt.items]
    assert (new.id != old.id, new.fingerprint, new.title) == (True, old.fingerprint, old.title)


async def test_a_result_that_says_the_same_is_no_new_occurrence(sink: Sink) -> None:
    one = result("shop/api-1", CRASH)
    sink.api.put(one)
    sink.start()
    await sink.seen()
    [first] = sink.flow.channel.roots.values() or [None]
    await sink.after(WAIT)
    sink.api.put({**one, "status": {"webhook": "http://sink", "lifecycle": "historical"}})
    await sink.seen()
    await sink.restart()
    await sink.seen()
    [told] = sink.flow.channel.roots.values()
    assert (await sink.flow.incident(told.id)).occurrences == 1
    bodies = await sink.flow.database.read(lambda c: incidents.bodies(c, told.id))
    assert len(bodies) == 1
    assert first is None


async def test_what_was_told_by_the_webhook_is_not_told_again(sink: Sink) -> None:
    sink.flow.cluster.errors[ObjectRef("Pod", "api-1", "shop")] = (CRASH,)
    await posted(sink, slack("api-1"))
    await sink.after(WAIT)
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    assert sink.messages == ["open"]
    assert await states(sink) == ["open"]
    assert sink.flow.model.asked == 1


async def test_a_post_after_its_result_joins_its_incident(sink: Sink) -> None:
    sink.flow.cluster.errors[ObjectRef("Pod", "api-1", "shop")] = (CRASH,)
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await posted(sink, slack("api-1"))
    await sink.after(WAIT)
    await posted(sink, slack("api-1"))
    await sink.after(WAIT)
    assert sink.messages == ["open"]


async def test_an_end_is_told_once_after_the_hold(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete()
    await sink.seen()
    await sink.after(HOLD_SECONDS - 1)
    assert sink.messages == ["open"]
    await sink.after(1)
    assert sink.messages == ["resolved"]
    await sink.after(3600)
    assert sink.flow.channel.replies.count(NoticeReason.RESOLVED) == 1


async def test_a_pod_that_was_replaced_is_no_object_of_the_incident_any_more(sink: Sink) -> None:
    first, second = "shop/api-7c5ddbdf54-x7k2p", "shop/api-7c5ddbdf54-q9d8w"
    old = result(first, CRASH)
    sink.api.put(old)
    sink.start()
    await sink.seen()
    sink.api.put(result(second, CRASH))
    sink.api.delete(old["metadata"]["name"])
    await sink.seen()
    await sink.after(WAIT)
    page = await sink.flow.database.read(lambda c: listing.page(c, Filter()))
    [incident] = page.incidents
    assert [str(ref) for ref in incident.objects] == [f"Pod {second}"]


async def test_what_is_over_lists_what_showed_it_last_and_all_that_showed_it_is_judged(
    sink: Sink,
) -> None:
    first, second = "shop/api-7c5ddbdf54-x7k2p", "shop/api-7c5ddbdf54-q9d8w"
    old, new = result(first, CRASH), result(second, CRASH)
    sink.api.put(old)
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.put(new)
    sink.api.delete(old["metadata"]["name"])
    await sink.seen()
    await sink.after(60)
    sink.flow.cluster.looks[ObjectRef("Pod", first.partition("/")[2], "shop")] = Health.ILL
    sink.api.delete(new["metadata"]["name"])
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    [root] = sink.flow.channel.roots.values()
    assert (await sink.flow.incident(root.id)).state is State.OPEN
    sink.flow.cluster.looks.clear()
    await sink.after(300)
    over = await sink.flow.incident(root.id)
    assert over.state is State.RESOLVED
    assert [str(ref) for ref in over.objects] == [f"Pod {second}"]


async def test_deleted_and_back_within_the_hold_nobody_hears_of_it(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    told = list(sink.flow.channel.replies)
    sink.api.delete()
    await sink.seen()
    await sink.after(HOLD_SECONDS / 2)
    sink.api.put(result("shop/api-1", CRASH))  # with another uid
    await sink.seen()
    await sink.after(HOLD_SECONDS * 2)
    assert sink.messages == ["open"]
    assert sink.flow.channel.replies == told


async def test_each_hold_is_a_decision_of_its_own(sink: Sink) -> None:
    sink.start()
    for _ in range(2):
        sink.api.put(result("shop/api-1", CRASH))
        await sink.seen()
        await sink.after(WAIT)
        sink.api.delete()
        await sink.seen()
    page = await sink.flow.database.read(lambda c: listing.page(c, Filter()))
    (incident,) = page.incidents
    decided = await sink.flow.database.read(lambda c: decisions_of(c, incident.id))
    first, second = (one for one in decided if one.what == HELD)
    assert second.at >= first.at + timedelta(seconds=WAIT)
    assert second.wait_until == second.at + timedelta(seconds=HOLD_SECONDS)


async def test_a_hold_that_goes_on_is_one_decision_with_the_time_of_the_next_look(
    sink: Sink,
) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    sink.flow.cluster.looks[ObjectRef("Pod", "api-1", "shop")] = Health.ILL
    sink.api.delete()
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    for _ in range(3):
        await sink.after(RECHECK.total_seconds())
    page = await sink.flow.database.read(lambda c: listing.page(c, Filter()))
    (incident,) = page.incidents
    decided = await sink.flow.database.read(lambda c: decisions_of(c, incident.id))
    _, ill = (one for one in decided if one.what == HELD)
    assert ill.because == "Pod shop/api-1 does not look well"
    assert ill.wait_until == sink.flow.clock.now + RECHECK


async def test_back_later_it_is_reopened_in_the_same_thread(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete()
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    assert sink.messages == ["resolved"]
    sink.api.put(result("shop/api-1", CRASH))
    await sink.seen()
    await sink.after(WAIT)
    assert sink.messages == ["open"]
    assert sink.flow.channel.replies.count(NoticeReason.REOPENED) == 1


async def test_an_object_that_still_looks_ill_keeps_its_incident_open(sink: Sink) -> None:
    ref = ObjectRef("Pod", "api-1", "shop")
    sink.flow.cluster.looks[ref] = Health.ILL
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete()
    await sink.seen()
    for _ in range(3):
        await sink.after(HOLD_SECONDS)
        await sink.after(300)
    assert sink.messages == ["open"]
    assert (await history(sink)).count("still ill") == 1
    sink.flow.cluster.looks[ref] = Health.WELL
    await sink.after(300)
    assert sink.messages == ["resolved"]


async def test_an_object_that_may_not_be_read_is_not_taken_for_well(sink: Sink) -> None:
    api, web = (ObjectRef("Pod", name, "shop") for name in ("api-1", "web-1"))
    sink.flow.cluster.looks = {api: Health.UNREAD, web: Health.UNREAD}
    sink.api.put(*(result(f"shop/{name}", CRASH) for name in ("api-1", "web-1", "stays-1")))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete("shopapi1", "shopweb1")
    await sink.seen()
    await sink.after(HOLD_SECONDS * 2)
    assert await states(sink) == ["open", "open", "open"]
    # The right is given, and one is seen to be well; the other is never seen.
    sink.flow.cluster.looks[api] = Health.WELL
    await sink.after(RECHECK.total_seconds())
    assert sorted(await states(sink)) == ["open", "open", "resolved"]
    await sink.after(UNREAD_LIMIT.total_seconds())
    assert sorted(await states(sink)) == ["open", "resolved", "resolved"]


async def test_an_end_waits_for_an_api_server_that_is_away(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete()
    await sink.seen()
    sink.flow.cluster.away = True
    await sink.after(HOLD_SECONDS)
    assert sink.messages == ["open"]
    sink.flow.cluster.away = False
    await sink.after(3600)
    assert sink.messages == ["resolved"]


async def test_all_results_of_a_cr_vanishing_at_once_resolve_nothing(sink: Sink) -> None:
    sink.api.put(*(result(f"shop/{name}", CRASH, kind="Deployment") for name in ("a", "b", "c")))
    sink.api.put(result("shop/other", CRASH, kind="Deployment", k8sgpt="second"))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete("shopa", "shopb", "shopc")
    await sink.seen()
    await sink.after(HOLD_SECONDS * 3)
    assert sink.messages == ["open"] * 4
    assert (await history(sink)).count("held") == 3
    assert "all Results of K8sGPT CR main vanished at once, 3 incidents" in sink.reconciler.status()
    # The next analysis works again, and one problem is really over.
    sink.api.put(*(result(f"shop/{name}", CRASH, kind="Deployment") for name in ("a", "b")))
    await sink.seen()
    assert "vanished" not in sink.reconciler.status()
    await sink.after(HOLD_SECONDS)
    assert sorted(sink.messages) == ["open", "open", "open", "resolved"]


async def test_a_cr_of_the_same_name_in_another_namespace_says_nothing_of_what_vanished(
    sink: Sink,
) -> None:
    for namespace, names in (("team-a", "abc"), ("team-b", "xyz")):
        sink.api.put(
            *(
                result(f"shop/{name}", CRASH, kind="Deployment", namespace=namespace)
                for name in names
            )
        )
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete("shopx", namespace="team-b")  # it was repaired
    sink.api.delete(namespace="team-a")
    sink.api.put(result("shop/new", IMAGE, kind="Deployment", namespace="team-b"))
    await sink.seen()
    await sink.after(HOLD_SECONDS * 3)
    found = await all_of(sink)
    ended = [title for title, state in found.items() if state == "resolved"]
    assert ended == ["Deployment shop/x: container api keeps crashing"]
    assert "3 incidents are held open (the CR's namespace: team-a)" in sink.reconciler.status()


async def test_what_vanished_is_resolved_after_the_limit_when_its_object_looks_well(
    sink: Sink,
) -> None:
    ill = ObjectRef("Deployment", "a", "shop")
    sink.flow.cluster.looks[ill] = Health.ILL
    sink.api.put(*(result(f"shop/{name}", CRASH, kind="Deployment") for name in ("a", "b")))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.delete()
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    assert await states(sink) == ["open", "open"]
    await sink.after(VANISHED_LIMIT.total_seconds())
    assert await states(sink) == ["open", "resolved"]


async def test_all_vanishing_while_the_sink_was_down_is_held_too(sink: Sink) -> None:
    sink.api.put(*(result(f"shop/{name}", CRASH, kind="Deployment") for name in ("a", "b", "c")))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    await sink.restart(while_down=sink.api.delete)
    await sink.seen()
    await sink.after(HOLD_SECONDS * 2)
    assert await states(sink) == ["open"] * 3


async def test_a_renamed_cr_says_nothing_new(sink: Sink) -> None:
    names = ("a", "b", "c")
    sink.api.put(*(result(f"shop/{name}", CRASH, kind="Deployment") for name in names))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    told = list(sink.flow.channel.replies)
    sink.api.delete()
    await sink.seen()
    sink.api.put(
        *(result(f"shop/{name}", CRASH, kind="Deployment", k8sgpt="renamed") for name in names)
    )
    await sink.seen()
    await sink.after(VANISHED_LIMIT.total_seconds() * 2)
    assert sink.messages == ["open"] * 3
    assert sink.flow.channel.replies == told
    assert "vanished" not in sink.reconciler.status()


async def test_what_a_person_posted_is_not_ended_by_the_absence_of_a_result(sink: Sink) -> None:
    body = json.dumps(result("shop/by-hand", CRASH)).encode()
    await sink.flow.door.accept(body, read(body, cluster="east"), door="findings")
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(HOLD_SECONDS * 2)
    assert await states(sink) == ["open", "open"]


async def test_what_the_operator_posted_ends_when_its_result_went_while_the_sink_was_down(
    sink: Sink,
) -> None:
    sink.flow.cluster.errors[ObjectRef("Pod", "api-1", "shop")] = (CRASH,)
    sink.api.put(result("shop/other", IMAGE))
    await posted(sink, slack("api-1"))
    await posted(sink, slack("elsewhere-1", "another-cluster"))
    await sink.after(WAIT)
    sink.start()
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    assert await states(sink) == ["open", "open", "resolved"]


async def test_where_one_namespace_is_read_a_post_that_had_no_result_there_is_not_ended(
    sink: Sink,
) -> None:
    sink.reconciler.results.namespace = "k8sgpt"
    sink.api.put(result("shop/other", IMAGE), result("shop/api-1", CRASH))
    # A CR of the same name in a namespace that is not read posts here too.
    await posted(sink, slack("elsewhere-1"))
    await posted(sink, slack("api-1"))
    sink.start()
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    assert await states(sink) == ["open", "open", "open"]
    await sink.restart(while_down=lambda: sink.api.delete("shopapi1"))
    sink.reconciler.results.namespace = "k8sgpt"
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    assert await states(sink) == ["open", "open", "resolved"]


async def test_another_text_changes_the_incident_and_makes_no_second(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.put(result("shop/api-1", IMAGE, details="look at the tag"))
    await sink.seen()
    await sink.after(600)
    [told] = sink.flow.channel.roots.values()
    assert told.errors == (IMAGE,)
    assert told.details == "look at the tag"
    assert sink.messages == ["open"]
    sink.api.put(result("shop/api-1", CRASH))
    await sink.seen()
    await sink.after(600)
    assert await states(sink) == ["open"]


async def test_a_workload_that_gets_worse_in_the_same_words_is_told_to_be_down(sink: Sink) -> None:
    text = "Deployment shop/api has 3 replicas but {} are available with status running"
    sink.api.put(result("shop/api", text.format(1), kind="Deployment"))
    sink.start()
    await sink.watched()
    await sink.seen()
    await sink.after(WAIT)
    sink.api.put(result("shop/api", text.format(0), kind="Deployment"))
    await sink.seen()
    await sink.after(WAIT)
    [root] = sink.flow.channel.roots.values()
    assert root.severity is Severity.DOWN
    assert root.title == "Deployment shop/api has no replica available (wants 3)"


async def test_one_of_two_pods_that_fails_in_another_way_becomes_an_incident_of_its_own(
    sink: Sink,
) -> None:
    for pod in ("api-6d5f-aaaaa", "api-6d5f-bbbbb"):
        above = ObjectRef("Deployment", "api", "shop")
        sink.flow.cluster.above[ObjectRef("Pod", pod, "shop")] = above
    sink.api.put(result("shop/api-6d5f-aaaaa", CRASH), result("shop/api-6d5f-bbbbb", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    assert await states(sink) == ["open"]
    sink.api.put(result("shop/api-6d5f-bbbbb", IMAGE))
    await sink.seen()
    await sink.after(WAIT)
    assert await states(sink) == ["open", "open"]
    sink.api.delete("shopapi6d5faaaaa")
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    assert await states(sink) == ["open", "resolved"]


async def test_two_kinds_that_take_turns_in_one_result_do_not_flap(sink: Sink) -> None:
    deployment = result("shop/api", "Deployment has 0 of 1 replicas", kind="Deployment")
    service = result("shop/api", "Service has no endpoints", kind="Service")
    for kind in ("Deployment", "Service"):
        sink.flow.cluster.looks[ObjectRef(kind, "api", "shop")] = Health.ILL
    sink.start()
    for _ in range(4):
        for one in (deployment, service):
            sink.api.put(one)
            await sink.seen()
            await sink.after(HOLD_SECONDS * 2)
    assert await states(sink) == ["open", "open"]
    assert {str(r) for r in sink.flow.channel.replies} <= {"first", "diagnosed"}
    assert len(sink.messages) == 2
    assert (await history(sink)).count("hidden") <= 2
    # The Deployment was repaired; its Result speaks of the Service ever since.
    sink.flow.cluster.looks[ObjectRef("Deployment", "api", "shop")] = Health.WELL
    await sink.after(600)
    assert await states(sink) == ["open", "resolved"]


async def test_what_takes_turns_in_one_incident_stays_in_it_until_it_is_never_seen_again(
    sink: Sink,
) -> None:
    available = "Deployment shop/api has 1 replicas but 0 are available with status running"
    deployment = result("shop/api", available, kind="Deployment")
    service = result("shop/api", "Service has not ready endpoints, pods: [Pod/api-1], expected 1",
                     kind="Service")  # fmt: skip
    above = ObjectRef("Deployment", "api", "shop")
    sink.flow.cluster.above[ObjectRef("Service", "api", "shop")] = above
    sink.api.put(result("shop/api-1", CRASH))
    sink.flow.cluster.above[ObjectRef("Pod", "api-1", "shop")] = above
    sink.start()
    objects = []
    for one in (service, deployment, service, deployment, service):
        sink.api.put(one)
        await sink.seen()
        await sink.after(HOLD_SECONDS)
        page = await sink.flow.database.read(lambda c: listing.page(c, Filter()))
        objects.append({ref.kind for one in page.incidents for ref in one.objects})
    both = {"Pod", "Service", "Deployment"}
    assert objects == [{"Pod", "Service"}, both, both, both, both]
    await sink.after(HIDDEN_LIMIT.total_seconds())
    await sink.seen()
    page = await sink.flow.database.read(lambda c: listing.page(c, Filter()))
    assert {ref.kind for one in page.incidents for ref in one.objects} == {"Pod", "Service"}


async def test_results_of_one_name_in_several_namespaces_end_when_the_last_goes(
    sink: Sink,
) -> None:
    sink.api.put(result("shop/api-1", CRASH), result("shop/api-1", CRASH, namespace="team"))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    assert sink.messages == ["open"]
    sink.api.delete(namespace="team")
    await sink.seen()
    await sink.after(HOLD_SECONDS * 2)
    assert sink.messages == ["open"]
    sink.api.delete()
    await sink.seen()
    await sink.after(HOLD_SECONDS)
    assert sink.messages == ["resolved"]


async def test_killed_in_the_middle_of_a_list_it_misses_nothing_and_doubles_nothing(
    sink: Sink,
) -> None:
    sink.api.put(*(result(f"shop/api-{n}", f"{CRASH} {n}", kind="Service") for n in range(40)))
    sink.api.page = 10
    pages: list[int] = []
    sink.api.before_page = pages.append
    sink.start()
    await until(lambda: 20 in pages)
    await sink.restart()
    await sink.seen()
    await sink.after(WAIT)
    assert await states(sink) == ["open"] * 40


async def test_many_deleted_at_once_wait_until_the_fall_has_ended(sink: Sink) -> None:
    sink.api.put(*(result(f"shop/api-{n}", f"{CRASH} {n}", kind="Service") for n in range(30)))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    # An operator deletes one after the other; the first are older than the hold at the end.
    sink.api.delete(*(f"shopapi{n}" for n in range(12)))
    await sink.seen()
    await sink.after(HOLD_SECONDS - 10)
    sink.api.delete(*(f"shopapi{n}" for n in range(12, 25)))
    await sink.seen()
    await sink.after(20)
    sink.api.delete()
    await sink.seen()
    await sink.after(HOLD_SECONDS * 2)
    assert "resolved" not in await states(sink)


async def test_a_resolved_incident_whose_result_stays_is_left_alone(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH))
    sink.start()
    await sink.seen()
    await sink.after(WAIT)
    [told] = sink.flow.channel.roots.values()
    await sink.flow.database.write(
        lambda c: incidents.set_state(
            c, told.id, State.RESOLVED, at=START + timedelta(minutes=1), what="resolved"
        )
    )
    await sink.seen()
    await sink.restart()
    await sink.seen()
    await sink.after(WAIT)
    assert await states(sink) == ["resolved"]


async def test_who_asks_for_a_list_hears_what_was_found_or_why_not(sink: Sink) -> None:
    sink.api.put(result("shop/api-1", CRASH), result("shop/api-2", IMAGE))
    report = await sink.reconciler.look()
    assert (report.new, report.known, report.gone) == (2, 0, 0)
    sink.api.delete("shopapi1")
    report = await sink.reconciler.look()
    assert (report.new, report.known, report.gone) == (0, 1, 1)
    sink.api.allowed = False
    with pytest.raises(NotListed, match=r'resources: \["results"\], verbs: \["list"\]'):
        await sink.reconciler.look()


async def test_with_the_right_to_list_but_not_to_watch_the_lists_tell_and_one_line_says_so(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.api.watch_allowed = False
    sink.start()
    await until(lambda: sink.api.lists >= 3)
    sink.api.put(result("shop/api-1", CRASH))
    await sink.seen()
    assert (await states(sink)) == ["open"]
    await until(lambda: sink.reconciler.unwatched)
    assert sink.reconciler.status().startswith("not watched: not allowed to watch results; ")
    assert sink.reconciler.status().endswith('verbs: ["watch"]}, 1 Results, listed 0 s ago')
    said = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    sink.api.watch_allowed = True
    await sink.watched()
    await until(lambda: sink.reconciler.status().startswith("watched"))


@pytest.mark.parametrize(
    "odd",
    [
        {"spec": None},
        {"spec": {"kind": "Pod"}},
        {"spec": {"kind": "Pod", "name": "/"}},
        {"spec": {"kind": "Pod", "name": "shop/odd", "error": 5}},
        {"spec": {"kind": "Pod", "name": "shop/odd", "error": [5]}},
        {"spec": {"kind": "Pod", "name": "shop/odd", "error": [{"text": 5}]}},
        {"spec": {"kind": "Pod", "name": "shop/odd", "details": ["a"]}},
        {"metadata": {"name": "odd", "namespace": "k8sgpt", "labels": "none"}},
        {"metadata": {"name": "odd", "namespace": "k8sgpt", "ownerReferences": ["main"]}},
    ],
    ids=json.dumps,
)
async def test_a_result_that_cannot_be_understood_stops_no_other(
    sink: Sink, odd: dict[str, object]
) -> None:
    sink.api.put({**result("shop/odd", CRASH), **odd}, result("shop/api-1", IMAGE))
    report = await sink.reconciler.look()
    assert (report.new, report.unreadable) == (1, 1)


@pytest.mark.parametrize(
    "odd",
    [
        {"error": None},
        {"error": [{}, {"text": None}]},
        {"details": None},
        {"details": "half a pair: \ud800"},
        {"name": "no-slash"},
        {"name": "Shop/UPPER"},
        {"kind": "A Kind Of Its Own"},
        {"targetRef": "what is not known is not read"},
    ],
    ids=json.dumps,
)
async def test_a_result_with_what_nobody_expected_is_told_all_the_same(
    sink: Sink, odd: dict[str, object]
) -> None:
    one = result("shop/odd")
    sink.api.put({**one, "spec": {**one["spec"], **odd}})
    assert (await sink.reconciler.look()).new == 1
    assert (await sink.reconciler.look()).known == 1


async def test_results_are_said_to_be_read_while_they_are(sink: Sink) -> None:
    assert not sink.reconciler.reads
    sink.start()
    await sink.seen()
    assert sink.reconciler.reads
    for name, ill in (("installed", False), ("allowed", False), ("away", (503, ""))):
        well = getattr(sink.api, name)
        setattr(sink.api, name, ill)
        sink.api.cut()
        await until(lambda: not sink.reconciler.reads)
        setattr(sink.api, name, well)
        await until(lambda: sink.reconciler.reads)
    sink.api.watch_allowed = False  # they are listed again and again
    sink.api.cut()
    await until(lambda: sink.reconciler.unwatched)
    assert sink.reconciler.reads


async def test_results_whose_next_list_does_not_come_are_not_said_to_be_read(sink: Sink) -> None:
    sink.start()
    await sink.seen()
    await sink.after(sink.pace.resync * 1.1)
    assert sink.reconciler.reads
    await sink.after(LIST_GRACE.total_seconds() + 1)
    assert not sink.reconciler.reads
    assert "listed 4261 s ago, and not whole since: the log says why" in sink.reconciler.status()
    await sink.seen()
    assert sink.reconciler.reads
    assert sink.reconciler.status() == "watched, 0 Results, listed 0 s ago"
