"""Fixes: rendered by code, quoted, namespaced, and never destructive."""

import shlex

import pytest

from aegis_sink.diagnosis.filling import Values
from aegis_sink.diagnosis.fixes import CLUSTER_WIDE, INSPECTIONS, render
from aegis_sink.diagnosis.observations import Observations, View
from aegis_sink.diagnosis.playbook import FixPlan
from aegis_sink.model import Fix, FixAction, ObjectRef, Risk
from aegis_sink.model.facts import ContainerFacts
from tests.fakes.diagnosis_cases import DEPLOYMENT, POD, assessed, builtin, evidence, make_case

FORBIDDEN = {"delete", "taint", "drain", "exec", "cordon", "apply", "replace", "cp", "debug", "run"}


def values(**facts: object) -> Values:
    container = ContainerFacts(**facts)  # type: ignore[arg-type]
    case = make_case(seen=(evidence(1, "", container),))
    (view,) = Observations.of(case).views(frozenset({"container"}))
    return Values(view, {})


def made(plan: FixPlan, subject: ObjectRef = DEPLOYMENT, **facts: object) -> Fix:
    known = values(**facts) if facts else Values(View((), {}, ()), {})
    return render(plan, known, subject, POD)


LIMIT = FixPlan(
    "Raise",
    FixAction.SET_RESOURCES,
    Risk.MEDIUM,
    parameters={
        "container": "{container.name}",
        "limits.memory": "{container.memory_limit|double_memory}",
        "requests.memory": "{container.memory_limit|memory}",
    },
)


def test_a_fix_with_all_values_known_is_runnable() -> None:
    fix = made(LIMIT, name="web", memory_limit=256 << 20)
    assert fix.command == (
        "kubectl -n books set resources deployment/ledger --containers=web "
        "--limits=memory=512Mi --requests=memory=256Mi"
    )
    assert fix.runnable


def test_a_value_that_is_not_known_becomes_a_placeholder_and_cannot_run() -> None:
    fix = made(LIMIT, name="web")
    assert "<memory-limit>" in fix.command
    assert not fix.runnable


@pytest.mark.parametrize(
    "name", ["web; rm -rf /", "$(reboot)", "web' --all", "`id`", "-n kube-system", "a\nb"]
)
def test_a_hostile_name_stays_one_quoted_word(name: str) -> None:
    plan = FixPlan(
        "Set",
        FixAction.SET_IMAGE,
        Risk.MEDIUM,
        parameters={"container": "{container.name}", "image": "x:1"},
    )
    fix = made(plan, name=name)
    words = shlex.split(fix.command)
    assert words[:6] == ["kubectl", "-n", "books", "set", "image", "deployment/ledger"]
    assert len(words) == 7


def test_a_bare_pod_cannot_be_rolled_back_so_it_is_only_advice() -> None:
    plan = FixPlan("Back", FixAction.ROLL_BACK, Risk.MEDIUM, parameters={"revision": "3"})
    assert made(plan).command == "kubectl -n books rollout undo deployment/ledger --to-revision=3"
    bare = made(plan, subject=POD)
    assert (bare.command, bare.action, bare.runnable) == ("", FixAction.ADVISE, False)


def test_nothing_without_a_namespace_is_changed() -> None:
    plan = FixPlan("Label", FixAction.LABEL, Risk.LOW, parameters={"label": "a", "value": "b"})
    assert made(plan, subject=ObjectRef("Node", "n1")).command == ""


@pytest.mark.parametrize("look", sorted(INSPECTIONS))
def test_looking_only_reads(look: str) -> None:
    fix = made(FixPlan("Look", FixAction.INSPECT, Risk.NONE, parameters={"look": look}))
    words = shlex.split(fix.command)
    assert not FORBIDDEN & set(words)
    assert words[0] == "kubectl"
    if look not in CLUSTER_WIDE:
        assert words[1:3] == ["-n", "books"]


@pytest.mark.parametrize(
    ("action", "parameters", "command"),
    [
        (FixAction.RESTART, {}, "rollout restart deployment/ledger"),
        (FixAction.SCALE, {"replicas": "2"}, "scale deployment/ledger --replicas=2"),
        (
            FixAction.SET_ENV,
            {"container": "web", "name": "A", "value": "b c"},
            "set env deployment/ledger --containers=web 'A=b c'",
        ),
        (
            FixAction.LABEL,
            {"label": "app", "value": "x"},
            "label deployment/ledger app=x --overwrite",
        ),
    ],
)
def test_each_action_has_one_command(
    action: FixAction, parameters: dict[str, str], command: str
) -> None:
    fix = made(FixPlan("Do", action, Risk.LOW, parameters=parameters))
    assert fix.command == f"kubectl -n books {command}"


def test_no_builtin_example_leads_to_a_destructive_command() -> None:
    from aegis_sink.diagnosis.rehearsal import example_case

    seen = 0
    for playbook in builtin().playbooks:
        for example in playbook.examples:
            for fix in assessed(example_case(example)).diagnosis.fixes:
                seen += 1
                assert not FORBIDDEN & set(shlex.split(fix.command)), fix.command
                assert not (fix.runnable and "<" in fix.command)
                assert bool(fix.command) or not fix.runnable
    assert seen > 150
