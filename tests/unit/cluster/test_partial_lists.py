"""What is not in a part of a list may still be there."""

from typing import Any

import pytest

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.model.facts import (
    AutoscalerFacts,
    ClaimFacts,
    ConfigMapFacts,
    IngressFacts,
    ObjectFacts,
    QuotaFacts,
    ServiceFacts,
)
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.cluster.objects import alone, event, facts_of, finding, metadata, pod

Object = dict[str, Any]


def others(count: int) -> list[Object]:
    return [pod(f"other-{n:04}", metadata={"labels": {"app": "other"}}) for n in range(count)]


def claim() -> Object:
    spec = {"storageClassName": "fast"}
    return {"kind": "PersistentVolumeClaim", "metadata": metadata("data"), "spec": spec}


def service(name: str, selector: dict[str, str]) -> Object:
    spec = {"selector": selector, "ports": [{"port": 80}]}
    return {"kind": "Service", "metadata": metadata(name), "spec": spec}


def of_service(name: str) -> Object:
    labels = {"kubernetes.io/service-name": name}
    endpoints = [{"conditions": {"ready": True}}]
    return {
        "kind": "EndpointSlice",
        "metadata": metadata(f"{name}-x", labels=labels),
        "endpoints": endpoints,
    }


async def test_the_pods_of_a_service_are_found_among_a_thousand_others(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(*others(1000), pod("web-1", metadata={"labels": {"app": "web"}}))
    api.put(service("web", {"app": "web"}))
    one = finding("Service", "web")
    collected = await cluster.collect(one, alone(one))
    assert facts_of(collected, ServiceFacts).matching_pods == 1
    assert not [line for line in collected.missing if "Pod" in line]


async def test_a_service_that_selects_nothing_still_shows_what_it_nearly_selects(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    labels = {"app": "payments"}
    api.put(pod("web-1", metadata={"labels": labels}), service("web", {"app": "paymnts"}))
    one = finding("Service", "web")
    facts = facts_of(await cluster.collect(one, alone(one)), ServiceFacts)
    assert facts.matching_pods == 0
    assert facts.near_miss_labels == labels


async def test_a_backend_beyond_the_listed_services_is_asked_for_by_its_name(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(*(service(f"a-{n:04}", {}) for n in range(800)), service("web", {}))
    api.put(*(of_service(f"a-{n:04}") for n in range(800)), of_service("web"))
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    lost = {"service": {"name": "lost", "port": {"number": 80}}}
    paths = [{"backend": backend}, {"backend": lost}]
    spec = {"rules": [{"http": {"paths": paths}}]}
    api.put({"kind": "Ingress", "metadata": metadata("in"), "spec": spec})
    one = finding("Ingress", "in")
    facts = facts_of(await cluster.collect(one, alone(one)), IngressFacts)
    assert facts.missing_services == ("lost",)
    assert "web" not in facts.backends_without_endpoints


async def test_an_ingress_names_the_pods_behind_a_service_of_which_none_is_ready(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(service("web", {"app": "web"}), service("well", {"app": "well"}), of_service("well"))
    pods = [
        {"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": f"web-{n}"}}
        for n in (2, 1)
    ]
    api.put({**of_service("web"), "endpoints": pods})
    backends = [{"service": {"name": n, "port": {"number": 80}}} for n in ("web", "well")]
    spec = {"rules": [{"http": {"paths": [{"backend": one} for one in backends]}}]}
    api.put({"kind": "Ingress", "metadata": metadata("in"), "spec": spec})
    one = finding("Ingress", "in")
    facts = facts_of(await cluster.collect(one, alone(one)), IngressFacts)
    assert facts.backends_without_endpoints == ("web",)
    assert facts.unwell_pods == ("web-1", "web-2")


@pytest.mark.parametrize("why", ["many", "forbidden"])
async def test_who_uses_a_thing_is_not_known_from_a_part_of_the_pods(
    api: FakeApi, cluster: KubernetesCluster, why: str
) -> None:
    api.put(*others(400), claim())
    api.put({"kind": "ConfigMap", "metadata": metadata("cfg"), "data": {}})
    if why == "forbidden":
        api.refuse("pods", 403)
    for kind, name in (("ConfigMap", "cfg"), ("PersistentVolumeClaim", "data")):
        one = finding(kind, name)
        collected = await cluster.collect(one, alone(one))
        assert any("used by pods: not known" in e.text for e in collected.evidence)
        assert any("pod" in line.lower() for line in collected.missing)
        if kind == "PersistentVolumeClaim":
            assert facts_of(collected, ClaimFacts).consumers is None


async def test_that_nobody_uses_a_claim_is_known_from_all_of_the_pods(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(*others(3), claim())
    one = finding("PersistentVolumeClaim", "data")
    collected = await cluster.collect(one, alone(one))
    assert facts_of(collected, ClaimFacts).consumers == ()
    assert any("used by pods: none" in e.text for e in collected.evidence)


async def test_pods_that_do_not_all_fit_in_the_bytes_are_read_in_part(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    large = [pod(f"big-{n:03}", metadata={"annotations": {"x": "y" * 9000}}) for n in range(250)]
    api.put(*large, {"kind": "ConfigMap", "metadata": metadata("cfg"), "data": {"a": "b"}})
    one = finding("ConfigMap", "cfg")
    collected = await cluster.collect(one, alone(one))
    assert any("only the first 200 were read" in line for line in collected.missing)


async def test_binary_data_has_the_size_a_pod_would_see(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    binary = {"a": "aGVsbG8="}
    api.put({"kind": "ConfigMap", "metadata": metadata("cfg"), "binaryData": binary})
    one = finding("ConfigMap", "cfg")
    facts = facts_of(await cluster.collect(one, alone(one)), ConfigMapFacts)
    assert facts.size == len("hello")


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job"])
async def test_quotas_are_read_where_only_an_event_says_that_creation_was_refused(
    api: FakeApi, cluster: KubernetesCluster, kind: str
) -> None:
    api.put({"kind": kind, "metadata": metadata("db"), "spec": {}})
    said = event(1, "db", "FailedCreate", 'pods "db-0" is forbidden: exceeded quota: small')
    said["involvedObject"]["kind"] = kind
    used = {"hard": {"pods": "1"}, "used": {"pods": "1"}}
    api.put(said, {"kind": "ResourceQuota", "metadata": metadata("small"), "status": used})
    one = finding(kind, "db")
    facts = facts_of(await cluster.collect(one, alone(one)), QuotaFacts)
    assert facts.exceeded == ("pods",)


async def test_a_kind_the_api_server_does_not_know_is_not_said_to_be_gone(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    one = finding("Disk Checker", "host-1")
    collected = await cluster.collect(one, alone(one))
    assert not [e for e in collected.evidence if isinstance(e.facts, ObjectFacts)]
    assert any("knows no kind Disk Checker" in line for line in collected.missing)


async def test_the_operator_groups_of_a_namespace_are_counted(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.discovery = [
        {
            "metadata": {"name": "operators.coreos.com"},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "operatorgroups",
                            "scope": "Namespaced",
                            "responseKind": {"kind": "OperatorGroup"},
                        }
                    ],
                }
            ],
        }
    ]
    path = "/apis/operators.coreos.com/v1/operatorgroups"
    api.objects[path] = [{"metadata": metadata(name, "olm")} for name in ("one", "two")]
    one = finding("OperatorGroup", "olm", namespace="olm")
    (evidence,) = (await cluster.collect(one, alone(one))).evidence
    assert evidence.text == "2 in the namespace, where one is allowed: one, two"


async def test_a_prometheus_finding_is_about_the_pod_it_names(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod())
    one = finding("PrometheusConfigValidate", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert any(e.source.startswith("container api") for e in collected.evidence)


async def test_what_is_missing_stands_in_the_same_order_each_time(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(claim())
    for plural in ("storageclasses", "csidrivers", "pods", "events"):
        api.refuse(plural, 403)
    one = finding("PersistentVolumeClaim", "data")
    missing = (await cluster.collect(one, alone(one))).missing
    assert len(missing) == 4
    assert list(missing) == sorted(missing)


async def test_an_autoscaler_is_held_against_the_apis_its_metrics_come_from(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    metrics = [{"type": "External", "external": {"metric": {"name": "queue"}}}, {"type": "Pods"}]
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "x"}, "metrics": metrics}
    api.put({"kind": "HorizontalPodAutoscaler", "metadata": metadata("x"), "spec": spec})
    serves = {"conditions": [{"type": "Available", "status": "True"}]}
    name = "v1beta1.custom.metrics.k8s.io"
    api.put({"kind": "APIService", "metadata": {"name": name}, "status": serves})
    one = finding("HorizontalPodAutoscaler", "x")
    collected = await cluster.collect(one, alone(one))
    facts = facts_of(collected, AutoscalerFacts)
    assert facts.metrics_api_available is None  # nothing comes from the metrics server
    text = next(e.text for e in collected.evidence if e.facts is facts)
    assert "metrics API v1beta1.custom.metrics.k8s.io available: yes" in text
    assert "metrics API v1beta1.external.metrics.k8s.io available: no" in text
