"""Evidence of a pod of a Deployment, from a real API server."""

from typing import Any

import pytest

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.model import Collected, Finding, ObjectRef, OwnerChain
from aegis_sink.model.facts import ContainerFacts, LogFacts, RolloutFacts
from tests.cluster.api import Api
from tests.cluster.kubelet import Kubelet


def by_name(ref: ObjectRef) -> OwnerChain:
    return OwnerChain((ref,), "its name")


def deployment(namespace: str, image: str, **container: Any) -> dict[str, Any]:
    labels = {"app": "api"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "api", "image": image, **container}]},
            },
        },
    }


CRASHED = {
    "phase": "Running",
    "containerStatuses": [
        {
            "name": "api",
            "image": "shop/api:3",
            "imageID": "",
            "ready": False,
            "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 1m20s"}},
            "lastState": {
                "terminated": {
                    "exitCode": 1,
                    "reason": "Error",
                    "startedAt": "2026-03-01T10:00:00Z",
                    "finishedAt": "2026-03-01T10:00:02Z",
                }
            },
        }
    ],
    "conditions": [
        {"type": "Ready", "status": "False", "lastTransitionTime": "2026-03-01T10:00:02Z"}
    ],
}


async def crash_on_third_revision(api: Api, namespace: str, node: Kubelet) -> ObjectRef:
    """A Deployment with three revisions, whose newest pod crashes."""
    for revision in (1, 2, 3):
        await api.apply(
            deployment(
                namespace,
                f"shop/api:{revision}",
                env=[
                    {"name": "LOG_LEVEL", "value": "debug" if revision == 3 else "info"},
                    {"name": "DB_PASSWORD", "value": f"correct-horse-{revision}"},
                ],
            )
        )

        async def newest(image: str = f"shop/api:{revision}") -> dict[str, Any] | None:
            pods = await api.list("Pod", namespace)
            return next((p for p in pods if p["spec"]["containers"][0]["image"] == image), None)

        pod = await api.until(newest)
    name = pod["metadata"]["name"]
    await api.bind(namespace, name, "node-1")
    await api.status("Pod", {"namespace": namespace, "name": name}, CRASHED)
    node.logs[namespace, name, "api", True] = b"starting\nFATAL: cannot connect to db:5432\n"
    await api.apply(event(namespace, name))
    return ObjectRef("Pod", name, namespace)


def event(namespace: str, pod: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{pod}.1", "namespace": namespace},
        "involvedObject": {"kind": "Pod", "name": pod, "namespace": namespace},
        "type": "Warning",
        "reason": "BackOff",
        "message": "Back-off restarting failed container",
        "count": 7,
        "firstTimestamp": "2026-03-01T10:00:00Z",
        "lastTimestamp": "2026-03-01T10:05:00Z",
    }


def facts_of(collected: Collected, kind: type[Any]) -> Any:
    found = [e.facts for e in collected.evidence if isinstance(e.facts, kind)]
    assert len(found) == 1, [e.source for e in collected.evidence]
    return found[0]


@pytest.fixture
async def crashing(api: Api, namespace: str, node: Kubelet) -> Finding:
    ref = await crash_on_third_revision(api, namespace, node)
    return Finding("default", ref, "slack", errors=("back-off",))


async def test_the_owner_of_a_pod_is_its_deployment(
    cluster: KubernetesCluster, crashing: Finding
) -> None:
    chain = await cluster.owners(crashing, by_name)
    assert [ref.kind for ref in chain.chain] == ["Pod", "ReplicaSet", "Deployment"]
    assert chain.subject.name == "api"
    assert chain.how == "owner references"


async def test_a_crashing_pod_shows_its_state_log_events_and_what_changed_in_twelve_calls(
    cluster: KubernetesCluster, crashing: Finding
) -> None:
    collected = await cluster.collect(crashing, await cluster.owners(crashing, by_name))

    container = facts_of(collected, ContainerFacts)
    assert (container.exit_code, container.lived_seconds, container.restarts) == (1, 2, 4)
    log = facts_of(collected, LogFacts)
    assert log.previous
    assert log.last_line == "FATAL: cannot connect to db:5432"
    rollout = facts_of(collected, RolloutFacts)
    assert (rollout.previous_revision, rollout.current_revision) == (2, 3)
    assert rollout.image_changed
    assert rollout.previous_images == {"api": "shop/api:2"}
    text = next(e.text for e in collected.evidence if e.facts is rollout)
    assert "~ containers[api].image: shop/api:2 → shop/api:3" in text
    assert "~ containers[api].env[LOG_LEVEL]: info → debug" in text
    assert "~ containers[api].env[DB_PASSWORD]: changed" in text
    assert "correct-horse" not in "".join(e.text for e in collected.evidence)
    assert any("x7: Back-off restarting failed container" in e.text for e in collected.evidence)
    assert collected.missing == ()
    assert collected.calls <= 12
    assert collected.healthy is False
    assert collected.nodes == ("node-1",)
