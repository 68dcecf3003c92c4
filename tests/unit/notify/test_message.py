"""What the message says: read aloud it must tell what, since when, why, how sure, what to do."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from aegis_sink.model import (
    PART_OF,
    CheckStatus,
    Diagnosis,
    Feedback,
    FixAction,
    FixCheck,
    Follower,
    HistoryEntry,
    Incident,
    NoticeReason,
    ObjectRef,
    Severity,
    State,
    Verdict,
)
from aegis_sink.notify.message import Message, compose, objects_in_words
from aegis_sink.notify.plain import plain_lines
from aegis_sink.notify.thread import compose_reply
from tests.fakes.notify_incidents import NOW


def said(incident: Incident, reason: NoticeReason = NoticeReason.DIAGNOSED) -> str:
    return "\n".join(plain_lines(compose(incident, reason, now=NOW), now=NOW, more="in the thread"))


def with_diagnosis(incident: Incident, diagnosis: Diagnosis) -> Incident:
    return replace(incident, diagnosis=diagnosis)


def diagnosis_of(incident: Incident) -> Diagnosis:
    assert incident.diagnosis is not None
    return incident.diagnosis


def test_a_diagnosed_incident_read_aloud(diagnosed: Incident) -> None:
    assert said(diagnosed) == "\n".join(
        [
            "🛑 DOWN · Deployment shop/api: container api was OOM-killed",
            "cluster prod-eu · namespace shop",
            "Open · since 02:14 UTC (12 min) · 3 Pods",
            "Why (certain): The Java heap (512Mi) is larger than the container's memory limit "
            "(256Mi).",
            "Proof",
            "  • E2 Deployment shop/api spec: memory limit 256Mi, JAVA_TOOL_OPTIONS=-Xmx512m",
            "  • E1 Pod shop/api-7d9c-0 status: container api: OOMKilled, exit code 137, "
            "6 restarts",
            "  • E4 rollout of Deployment shop/api: revision 7, 14 minutes ago: memory 1Gi → 256Mi",
            "  … 1 more in the thread",
            "Do this (low risk): Raise the memory limit of container api to 768Mi",
            "    kubectl -n shop set resources deployment/api -c api --limits=memory=768Mi",
            "  ✔ Checked: the API server accepts this (dry run, nothing was changed).",
            "  … 1 more fix in the thread",
            "llama3.2:latest agrees (took 14 s).",
            "Open the incident: https://aegis.example/incidents/inc-1",
        ]
    )


def test_a_found_incident_says_what_k8sgpt_said_and_that_there_is_no_diagnosis_yet(
    found: Incident,
) -> None:
    text = said(found, NoticeReason.FIRST)
    assert "New · since 02:14 UTC (12 min)" in text
    assert "the last termination reason is OOMKilled" in text
    assert "No diagnosis yet." in text


def test_while_the_model_is_asked_the_message_says_so(found: Incident) -> None:
    assert "Asking the model for the cause …" in said(replace(found, diagnosing=True))


def test_a_model_that_did_not_answer_is_said_and_the_rest_is_there(diagnosed: Incident) -> None:
    note = "the model did not answer: connection refused; this is from playbooks alone"
    away = with_diagnosis(diagnosed, replace(diagnosis_of(diagnosed), model="", model_note=note))
    text = said(away)
    assert "The model did not answer: connection refused" in text
    assert "agrees" not in text
    assert "Proof" in text
    assert "kubectl" in text


def test_without_a_cluster_the_message_says_what_could_not_be_read(found: Incident) -> None:
    text = said(replace(found, missing=("no cluster is connected: set AEGIS_KUBERNETES",)))
    assert "Could not be read\n  • no cluster is connected" in text


def test_a_resolved_incident_says_how_long_and_gives_no_command(diagnosed: Incident) -> None:
    at = NOW + timedelta(minutes=20)
    text = said(replace(diagnosed, state=State.RESOLVED, resolved_at=at), NoticeReason.RESOLVED)
    assert text.startswith("✅ RESOLVED · Deployment shop/api")
    assert "02:14 UTC – 02:46 UTC (32 min)" in text
    assert "Why it was (certain): The Java heap" in text
    assert "kubectl" not in text


def test_what_resolved_before_it_was_diagnosed_says_so(found: Incident) -> None:
    text = said(replace(found, state=State.RESOLVED, resolved_at=NOW), NoticeReason.RESOLVED)
    assert "It went away before its cause was found." in text


@pytest.mark.parametrize(
    ("verdict", "label"),
    [
        (Verdict.CAUSE_FOUND, "Why (certain)"),
        (Verdict.LIKELY, "Why, it seems (certain)"),
        (Verdict.CANNOT_TELL, "Why (cannot tell yet)"),
        (Verdict.NOT_A_PROBLEM, "Not a problem (certain)"),
    ],
)
def test_how_sure_is_said_in_words(diagnosed: Incident, verdict: Verdict, label: str) -> None:
    assert label in said(
        with_diagnosis(diagnosed, replace(diagnosis_of(diagnosed), verdict=verdict))
    )


def test_a_cause_that_was_never_found_is_not_still_looked_for(diagnosed: Incident) -> None:
    lost = replace(diagnosis_of(diagnosed), verdict=Verdict.CANNOT_TELL)
    over = replace(with_diagnosis(diagnosed, lost), state=State.RESOLVED, resolved_at=NOW)
    text = said(over, NoticeReason.RESOLVED)
    assert "Why it was (not found out): " in text
    assert "yet" not in text


def test_a_title_does_not_end_in_a_colon(found: Incident) -> None:
    bare = replace(found, title="Deployment shop/api: Readiness probe failed:")
    assert said(bare, NoticeReason.FIRST).startswith(
        "🛑 DOWN · Deployment shop/api: Readiness probe failed\n"
    )


def test_when_nobody_can_tell_the_errors_stay_in_sight(diagnosed: Incident) -> None:
    lost = replace(diagnosis_of(diagnosed), verdict=Verdict.CANNOT_TELL, cites=(), fixes=())
    text = said(with_diagnosis(diagnosed, replace(lost, missing=("the log of container api",))))
    assert "K8sGPT says" in text
    assert "What was found" in text
    assert "Look at next\n  • the log of container api" in text


def test_what_could_not_be_read_is_said_once(diagnosed: Incident) -> None:
    gap = "pods in namespace shop: forbidden"
    lost = replace(diagnosis_of(diagnosed), missing=("the log of container api", gap))
    text = said(replace(with_diagnosis(diagnosed, lost), missing=(gap,)))
    assert text.count(gap) == 1
    assert "Look at next\n  • the log of container api\nCould not be read" in text


def test_a_hypothesis_is_named_as_one(diagnosed: Incident) -> None:
    guess = replace(diagnosis_of(diagnosed), hypothesis=True)
    assert "The model's own idea" in said(with_diagnosis(diagnosed, guess))


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (FixCheck(CheckStatus.ACCEPTED, ""), "✔ Checked: the API server accepts this"),
        (FixCheck(CheckStatus.REFUSED, "quota exceeded"), "✘ Checked: the API server refuses"),
        (
            FixCheck(CheckStatus.NOT_CHECKED, "the API server did not answer"),
            "Not checked: the API server did not answer.",
        ),
        (FixCheck(), "Not checked: nothing tried it on the cluster."),
    ],
)
def test_the_check_of_a_fix_is_said(diagnosed: Incident, check: FixCheck, words: str) -> None:
    fix = replace(diagnosis_of(diagnosed).fixes[0], check=check)
    text = said(with_diagnosis(diagnosed, replace(diagnosis_of(diagnosed), fixes=(fix,))))
    assert words in text


def test_a_command_with_placeholders_says_to_fill_them_in(diagnosed: Incident) -> None:
    fix = replace(
        diagnosis_of(diagnosed).fixes[0],
        command="kubectl set image deploy/api api=<image>",
        runnable=False,
    )
    text = said(with_diagnosis(diagnosed, replace(diagnosis_of(diagnosed), fixes=(fix,))))
    assert "Fill in the parts in <…> first." in text


def test_a_command_that_only_reads_needs_no_check(diagnosed: Incident) -> None:
    look = replace(
        diagnosis_of(diagnosed).fixes[0],
        title="List the pods",
        action=FixAction.INSPECT,
        command="kubectl -n shop get pods",
        check=FixCheck(),
    )
    text = said(with_diagnosis(diagnosed, replace(diagnosis_of(diagnosed), fixes=(look,))))
    assert "Look at this (changes nothing): List the pods" in text
    assert "hecked" not in text


def test_states_and_severities_differ_in_shape_and_word(found: Incident) -> None:
    heads = [compose(replace(found, severity=s), NoticeReason.FIRST, now=NOW) for s in Severity]
    heads.append(compose(replace(found, state=State.RESOLVED), NoticeReason.RESOLVED, now=NOW))
    symbols, words = zip(*(m.headline.split(" · ")[0].split(" ", 1) for m in heads), strict=True)
    assert len(set(symbols)) == len(set(words)) == len(heads)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (NoticeReason.FIRST, "New"),
        (NoticeReason.REPEAT, "Still broken"),
        (NoticeReason.REOPENED, "Back again"),
        (NoticeReason.NEW_OBJECTS, "Spreading"),
        (NoticeReason.CHANGED, "Changed"),
    ],
)
def test_the_reason_for_telling_is_named(
    found: Incident, reason: NoticeReason, status: str
) -> None:
    assert compose(found, reason, now=NOW).status == status


def test_what_k8sgpt_no_longer_reports_and_is_not_over_is_named(found: Incident) -> None:
    message = compose(replace(found, gone_at=NOW), NoticeReason.REPEAT, now=NOW)
    assert message.status == "Still broken, though K8sGPT no longer reports it"


def test_what_was_found_is_there_before_any_diagnosis(diagnosed: Incident) -> None:
    text = said(replace(diagnosed, diagnosis=None, diagnosing=True), NoticeReason.FIRST)
    assert "What was found\n  • E1 Pod shop/api-7d9c-0 status" in text
    assert "… 1 more in the thread" in text


def test_evidence_that_is_not_shown_is_counted_also_when_little_is_cited(
    diagnosed: Incident,
) -> None:
    one = replace(diagnosis_of(diagnosed), cites=("E2",), fixes=())
    assert "… 3 more in the thread" in said(with_diagnosis(diagnosed, one))


def test_an_incident_that_was_replayed_says_where_it_goes_on(found: Incident) -> None:
    old = replace(found, state=State.RESOLVED, superseded_by="inc-2")
    text = said(old, NoticeReason.RESOLVED)
    assert text.startswith("↪️ REPLACED · ")
    assert "Told anew as incident inc-2" in text
    assert "went away" not in text


def test_an_incident_that_turned_out_to_be_a_part_of_another_says_of_which_and_no_cause(
    diagnosed: Incident,
) -> None:
    found = diagnosed
    entry = HistoryEntry(found.last_seen, PART_OF, "Deployment shop/api: it fails (incident inc-2)")
    old = replace(found, state=State.RESOLVED, superseded_by="inc-2", history=(entry,))
    text = said(old, NoticeReason.RESOLVED)
    assert text.startswith("↪️ REPLACED · ")
    assert "Part of Deployment shop/api: it fails (incident inc-2)" in text
    assert "Why" not in text


def test_who_acknowledged_is_named_and_when(found: Incident) -> None:
    taken = replace(
        found, state=State.ACKNOWLEDGED, acknowledged_by="ada", acknowledged_at=found.first_seen
    )
    assert "Acknowledged by ada, 02:14 UTC" in said(taken)


def test_who_silenced_it_is_named_and_until_when(found: Incident) -> None:
    muted = replace(found, state=State.SILENCED, silenced_by="ada")
    assert "Silenced by ada until it is resolved" in said(muted)
    until = replace(muted, silenced_until=NOW + timedelta(hours=1))
    assert "Silenced by ada until 03:26 UTC" in said(until)


def test_what_people_say_of_the_diagnosis_is_counted_and_named(diagnosed: Incident) -> None:
    assert diagnosed.diagnosis is not None
    words = tuple(
        Feedback(NOW, name, name, right, diagnosed.diagnosis)
        for name, right in [
            ("ada", True),
            ("bob", True),
            ("eve", True),
            ("max", True),
            ("joe", False),
        ]
    )
    note = compose(replace(diagnosed, feedback=words), NoticeReason.DIAGNOSED, now=NOW).note
    assert "👍 Right, says ada, bob, eve and 1 more. 👎 Wrong, says joe." in note


def test_the_notification_text_is_one_short_line(diagnosed: Incident) -> None:
    summary = compose(diagnosed, NoticeReason.DIAGNOSED, now=NOW).summary
    assert "\n" not in summary
    assert summary.startswith(
        "🛑 DOWN · Deployment shop/api: container api was OOM-killed — cluster"
    )
    assert "Why (certain)" in summary
    assert len(summary) <= 600


def test_the_notification_text_names_the_cause_also_when_it_is_no_problem(
    diagnosed: Incident,
) -> None:
    calm = replace(diagnosis_of(diagnosed), verdict=Verdict.NOT_A_PROBLEM)
    summary = compose(with_diagnosis(diagnosed, calm), NoticeReason.DIAGNOSED, now=NOW).summary
    assert "Not a problem (certain): The Java heap" in summary


def test_what_is_no_problem_is_not_to_be_done_something_about(diagnosed: Incident) -> None:
    calm = replace(diagnosis_of(diagnosed), verdict=Verdict.NOT_A_PROBLEM)
    text = said(with_diagnosis(diagnosed, calm), NoticeReason.DIAGNOSED)
    assert "If you want it otherwise (low risk)" in text
    assert "Do this" not in text


@pytest.mark.parametrize(
    ("count", "label"),
    [
        (1, "1 problem that follows from this and is not told"),
        (2, "2 problems that follow from this and are not told"),
    ],
)
def test_what_follows_from_it_is_counted(diagnosed: Incident, count: int, label: str) -> None:
    node = replace(diagnosed, followers=(Follower("b2", "Pod shop/web-1 is lost"),) * count)
    assert label in said(node, NoticeReason.FIRST)


def test_the_notification_text_says_no_name_twice(diagnosed: Incident) -> None:
    summary = compose(diagnosed, NoticeReason.DIAGNOSED, now=NOW).summary
    assert "namespace" not in summary
    elsewhere = replace(diagnosed, title="nothing answers on port 80")
    named = compose(elsewhere, NoticeReason.DIAGNOSED, now=NOW).summary
    assert "Deployment shop/api, cluster prod-eu, namespace shop, since" in named


def test_resolved_is_said_once(diagnosed: Incident) -> None:
    over = replace(diagnosed, state=State.RESOLVED, resolved_at=NOW)
    assert said(over, NoticeReason.RESOLVED).lower().count("resolved") == 1


def test_objects_are_counted_by_kind(found: Incident) -> None:
    objects = (*found.objects, ObjectRef("Ingress", "web", "shop"), found.subject)
    assert objects_in_words(replace(found, objects=objects)) == "3 Pods, 1 Ingress"
    assert objects_in_words(replace(found, objects=(found.subject,))) == ""


def test_a_cluster_scoped_subject_has_no_namespace(found: Incident) -> None:
    node = replace(found, subject=ObjectRef("Node", "worker-1"), objects=())
    assert compose(node, NoticeReason.FIRST, now=NOW).place == "cluster prod-eu"


def test_the_thread_of_a_spreading_incident_names_the_objects(found: Incident) -> None:
    (part,) = compose_reply(found, NoticeReason.NEW_OBJECTS, now=NOW)
    assert "now 3 objects" in part.label
    assert "Pod shop/api-7d9c-1" in part.lines


def test_the_thread_of_a_repeat_says_that_nobody_took_it(found: Incident, now: datetime) -> None:
    (part,) = compose_reply(found, NoticeReason.REPEAT, now=now)
    assert part.label == "⏰ Still broken after 12 min"
    assert part.text == "Nobody has acknowledged it."


def test_a_subject_that_the_title_does_not_name_is_named_below_it(found: Incident) -> None:
    other = replace(found, title="nothing answers on port 80")
    assert "\nDeployment shop/api · cluster prod-eu" in said(other, NoticeReason.FIRST)
    assert "Deployment shop/api · " not in said(found, NoticeReason.FIRST).split("\n", 1)[1]


def test_links_are_only_our_own(found: Incident) -> None:
    message: Message = compose(replace(found, url=""), NoticeReason.FIRST, now=NOW)
    assert message.links == ()


def test_without_error_texts_k8sgpts_own_model_is_quoted_and_marked_unchecked(
    found: Incident,
) -> None:
    bare = replace(found, errors=(), details="Error: it ran out of memory.\nSolution: raise it.")
    text = said(bare, NoticeReason.FIRST)
    assert "K8sGPT's own model says (nothing of it is checked)" in text
    assert "Error: it ran out of memory. Solution: raise it." in text


def test_with_error_texts_k8sgpts_own_model_is_not_needed(found: Incident) -> None:
    assert "nothing of it is checked" not in said(
        replace(found, details="Error: it ran out of memory."), NoticeReason.FIRST
    )


def test_links_are_the_incident_the_silence_and_the_runbook_until_it_is_over(
    diagnosed: Incident,
) -> None:
    diagnosis = replace(diagnosis_of(diagnosed), runbook="https://wiki.example/oom")
    linked = replace(diagnosed, diagnosis=diagnosis, silence_url="https://aegis.example/silence")
    message = compose(linked, NoticeReason.DIAGNOSED, now=NOW)
    assert [(link.text, link.url) for link in message.links] == [
        ("Open the incident", "https://aegis.example/incidents/inc-1"),
        ("Silence all like it", "https://aegis.example/silence"),
        ("Runbook", "https://wiki.example/oom"),
    ]
    over = compose(replace(linked, state=State.RESOLVED), NoticeReason.RESOLVED, now=NOW)
    assert [link.text for link in over.links] == ["Open the incident"]
    bare = replace(linked, url="", silence_url="", title="https://evil.example")
    alone = compose(bare, NoticeReason.DIAGNOSED, now=NOW)
    assert [link.text for link in alone.links] == ["Runbook"]
