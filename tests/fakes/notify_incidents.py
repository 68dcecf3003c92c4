"""Incidents as the notifiers get them: one found, one diagnosed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aegis_sink.model import (
    CheckStatus,
    Diagnosis,
    Evidence,
    Fix,
    FixAction,
    FixCheck,
    Incident,
    ObjectRef,
    Risk,
    RuledOut,
    Severity,
    State,
    Verdict,
)

NOW = datetime(2026, 11, 23, 2, 26, tzinfo=UTC)
API = ObjectRef("Deployment", "api", "shop")


def make_found() -> Incident:
    return Incident(
        id="inc-1",
        cluster="prod-eu",
        state=State.OPEN,
        severity=Severity.DOWN,
        title="Deployment shop/api: container api was OOM-killed",
        subject=API,
        objects=tuple(ObjectRef("Pod", f"api-7d9c-{n}", "shop") for n in range(3)),
        errors=("the last termination reason is OOMKilled container=api pod=api-7d9c-0",),
        failure_class="oomkilled",
        fingerprint="f" * 16,
        occurrences=3,
        first_seen=NOW - timedelta(minutes=12),
        last_seen=NOW,
        url="https://aegis.example/incidents/inc-1",
    )


def make_diagnosed() -> Incident:
    evidence = tuple(
        Evidence(f"E{n}", source, text, NOW)
        for n, (source, text) in enumerate(
            [
                (
                    "Pod shop/api-7d9c-0 status",
                    "container api: OOMKilled, exit code 137, 6 restarts",
                ),
                ("Deployment shop/api spec", "memory limit 256Mi, JAVA_TOOL_OPTIONS=-Xmx512m"),
                (
                    "events of Pod shop/api-7d9c-0",
                    "BackOff: back-off 5m0s restarting container api",
                ),
                (
                    "rollout of Deployment shop/api",
                    "revision 7, 14 minutes ago: memory 1Gi → 256Mi",
                ),
            ],
            start=1,
        )
    )
    fix = Fix(
        title="Raise the memory limit of container api to 768Mi",
        action=FixAction.SET_RESOURCES,
        target=API,
        risk=Risk.LOW,
        command="kubectl -n shop set resources deployment/api -c api --limits=memory=768Mi",
        runnable=True,
        check=FixCheck(CheckStatus.ACCEPTED, ""),
    )
    back = replace(
        fix,
        title="Roll back to revision 6",
        command="kubectl -n shop rollout undo deployment/api --to-revision=6",
    )
    return replace(
        make_found(),
        evidence=evidence,
        diagnosis=Diagnosis(
            verdict=Verdict.CAUSE_FOUND,
            root_cause="The Java heap (512Mi) is larger than the container's memory limit (256Mi).",
            confidence=0.93,
            cause_id="memory.heap-above-limit",
            ruled_out=(RuledOut("node.pressure", "Node out of memory", "the node has 9Gi free"),),
            cites=("E2", "E1", "E4"),
            fixes=(fix, back),
            explanation="The heap may grow to 512Mi, but the kernel kills the process at 256Mi.",
            model="llama3.2:latest",
            model_note="llama3.2:latest agrees",
            seconds=14.2,
        ),
    )
