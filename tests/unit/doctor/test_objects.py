"""K8sGPT in a cluster, as doctor walks through it: on a small API server."""

import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.cluster.discovery import Discovery
from aegis_sink.cluster.reader import Budget, Reader
from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.objects import check_objects
from aegis_sink.settings import Settings
from tests.unit.cluster.fake_api import FakeApi, connection, serving

ROOT = Path(__file__).parents[3]
NOW = datetime.now(UTC)
NAMESPACE = "k8sgpt-operator-system"
SHIPPED = yaml.safe_load((ROOT / "k8sgpt/k8sgpt-cr.yaml").read_text())


def deployment(name: str, image: str, namespace: str = NAMESPACE, ready: int = 1) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"readyReplicas": ready},
    }


def operator(version: str = "0.2.29", namespace: str = NAMESPACE) -> dict[str, Any]:
    image = f"ghcr.io/k8sgpt-ai/k8sgpt-operator:v{version}"
    return deployment("k8sgpt-operator-controller-manager", image, namespace)


def result(minutes: int, webhook: str) -> dict[str, Any]:
    created = (NOW - timedelta(minutes=minutes)).isoformat()
    metadata = {"name": f"r{minutes}", "namespace": NAMESPACE, "creationTimestamp": created}
    return {"kind": "Result", "metadata": metadata, "status": {"webhook": webhook}}


@pytest.fixture
def healthy() -> FakeApi:
    """K8sGPT and AEGIS Sink as the documents set them up."""
    api = FakeApi()
    labels = {"app.kubernetes.io/name": "aegis-sink"}
    metadata = {"name": "aegis-sink", "namespace": "aegis", "labels": labels}
    slices = {"kubernetes.io/service-name": "aegis-sink"}
    api.put(
        copy.deepcopy(SHIPPED),
        operator(),
        deployment(SHIPPED["metadata"]["name"], "ghcr.io/k8sgpt-ai/k8sgpt:v0.4.32"),
        {"kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 8080}]}},
        {
            "kind": "EndpointSlice",
            "metadata": {"name": "x", "namespace": "aegis", "labels": slices},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        },
        result(90, "http://noted"),
    )
    return api


async def checks(api: FakeApi, **settings: str) -> list[Check]:
    async with serving(api):
        asking = connection(api.url)
        reader = Reader(asking, Discovery(asking, clock=lambda: 0.0), Budget())
        try:
            looked = check_objects(reader, Settings.model_validate(settings), NOW)
            return [check async for check in looked]
        finally:
            await asking.close()


def unwell(found: list[Check]) -> list[str]:
    return [check.name for check in found if check.health is not Health.OK]


async def test_what_the_documents_set_up_is_fine(healthy: FakeApi) -> None:
    found = await checks(healthy, webhook_token="t")
    assert unwell(found) == []
    where = f"{NAMESPACE}/{SHIPPED['metadata']['name']}"
    kinds = ("sink", "sink target", "posts", "ai", "analyzer")
    assert [check.name for check in found] == [
        *(f"{kind} {where}" for kind in kinds),
        f"operator {NAMESPACE}/k8sgpt-operator-controller-manager",
    ]


async def test_posts_that_do_not_get_through_point_at_the_operators_log(healthy: FakeApi) -> None:
    healthy.put(result(50, ""))
    (check,) = [c for c in await checks(healthy) if c.name.startswith("posts ")]
    assert check.health is Health.FAILED
    log = f"kubectl -n {NAMESPACE} logs deployment/k8sgpt-operator-controller-manager "
    assert check.fix.startswith(log)


async def test_an_operator_elsewhere_is_found(healthy: FakeApi) -> None:
    deployments = healthy.objects["/apis/apps/v1/deployments"]
    deployments[:] = [one for one in deployments if "operator" not in one["metadata"]["name"]]
    assert "operator" in unwell(await checks(healthy))
    healthy.put(operator("0.2.20", "tools"))
    found = await checks(healthy)
    assert "operator" not in unwell(found)
    assert "operator tools/k8sgpt-operator-controller-manager" in unwell(found)


async def test_an_old_operator_is_held_against_the_sinks_type(healthy: FakeApi) -> None:
    healthy.objects["/apis/apps/v1/deployments"][0] = operator("0.0.27")
    (check,) = [c for c in await checks(healthy) if c.name.startswith("sink type ")][:1]
    assert check.health is Health.FAILED
    assert "came with operator 0.0.28" in check.found


async def test_what_may_not_be_read_is_said_and_no_fault(healthy: FakeApi) -> None:
    healthy.refuse("deployments", 403)
    found = await checks(healthy)
    assert unwell(found) == ["operator"]
    assert "not allowed to read deployments" in found[-1].found
    healthy.refuse("k8sgpts", 403)
    (check,) = await checks(healthy)
    assert check.health is Health.SKIPPED


async def test_no_object_is_no_analysis() -> None:
    empty = FakeApi()
    empty.objects["/apis/core.k8sgpt.ai/v1alpha1/k8sgpts"] = []
    (check,) = await checks(empty, results_namespace=NAMESPACE)
    assert check.found == f"there is no K8sGPT object in namespace {NAMESPACE}: nothing is analysed"
    apply = "kubectl apply -f k8sgpt/k8sgpt-cr.yaml"
    assert check.fix == f"{apply}   # or AEGIS_RESULTS_NAMESPACE=…, see kubectl get k8sgpt -A"
    (check,) = await checks(empty)
    assert check.fix == apply
