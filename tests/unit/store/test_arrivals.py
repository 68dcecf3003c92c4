"""What arrives: which incident it is, how often it was seen, and when it is over."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select

from aegis_sink.model import Collected, Diagnosis, Incident, State, Verdict
from aegis_sink.store import incidents, jobs, listing, merging, notices, tables
from aegis_sink.store.accept import Accepted, Arrival, accept
from aegis_sink.store.database import Database

POD_A, POD_B = "Pod shop/api-6f9d7c5b48-x2lqk", "Pod shop/api-6f9d7c5b48-b7wkd"
Arrive = Callable[..., Arrival]


async def put(database: Database, *arrivals: Arrival) -> list[tuple[Accepted, ...]]:
    return await database.write(lambda c: accept(c, arrivals))


async def gone_at(database: Database, accepted: Accepted) -> datetime | None:
    found = await database.read(lambda c: incidents.get(c, accepted.incident_id))
    assert found is not None
    return found.gone_at


async def test_pods_of_one_deployment_are_one_incident(database: Database, arrive: Arrive) -> None:
    [[a], [b]] = await put(database, arrive(POD_A), arrive(POD_B))
    assert (a.created, b.created, b.incident_id) == (True, False, a.incident_id)
    found = await database.read(lambda c: incidents.get(c, a.incident_id))
    assert found is not None
    assert [str(ref) for ref in found.objects] == [POD_A, POD_B]
    assert found.occurrences == 2


async def test_the_same_again_is_a_duplicate_that_counts(
    database: Database, arrive: Arrive
) -> None:
    [[first]] = await put(database, arrive(POD_A))
    [[again], [third]] = await put(database, arrive(POD_A, at=1), arrive(POD_A, at=2))
    assert [first.duplicate, again.duplicate, third.duplicate] == [False, True, True]
    found = await database.read(lambda c: incidents.get(c, first.incident_id))
    assert found is not None
    assert found.occurrences == 3


async def test_a_body_that_shows_and_ends_a_problem_leaves_it_ended(
    database: Database, arrive: Arrive
) -> None:
    [[shown], [ended]] = await put(database, arrive(POD_A), arrive(POD_A, at=1, gone=True))
    assert ended.incident_id == shown.incident_id
    at = await gone_at(database, shown)
    assert at is not None
    assert jobs.RESOLVE in await database.read(lambda c: jobs.pending(c, shown.incident_id))


async def test_what_is_seen_again_after_its_end_is_not_gone(
    database: Database, arrive: Arrive
) -> None:
    [[shown], _, _] = await put(
        database, arrive(POD_A), arrive(POD_A, at=1, gone=True), arrive(POD_A, at=2)
    )
    assert await gone_at(database, shown) is None


async def test_an_incident_is_gone_only_when_the_last_of_its_objects_is(
    database: Database, arrive: Arrive
) -> None:
    [[shown], _] = await put(database, arrive(POD_A), arrive(POD_B))
    await put(database, arrive(POD_A, at=1, gone=True))
    assert await gone_at(database, shown) is None
    await put(database, arrive(POD_B, at=2, gone=True))
    assert await gone_at(database, shown) is not None


async def test_the_end_of_something_unknown_is_no_incident(
    database: Database, arrive: Arrive
) -> None:
    [[ended]] = await put(database, arrive(POD_A, gone=True))
    assert ended == Accepted("", created=False, duplicate=True)
    assert await database.read(listing.counts) == {}


async def test_a_forced_body_makes_one_new_incident_for_all_its_pods(
    database: Database, arrive: Arrive
) -> None:
    [[old]] = await put(database, arrive(POD_A))
    [[a, b]] = await put(database, arrive(POD_A, POD_B, at=1, force=True))
    assert a.incident_id == b.incident_id != old.incident_id
    before = await database.read(lambda c: incidents.get(c, old.incident_id))
    assert before is not None
    assert (before.state, before.superseded_by) == (State.RESOLVED, a.incident_id)


async def test_a_superseded_incident_is_never_opened_again(
    database: Database, arrive: Arrive
) -> None:
    [[old]] = await put(database, arrive(POD_A))
    identity = merging.Identity(
        (await _get(database, old)).subject,
        "",
        "it fails",
        "final",
        (await _get(database, old)).severity,
        "t",
    )
    await database.write(lambda c: merging.identify(c, old.incident_id, identity))
    [[new]] = await put(database, arrive(POD_A, at=1, force=True))
    keys = tables.incident_keys.c
    left = select(keys.key).where(keys.incident_id == old.incident_id)
    assert await database.read(lambda c: c.execute(left).all()) == []
    assert (
        await database.write(lambda c: merging.identify(c, new.incident_id, identity))
        == new.incident_id
    )
    [[again]] = await put(database, arrive(POD_A, at=2))
    assert again.incident_id == new.incident_id
    assert (await _get(database, old)).state is State.RESOLVED


async def test_an_incident_replayed_while_it_is_looked_at_does_not_take_the_new_one_in(
    database: Database, arrive: Arrive
) -> None:
    [[old]] = await put(database, arrive(POD_A))
    seen = await _get(database, old)
    identity = merging.Identity(seen.subject, "", "it fails", seen.fingerprint, seen.severity, "t")
    [[new]] = await put(database, arrive(POD_A, at=1, force=True))
    # The stage that began before the replay ends after it.
    assert await database.write(lambda c: merging.identify(c, old.incident_id, identity)) is None
    assert (await _get(database, old)).superseded_by == new.incident_id
    assert (await _get(database, new)).state is State.OPEN


async def test_a_resolved_problem_that_comes_back_is_opened_again(
    database: Database, arrive: Arrive
) -> None:
    [[one]] = await put(database, arrive(POD_A))
    at = arrive(POD_A).received_at
    await database.write(
        lambda c: incidents.set_state(c, one.incident_id, State.RESOLVED, at=at, what="resolved")
    )
    [[again]] = await put(database, arrive(POD_A, at=3))
    assert (again.incident_id, again.created, again.duplicate) == (one.incident_id, False, False)
    found = await _get(database, one)
    assert (found.state, found.resolved_at) == (State.OPEN, None)


@pytest.mark.parametrize("told", ["neither", "young", "old"])
async def test_two_that_turn_out_to_be_one_become_one_under_the_id_people_know(
    told: str, database: Database, arrive: Arrive
) -> None:
    [[old], [young], _] = await put(
        database,
        arrive("Pod shop/api-x"),
        arrive("Pod shop/other-y", at=1),
        arrive("Pod shop/other-y", at=2),
    )
    now = arrive(POD_A).received_at
    if told != "neither":
        known = old if told == "old" else young
        assert await database.write(
            lambda c: notices.intend_root(c, known.incident_id, "nonce", channel="", now=now)
        )
    seen = await _get(database, old)
    identity = merging.Identity(seen.subject, "", "it fails", "final", seen.severity, "t")
    await database.write(lambda c: merging.identify(c, old.incident_id, identity))
    living = await database.write(lambda c: merging.identify(c, young.incident_id, identity))
    assert living == (young.incident_id if told == "young" else old.incident_id)
    gone = old.incident_id if told == "young" else young.incident_id
    one = await database.read(lambda c: incidents.get(c, gone))
    assert one is not None
    assert (one.id, one.occurrences, len(one.objects)) == (living, 3, 2)
    # Whoever was about to tell the other one must not.
    assert not await database.write(
        lambda c: notices.intend_root(c, gone, "second", channel="", now=now)
    )
    [[again]] = await put(database, arrive("Pod shop/other-y", at=5))
    assert again.incident_id == living


async def _get(database: Database, one: Accepted) -> Incident:
    found = await database.read(lambda c: incidents.get(c, one.incident_id))
    assert found is not None
    return found


async def test_a_diagnosis_of_evidence_that_was_replaced_is_not_stored(
    database: Database, arrive: Arrive
) -> None:
    [[one]] = await put(database, arrive(POD_A))
    now = arrive(POD_A).received_at
    diagnosis = Diagnosis(Verdict.LIKELY, "why", 0.5)
    store = incidents.store_collected
    await database.write(
        lambda c: store(c, one.incident_id, Collected(), diagnosis, now=now, diagnosing=True)
    )
    end = incidents.store_diagnosis
    assert not await database.write(lambda c: end(c, one.incident_id, diagnosis, of=None))
    assert (await _get(database, one)).diagnosing
    assert await database.write(lambda c: end(c, one.incident_id, diagnosis, of=now))
    assert not (await _get(database, one)).diagnosing


async def test_merging_the_same_finding_keeps_one_with_the_later_time(
    database: Database, arrive: Arrive
) -> None:
    [[old], [young]] = await put(
        database, arrive("Pod shop/api-x"), arrive("Pod shop/other-y", at=7)
    )
    [first] = await database.read(lambda c: incidents.findings_of(c, old.incident_id))
    [second] = await database.read(lambda c: incidents.findings_of(c, young.incident_id))
    f = tables.findings
    same = select(f.c.content_key).where(f.c.id == first.id).scalar_subquery()
    await database.write(
        lambda c: c.execute(f.update().where(f.c.id == second.id).values(content_key=same))
    )
    seen = await _get(database, old)
    identity = merging.Identity(seen.subject, "", "it fails", "final", seen.severity, "t")
    await database.write(lambda c: merging.identify(c, old.incident_id, identity))
    await database.write(lambda c: merging.identify(c, young.incident_id, identity))
    [kept] = await database.read(lambda c: incidents.findings_of(c, old.incident_id))
    assert (kept.times, kept.last_seen) == (2, second.last_seen)


async def test_what_another_k8sgpt_still_reports_is_not_gone(
    database: Database, arrive: Arrive
) -> None:
    [[one], [other]] = await put(
        database, arrive(POD_A, k8sgpt="east"), arrive(POD_A, k8sgpt="west", at=1)
    )
    assert one.incident_id == other.incident_id
    await put(database, arrive(POD_A, k8sgpt="east", gone=True, at=2))
    assert await gone_at(database, one) is None
    await put(database, arrive(POD_A, k8sgpt="west", gone=True, at=3))
    assert await gone_at(database, one) is not None


async def test_a_body_that_came_many_times_counts_as_often(
    database: Database, arrive: Arrive
) -> None:
    one = arrive(POD_A)
    last = one.received_at + timedelta(seconds=9)
    [[made]] = await put(database, replace(one, times=4, last_received_at=last))
    [[again]] = await put(database, arrive(POD_A, at=10))
    found = await _get(database, made)
    assert (again.duplicate, found.occurrences) == (True, 5)
    assert (found.first_seen, found.last_seen) == (one.received_at, last + timedelta(seconds=1))
    [finding] = await database.read(lambda c: incidents.findings_of(c, made.incident_id))
    assert finding.times == 5


async def test_taking_in_what_is_known_goes_through_no_table(
    database: Database, arrive: Arrive
) -> None:
    await put(database, arrive(POD_A), arrive(POD_B))
    asked: list[tuple[str, tuple[object, ...]]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, sql: str, values: tuple[object, ...], *_: object) -> None:
        if sql.startswith("SELECT"):
            asked.append((sql, values))

    await put(database, arrive(POD_A, at=1), arrive(POD_B, at=1))
    event.remove(database.engine, "before_cursor_execute", note)
    assert any("FROM findings" in sql for sql, _ in asked)
    with database.engine.connect() as connection:
        for sql, values in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
            assert not [row.detail for row in plan if row.detail.startswith("SCAN")], sql
