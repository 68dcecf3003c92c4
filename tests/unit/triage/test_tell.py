from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis_sink.model import (
    Diagnosis,
    Incident,
    Mute,
    MuteKind,
    Notice,
    NoticeReason,
    ObjectRef,
    Posted,
    Severity,
    State,
    Verdict,
)
from aegis_sink.model.codec import notice_from_json, notice_to_json
from aegis_sink.triage.tell import Decision, TellRules, decide, what_is_told

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
RULES = TellRules(
    group_wait=timedelta(seconds=10),
    repeat_interval=timedelta(hours=4),
    group_interval=timedelta(minutes=5),
)
POD = ObjectRef("Pod", "api-66959989c5-d222p", "shop")
CAUSE = Diagnosis(Verdict.CAUSE_FOUND, "the limit is below -Xmx", 0.9, cause_id="memory.heap")
INCIDENT = Incident(
    id="a1",
    cluster="prod",
    state=State.OPEN,
    severity=Severity.DEGRADED,
    title="Deployment shop/api: container api was OOM-killed",
    subject=ObjectRef("Deployment", "api", "shop"),
    objects=(POD,),
    errors=("x",),
    failure_class="container api ends: OOMKilled",
    fingerprint="f",
    occurrences=1,
    first_seen=START,
    last_seen=START,
)


def at(**since_start: int) -> datetime:
    return START + timedelta(**since_start)


def told(incident: Incident, reason: NoticeReason, when: datetime) -> Incident:
    """The incident after it was told as it stands."""
    notice = what_is_told(incident, reason, at=when, posted=Posted("C1", "1.0"))
    return replace(incident, notices=(*incident.notices, notice))


TOLD = told(INCIDENT, NoticeReason.FIRST, at(seconds=10))
DIAGNOSED = told(replace(TOLD, diagnosis=CAUSE), NoticeReason.DIAGNOSED, at(minutes=1))
HUSHED = replace(TOLD, state=State.SILENCED, silenced_until=at(hours=1))
ENDED = told(replace(TOLD, state=State.RESOLVED), NoticeReason.RESOLVED, at(hours=1))


@pytest.mark.parametrize("thread", [True, False])
def test_what_the_threads_first_reply_left_out_is_told_though_the_model_adds_nothing(
    thread: bool,
) -> None:
    asking = replace(INCIDENT, diagnosis=CAUSE, diagnosing=True)
    first = what_is_told(
        asking,
        NoticeReason.FIRST,
        at=at(seconds=10),
        posted=Posted("C1", "1.0"),
        thread=thread,
    )
    answered = replace(asking, diagnosing=False, notices=(first,))
    decision = decide(answered, now=at(minutes=1), rules=RULES)
    assert decision.reason == (NoticeReason.DIAGNOSED if thread else None)


@pytest.mark.parametrize(
    ("incident", "when", "reason"),
    [
        pytest.param(INCIDENT, at(seconds=9), None, id="inside the group wait"),
        pytest.param(INCIDENT, at(seconds=10), "first", id="after the group wait"),
        pytest.param(
            replace(INCIDENT, severity=Severity.HINT), at(hours=9), None, id="a hint is not told"
        ),
        pytest.param(replace(INCIDENT, state=State.SILENCED), at(hours=9), None, id="silenced"),
        pytest.param(
            replace(INCIDENT, state=State.ACKNOWLEDGED),
            at(seconds=10),
            "first",
            id="acknowledged before the group wait was over",
        ),
        pytest.param(TOLD, at(minutes=1), None, id="told and nothing new"),
        pytest.param(
            replace(TOLD, diagnosis=CAUSE), at(minutes=1), "diagnosed", id="a diagnosis arrived"
        ),
        pytest.param(
            replace(TOLD, diagnosis=CAUSE, diagnosing=True),
            at(minutes=1),
            None,
            id="a better diagnosis is awaited",
        ),
        pytest.param(DIAGNOSED, at(minutes=2), None, id="diagnosed is told once"),
        pytest.param(
            replace(DIAGNOSED, diagnosis=replace(CAUSE, root_cause="other words")),
            at(minutes=2),
            None,
            id="another diagnosis only edits the message",
        ),
        pytest.param(
            told(replace(INCIDENT, diagnosis=CAUSE), NoticeReason.FIRST, at(seconds=10)),
            at(minutes=1),
            None,
            id="a diagnosis that was there at first is not told again",
        ),
        pytest.param(
            replace(
                told(replace(INCIDENT, diagnosis=CAUSE), NoticeReason.FIRST, at(seconds=10)),
                diagnosis=replace(CAUSE, model_note="the model did not answer"),
            ),
            at(minutes=1),
            None,
            id="a model that did not answer brings no news",
        ),
        pytest.param(
            replace(TOLD, severity=Severity.DOWN), at(seconds=11), "changed", id="it got worse"
        ),
        pytest.param(
            replace(TOLD, severity=Severity.RISK), at(minutes=6), None, id="it got better"
        ),
        pytest.param(
            replace(TOLD, failure_class="container api ends: Error"),
            at(minutes=6),
            "changed",
            id="it fails in another way",
        ),
        pytest.param(
            replace(TOLD, failure_class="container api ends: Error", gone_at=at(minutes=4)),
            at(minutes=6),
            None,
            id="it failed in another way, and K8sGPT no longer reports it",
        ),
        pytest.param(
            replace(TOLD, gone_at=at(minutes=4)),
            at(hours=5),
            "repeat",
            id="K8sGPT no longer reports it and it does not end",
        ),
        pytest.param(
            replace(TOLD, failure_class="container api ends: Error"),
            at(minutes=1),
            None,
            id="it fails in another way just after it was told",
        ),
        pytest.param(
            replace(TOLD, objects=(POD, ObjectRef("Service", "api", "shop"))),
            at(minutes=6),
            "new_objects",
            id="it spreads",
        ),
        pytest.param(
            replace(TOLD, objects=(POD, replace(POD, name="api-7d9c5b6f4-zq2lm"))),
            at(minutes=6),
            None,
            id="a pod that replaces another is no news",
        ),
        pytest.param(TOLD, at(hours=4, seconds=9), None, id="before the repeat interval is over"),
        pytest.param(TOLD, at(hours=4, seconds=10), "repeat", id="the repeat interval is over"),
        pytest.param(
            replace(TOLD, state=State.ACKNOWLEDGED), at(hours=9), None, id="no repeat: acknowledged"
        ),
        pytest.param(
            replace(TOLD, state=State.ACKNOWLEDGED, severity=Severity.DOWN),
            at(hours=9),
            "changed",
            id="worse although acknowledged",
        ),
        pytest.param(
            replace(TOLD, state=State.SILENCED, severity=Severity.DOWN),
            at(hours=9),
            None,
            id="worse but silenced",
        ),
        pytest.param(HUSHED, at(minutes=59), None, id="silenced for an hour"),
        pytest.param(HUSHED, at(hours=1), "repeat", id="the silence is over, it is still there"),
        pytest.param(
            replace(HUSHED, state=State.OPEN), at(hours=1), "repeat", id="woken after its silence"
        ),
        pytest.param(
            told(replace(HUSHED, state=State.OPEN), NoticeReason.REPEAT, at(hours=1)),
            at(hours=2),
            None,
            id="the end of a silence is told once",
        ),
        pytest.param(
            replace(HUSHED, acknowledged_by="ada"),
            at(hours=2),
            None,
            id="somebody was on it before it was silenced",
        ),
        pytest.param(
            replace(INCIDENT, state=State.SILENCED, silenced_until=at(hours=1)),
            at(hours=1),
            "first",
            id="silenced before it was told, and still there",
        ),
        pytest.param(
            replace(TOLD, state=State.RESOLVED, resolved_at=at(hours=1)),
            at(hours=1),
            "resolved",
            id="over",
        ),
        pytest.param(ENDED, at(hours=9), None, id="the end is told once"),
        pytest.param(
            replace(INCIDENT, state=State.RESOLVED), at(hours=1), None, id="over before first"
        ),
        pytest.param(replace(ENDED, state=State.OPEN), at(hours=2), "reopened", id="back again"),
        pytest.param(
            told(replace(ENDED, state=State.OPEN), NoticeReason.REOPENED, at(hours=2)),
            at(hours=3),
            None,
            id="back again and told",
        ),
        pytest.param(
            replace(
                told(replace(ENDED, state=State.OPEN), NoticeReason.REOPENED, at(hours=2)),
                diagnosis=CAUSE,
            ),
            at(hours=3),
            "diagnosed",
            id="a new diagnosis after it came back",
        ),
        pytest.param(
            replace(
                told(replace(ENDED, state=State.OPEN), NoticeReason.REOPENED, at(hours=2)),
                state=State.RESOLVED,
            ),
            at(hours=3),
            "resolved",
            id="over for the second time",
        ),
    ],
)
def test_the_reason_is(incident: Incident, when: datetime, reason: str | None) -> None:
    decision = decide(incident, now=when, rules=RULES)
    assert decision.reason == reason
    assert decision.because


@pytest.mark.parametrize(
    ("incident", "when", "wait_until"),
    [
        (INCIDENT, at(seconds=1), at(seconds=10)),
        (TOLD, at(minutes=1), at(hours=4, seconds=10)),
        (
            replace(TOLD, failure_class="other"),
            at(minutes=1),
            at(minutes=5, seconds=10),
        ),
        (replace(TOLD, state=State.ACKNOWLEDGED), at(minutes=1), None),
        (replace(INCIDENT, severity=Severity.HINT), at(minutes=1), None),
        (ENDED, at(hours=2), None),
        (HUSHED, at(minutes=2), at(hours=1)),
        (replace(TOLD, state=State.SILENCED), at(minutes=2), None),
    ],
)
def test_it_says_when_to_ask_again(
    incident: Incident, when: datetime, wait_until: datetime | None
) -> None:
    decision = decide(incident, now=when, rules=RULES)
    assert decision.reason is None
    assert decision.wait_until == wait_until
    if wait_until is not None:
        assert decide(incident, now=wait_until, rules=RULES).reason is not None


@pytest.mark.parametrize(
    ("incident", "held"),
    [
        (replace(INCIDENT, severity=Severity.HINT), "hint"),
        (replace(INCIDENT, state=State.SILENCED), "muted_by_silence"),
        (replace(INCIDENT, mute=Mute(MuteKind.SILENCE, "s1", "x")), "muted_by_silence"),
        (replace(INCIDENT, mute=Mute(MuteKind.INCIDENT, "p1", "x")), "muted_by_incident"),
        (replace(INCIDENT, mute=Mute(MuteKind.SETTING, "s", "x")), "muted_by_setting"),
        (replace(TOLD, state=State.ACKNOWLEDGED), "acknowledged"),
        (replace(INCIDENT, state=State.RESOLVED), "over"),
        (replace(TOLD, last_seen=at(hours=6)), None),
    ],
)
def test_what_is_not_told_names_what_holds_it(incident: Incident, held: str | None) -> None:
    decision = decide(incident, now=at(hours=9), rules=RULES)
    assert decision.held == held
    assert decision.because


def test_what_is_muted_is_looked_at_again_at_the_latest_when_its_silence_ends() -> None:
    def again(mute: Mute) -> datetime | None:
        return decide(replace(INCIDENT, mute=mute), now=at(hours=9), rules=RULES).wait_until

    short = Mute(MuteKind.SILENCE, "s1", "x", at(hours=9, minutes=1))
    assert again(short) == at(hours=9, minutes=1)
    assert again(replace(short, until=at(days=2))) == at(hours=9, minutes=10)
    assert again(Mute(MuteKind.INCIDENT, "p1", "x")) == at(hours=9, minutes=10)


def test_a_parent_mutes_everything_but_the_end() -> None:
    def muted(incident: Incident) -> Decision:
        mute = Mute(MuteKind.INCIDENT, "p1", "follows from Node n1")
        return decide(replace(incident, mute=mute), now=at(hours=9), rules=RULES)

    assert muted(INCIDENT).because == "follows from Node n1"
    assert muted(INCIDENT).reason is None
    assert muted(TOLD).reason is None
    assert muted(replace(TOLD, state=State.RESOLVED)).reason is NoticeReason.RESOLVED


def test_a_notice_that_does_not_say_what_was_told_counts_as_told_without_diagnosis() -> None:
    bare = Notice(NoticeReason.FIRST, at(seconds=10), "C1", "1.0")
    incident = replace(INCIDENT, notices=(bare,), objects=(POD, INCIDENT.subject))
    assert decide(incident, now=at(minutes=6), rules=RULES).reason is None
    diagnosed = replace(incident, diagnosis=CAUSE)
    assert decide(diagnosed, now=at(minutes=6), rules=RULES).reason is NoticeReason.DIAGNOSED


def test_what_was_told_survives_the_store() -> None:
    assert notice_from_json(notice_to_json(TOLD.notices[0])) == TOLD.notices[0]
