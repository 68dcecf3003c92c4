"""Score first: verdicts, confidence and honesty without a model."""

from dataclasses import replace

import pytest

from aegis_sink.diagnosis.assess import SETTLED
from aegis_sink.diagnosis.standing import CONFIDENCE, STATED_LIMIT, Standing
from aegis_sink.model import FixAction, ObjectRef, Verdict
from aegis_sink.model.facts import (
    AdmissionWebhookFacts,
    AutoscalerFacts,
    ContainerFacts,
    EventsFacts,
    ObjectFacts,
    PodFacts,
    ServiceFacts,
    WorkloadFacts,
)
from tests.fakes.diagnosis_cases import assessed, crashing, evidence, make_case

OOM = "the last termination reason is OOMKilled container=ledger pod=ledger-6f9d7c5b48-x2lqk"


def test_a_kill_for_memory_is_likely_from_the_text_alone_and_says_what_it_cannot_tell() -> None:
    told = assessed(make_case(OOM)).diagnosis
    assert told.verdict is Verdict.LIKELY
    assert told.cause_id == "memory-limit-exceeded"
    assert "cannot be told" in told.root_cause
    assert told.confidence <= STATED_LIMIT
    assert any("kubectl -n books" in fix.command for fix in told.fixes)
    assert any("was not read" in text for text in told.missing)


def test_an_error_that_nothing_explains_is_left_to_where_the_errors_stand() -> None:
    told = assessed(make_case("the frobnicator is out of phase")).diagnosis
    assert told.verdict is Verdict.CANNOT_TELL
    assert told.root_cause.startswith("No playbook explains what is wrong with ")
    assert "frobnicator" not in told.root_cause


def test_a_back_off_alone_does_not_tell_why_the_image_is_not_pulled() -> None:
    told = assessed(make_case('Back-off pulling image "ledger:invalid-tag"')).diagnosis
    assert told.verdict is Verdict.CANNOT_TELL
    assert "ledger:invalid-tag" in told.root_cause
    assert any(fix.command.startswith("kubectl -n books describe pod/") for fix in told.fixes)


def test_the_same_cause_is_surer_with_the_clusters_own_words() -> None:
    words = "0/3 nodes are available: 3 Insufficient cpu."
    alone = assessed(make_case(words)).diagnosis
    seen = evidence(1, words, PodFacts(phase="Pending", unschedulable_message=words))
    proved = assessed(make_case(words, seen=(seen,))).diagnosis
    assert alone.cause_id == proved.cause_id == "insufficient-cpu"
    assert alone.verdict is Verdict.LIKELY
    assert proved.verdict is Verdict.CAUSE_FOUND
    assert alone.confidence < proved.confidence
    assert (alone.cites, proved.cites) == ((), ("E1",))


def test_an_exact_cause_asks_no_model_unless_it_is_always_asked() -> None:
    heap = ContainerFacts(
        name="ledger",
        termination_reason="OOMKilled",
        memory_limit=256 << 20,
        java_max_heap=512 << 20,
    )
    case = make_case(OOM, seen=(evidence(1, "-Xmx512m", heap),))
    settled = assessed(case)
    assert settled.diagnosis.cause_id == "jvm-heap-above-limit"
    assert settled.diagnosis.verdict is Verdict.CAUSE_FOUND
    assert "512Mi" in settled.diagnosis.root_cause
    assert (settled.ask, settled.diagnosis.model_note) == (False, SETTLED)
    assert assessed(case, always_ask=True).ask


def test_a_selector_one_letter_off_is_certain_and_its_fix_runnable() -> None:
    service = ObjectRef("Service", "ledger", "books")
    facts = ServiceFacts(
        name="ledger",
        selector={"app": "legder", "tier": "web"},
        matching_pods=0,
        ready_endpoints=0,
        near_miss_selector_label="app=legder",
        near_miss_labels={"app": "ledger"},
        near_miss_workload="Deployment ledger",
    )
    case = make_case(
        "Service has no endpoints, expected label app=legder",
        seen=(evidence(1, "selector app=legder", facts),),
        about=service,
        subject=service,
    )
    told = assessed(case).diagnosis
    assert told.cause_id == "service-selector-mismatch"
    fix = told.fixes[0]
    assert fix.runnable
    assert fix.patch == '{"spec":{"selector":{"app":"ledger"}}}'
    assert fix.command.startswith("kubectl -n books patch service/ledger --type=strategic")


STATEFUL_SET = ObjectRef("StatefulSet", "ledger", "books")


def test_faults_that_are_all_certain_are_all_said_and_none_is_called_the_cause() -> None:
    facts = WorkloadFacts(
        kind="StatefulSet",
        service_name="ledger-headless",
        service_exists=False,
        missing_storage_classes=("fast-ssd",),
    )
    case = make_case(
        "StatefulSet uses the service books/ledger-headless which does not exist.",
        "StatefulSet uses the storage class fast-ssd which does not exist.",
        seen=(evidence(1, "governing service: ledger-headless", facts),),
        about=STATEFUL_SET,
        subject=STATEFUL_SET,
    )
    settled = assessed(case)
    told = settled.diagnosis
    assert (settled.standing, settled.ask) == (Standing.SEVERAL, False)
    assert told.verdict is Verdict.LIKELY
    assert told.confidence < 0.7
    assert "ledger-headless" in told.root_cause
    assert "fast-ssd" in told.root_cause
    titles = " ".join(fix.title for fix in told.fixes)
    assert "ledger-headless" in titles
    assert "class" in titles


def test_what_is_gone_is_told_as_a_thing_of_the_past_and_offers_no_change() -> None:
    gone = ObjectFacts(kind="StatefulSet", name="ledger", namespace="books", exists=False)
    words = "StatefulSet uses the service books/ledger-headless which does not exist."
    there = assessed(make_case(words, about=STATEFUL_SET, subject=STATEFUL_SET)).diagnosis
    told = assessed(
        make_case(
            words,
            seen=(evidence(1, "gone: it no longer exists", gone),),
            about=STATEFUL_SET,
            subject=STATEFUL_SET,
        )
    ).diagnosis
    assert told.cause_id == there.cause_id == "governing-service-missing"
    assert told.root_cause.startswith("StatefulSet books/ledger does not exist any more.")
    assert told.confidence <= CONFIDENCE[Standing.SLIGHT]
    assert any(fix.action is FixAction.CREATE for fix in there.fixes)
    assert not any(fix.action is FixAction.CREATE for fix in told.fixes)


def test_of_what_is_gone_and_not_known_only_that_is_said() -> None:
    about = ObjectRef("Widget", "one", "books")
    gone = ObjectFacts(kind="Widget", name="one", namespace="books", exists=False)
    seen = (evidence(1, "gone: it no longer exists", gone),)
    told = assessed(make_case("it whirs", seen=seen, about=about, subject=about)).diagnosis
    assert told.verdict is Verdict.CANNOT_TELL
    assert (
        told.root_cause
        == "Widget books/one does not exist any more: it was deleted after K8sGPT had looked."
    )
    assert (told.fixes, told.missing) == ((), ())


def test_a_pod_that_is_gone_says_nothing_of_its_owner() -> None:
    gone = ObjectFacts(kind="Pod", name="ledger-6f9d7c5b48-x2lqk", namespace="books", exists=False)
    told = assessed(make_case(OOM, seen=(evidence(1, "gone", gone),))).diagnosis
    assert "does not exist any more" not in told.root_cause


@pytest.mark.parametrize("policy", ["Ignore", "Fail"])
def test_a_webhook_without_a_service_is_told_with_its_own_failure_policy(policy: str) -> None:
    facts = AdmissionWebhookFacts(
        webhook="guard.example",
        service="policy/guard",
        service_exists=False,
        failure_policy=policy,
    )
    about = ObjectRef("ValidatingWebhookConfiguration", "guard.example")
    case = make_case(seen=(evidence(1, "calls", facts),), about=about, subject=about)
    assert f"Its failure policy is {policy}:" in assessed(case).diagnosis.root_cause


def test_without_its_target_an_autoscaler_needs_no_metrics() -> None:
    facts = AutoscalerFacts(
        target_kind="Deployment",
        target_name="front",
        target_exists=False,
        metrics=("Resource cpu 60",),
        metrics_api_available=False,
    )
    about = ObjectRef("HorizontalPodAutoscaler", "front", "books")
    case = make_case(seen=(evidence(1, "target", facts),), about=about, subject=about)
    told = assessed(case).diagnosis
    assert (told.cause_id, told.verdict) == ("scale-target-missing", Verdict.CAUSE_FOUND)


def test_nothing_known_is_said_as_such_with_where_to_look() -> None:
    told = assessed(
        make_case(details="The pod ran out of memory (OOMKilled). Delete it.")
    ).diagnosis
    assert told.verdict is Verdict.CANNOT_TELL
    assert (told.cause_id, told.confidence) == ("", 0.0)
    assert "no error text" in told.root_cause
    assert told.missing
    assert any("--previous" in fix.command for fix in told.fixes)
    assert "memory" not in told.root_cause


def test_a_crash_without_a_word_in_its_log_cannot_be_told() -> None:
    told = assessed(make_case(seen=crashing())).diagnosis
    assert told.verdict is Verdict.CANNOT_TELL
    assert told.confidence <= CONFIDENCE[Standing.SYMPTOM]


def test_a_sidecars_noise_does_not_explain_the_container_beside_it() -> None:
    noisy = crashing("connection refused", exit_code=0)
    sidecar = replace(noisy[1], id="E9", facts=replace(noisy[1].facts, container="proxy"))  # type: ignore[type-var]
    told = assessed(make_case(OOM, seen=(noisy[0], sidecar))).diagnosis
    assert told.cause_id != "dependency-unreachable"


def test_a_weak_sign_alone_makes_no_cause() -> None:
    told = assessed(make_case(seen=crashing("all good", exit_code=1)))
    assert told.standing is Standing.SYMPTOM


def test_a_harmless_finding_is_not_a_problem() -> None:
    about = ObjectRef("ConfigMap", "settings", "books")
    case = make_case(
        "ConfigMap settings is not used by any pods in the namespace", about=about, subject=about
    )
    assert assessed(case).diagnosis.verdict is Verdict.NOT_A_PROBLEM


def test_a_control_plane_taint_beside_full_nodes_is_not_the_cause() -> None:
    words = (
        "0/4 nodes are available: 1 node(s) had untolerated taint "
        "{node-role.kubernetes.io/control-plane: }, 3 Insufficient memory."
    )
    told = assessed(make_case(words)).diagnosis
    assert told.cause_id == "insufficient-memory"


def test_what_was_considered_and_does_not_hold_is_told_with_its_reason() -> None:
    about = ObjectRef("Ingress", "web", "books")
    from aegis_sink.model.facts import IngressFacts

    case = make_case(
        "Ingress uses the ingress class nginx which does not exist.",
        seen=(evidence(1, "", IngressFacts(ingress_class="nginx", class_exists=True)),),
        about=about,
        subject=about,
    )
    told = assessed(case).diagnosis
    assert told.verdict is Verdict.NOT_A_PROBLEM
    assert [r.cause_id for r in told.ruled_out] == ["ingress-class-missing"]


def test_consequences_of_a_found_cause_are_named_as_such() -> None:
    seen = (
        evidence(1, "", PodFacts(phase="Failed", reason="Evicted", evicted=True)),
        evidence(
            2,
            "",
            EventsFacts(
                reasons=("Evicted",),
                messages=(
                    "Pod ephemeral local storage usage exceeds the total limit: was low on resource: ephemeral-storage",
                ),
            ),
        ),
    )
    told = assessed(make_case(seen=seen)).diagnosis
    assert told.cause_id == "evicted-for-own-disk-limit"
    assert any("consequence" in r.why for r in told.ruled_out)


@pytest.mark.parametrize("text", ["", " ", "<!channel> 0/3 nodes", "{{{{", "\x00", "E" * 5000])
def test_no_text_makes_the_assessment_fail(text: str) -> None:
    assert assessed(make_case(text)).diagnosis.root_cause


def test_a_warning_loses_a_tie_against_an_error() -> None:
    lines = (
        "[WARNING] statsd: connection refused 127.0.0.1:8125, metrics disabled",
        "KeyError: 'STRIPE_API_KEY'",
        "[ERROR] Reason: Worker failed to boot.",
    )
    told = assessed(make_case(seen=crashing(*lines))).diagnosis
    assert (told.verdict, told.cause_id) == (Verdict.LIKELY, "setting-missing")
    assert told.confidence <= 0.5
