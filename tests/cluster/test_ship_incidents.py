"""Incidents to try that need no kubelet: applied for real, they get the diagnosis they promise."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.diagnosis.assess import assess
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.model import Finding, ObjectRef, OwnerChain
from tests.cluster.api import Api

INCIDENTS = Path(__file__).parents[2] / "k8sgpt" / "incidents"

Symptom = Callable[[Api, str], Awaitable[bool]]


async def has_pods(api: Api, namespace: str) -> bool:
    return bool(await api.list("Pod", namespace))


async def at_once(api: Api, namespace: str) -> bool:
    return True


async def provisioning_failed(api: Api, namespace: str) -> bool:
    return any(e["reason"] == "ProvisioningFailed" for e in await api.list("Event", namespace))


async def quota_struck(api: Api, namespace: str) -> bool:
    conditions = (await api.get("Deployment", namespace, "mailer")).get("status", {})
    # Before the quota is counted the first time, the refusal has other words.
    return any("exceeded quota" in c["message"] for c in conditions.get("conditions") or [])


async def cannot_scale(api: Api, namespace: str) -> bool:
    scaler = await api.get("HorizontalPodAutoscaler", namespace, "search")
    conditions = scaler.get("status", {}).get("conditions") or []
    return any(c["type"] == "ScalingActive" and c["status"] == "False" for c in conditions)


CASES: dict[str, Symptom] = {
    "service-selector": has_pods,
    "ingress-backend": at_once,
    "pvc-class": provisioning_failed,
    "quota": quota_struck,
    "hpa-without-metrics": cannot_scale,
}


def promised(text: str) -> tuple[str, str, str]:
    """(kind K8sGPT names, its text, the cause AEGIS Sink will name) from a file's head."""
    kind = re.search(r"^# K8sGPT \((\w+)\): (.+)$", text, re.MULTILINE)
    cause = re.search(r"^# AEGIS Sink: ([a-z-]+):", text, re.MULTILINE)
    assert kind
    assert cause
    return kind[1], kind[2], cause[1]


@pytest.mark.parametrize("name", CASES)
async def test_an_incident_gets_the_diagnosis_its_file_promises(
    name: str, api: Api, cluster: KubernetesCluster
) -> None:
    text = (INCIDENTS / f"{name}.yaml").read_text()
    namespace = f"try-{secrets.token_hex(4)}"
    text = re.sub(r"aegis-try(-quota)?", namespace, text)
    kind, says, cause = promised(text)
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    if not any(o["kind"] == "Namespace" for o in objects):
        place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        objects.insert(0, place)
    await api.apply(*objects)
    async with asyncio.timeout(90):
        while not await CASES[name](api, namespace):  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.1)

    sick = next(o for o in objects if o["kind"] == kind)
    ref = ObjectRef(kind, sick["metadata"]["name"], namespace)
    finding = Finding("default", ref, "mattermost", errors=(says,))
    chain = await cluster.owners(finding, lambda one: OwnerChain((one,), "its name"))
    collected = await cluster.collect(finding, chain)
    diagnosis = assess(
        Case("default", chain.subject, (finding,), collected), Playbooks.load()
    ).diagnosis
    assert diagnosis.cause_id == cause, (diagnosis, collected.missing)
