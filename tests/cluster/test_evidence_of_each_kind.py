"""Evidence of one object of each kind, made by and read from a real API server."""

from typing import Any, TypeVar

import pytest

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.model import Collected, Finding, ObjectRef, OwnerChain
from aegis_sink.model.facts import (
    AdmissionWebhookFacts,
    AutoscalerFacts,
    ClaimFacts,
    ConfigMapFacts,
    DisruptionBudgetFacts,
    EventsFacts,
    Facts,
    IngressFacts,
    JobFacts,
    NetworkPolicyFacts,
    NodeFacts,
    ObjectFacts,
    QuotaFacts,
    RolloutFacts,
    RouteFacts,
    ServiceFacts,
    StorageClassFacts,
    VolumeFacts,
    WorkloadFacts,
)
from tests.cluster.api import Api, account, crd, shipped_rules
from tests.cluster.conftest import AS_SHIPPED, served
from tests.cluster.kubelet import Kubelet

Object = dict[str, Any]
F = TypeVar("F", bound=Facts)
MOST_CALLS = 12
LABELS = {"app": "shop"}
POD: Object = {
    "metadata": {"labels": LABELS},
    "spec": {
        "containers": [{"name": "web", "image": "shop/web:1", "ports": [{"containerPort": 80}]}]
    },
}


def one(
    kind: str, namespace: str, api_version: str = "v1", name: str = "shop", **rest: Any
) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def workload(kind: str, namespace: str, **spec: Any) -> Object:
    spec = {"selector": {"matchLabels": LABELS}, "template": POD, **spec}
    return one(kind, namespace, "apps/v1", spec=spec)


async def collect(
    cluster: KubernetesCluster, kind: str, namespace: str, name: str = "shop"
) -> tuple[OwnerChain, Collected]:
    finding = Finding("default", ObjectRef(kind, name, namespace), "slack", errors=("sick",))
    chain = await cluster.owners(finding, lambda ref: OwnerChain((ref,), "its name"))
    collected = await cluster.collect(finding, chain)
    assert collected.missing == ()
    assert collected.calls <= MOST_CALLS
    return chain, collected


def facts(collected: Collected, kind: type[F]) -> F:
    found = [e.facts for e in collected.evidence if isinstance(e.facts, kind)]
    assert found, [e.source for e in collected.evidence]
    return found[0]


async def made(api: Api, kind: str, namespace: str, count: int = 1) -> list[Object]:
    """Wait until a controller has made so many."""
    seen: list[Object] = []

    async def enough() -> Object | None:
        seen[:] = await api.list(kind, namespace)
        return seen[0] if len(seen) >= count else None

    await api.until(enough)
    return seen


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
@pytest.mark.usefixtures("node")
async def test_a_workload_shows_its_counts_and_what_changed(
    kind: str, api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    more: Object = {} if kind == "DaemonSet" else {"replicas": 2}
    more |= {"serviceName": "shop"} if kind == "StatefulSet" else {}
    history = "ReplicaSet" if kind == "Deployment" else "ControllerRevision"
    await api.apply(workload(kind, namespace, **more))
    await made(api, history, namespace)
    container = {**POD["spec"]["containers"][0], "image": "shop/web:2"}
    changed = {**POD, "spec": {"containers": [container]}}
    await api.apply(workload(kind, namespace, template=changed, **more))
    await made(api, history, namespace, 2)
    if kind != "DaemonSet":  # its pods want a node without the not-ready taint
        await made(api, "Pod", namespace)

    async def counted() -> Object | None:
        found = await api.get(kind, namespace, "shop")
        status = found.get("status", {})
        return (
            found if status.get("observedGeneration") == found["metadata"]["generation"] else None
        )

    await api.until(counted)
    _, collected = await collect(cluster, kind, namespace)
    told = facts(collected, WorkloadFacts)
    assert (told.kind, told.ready or 0) == (kind, 0)
    assert told.desired == (0 if kind == "DaemonSet" else 2)
    rollout = facts(collected, RolloutFacts)
    assert (rollout.previous_revision, rollout.current_revision) == (1, 2)
    assert rollout.image_changed
    assert rollout.previous_images == {"web": "shop/web:1"}
    if kind == "StatefulSet":
        assert told.service_exists is False


async def test_a_job_of_a_cron_job_is_told_with_its_owner(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    spec = {"containers": POD["spec"]["containers"], "restartPolicy": "Never"}
    template: Object = {"spec": {"template": {"spec": spec}, "backoffLimit": 2}}
    cron = one("CronJob", namespace, "batch/v1",
               spec={"schedule": "0 0 31 2 *", "jobTemplate": template, "suspend": True})  # fmt: skip
    (stored,) = await api.apply(cron)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "shop", "controller": True,
             "uid": stored["metadata"]["uid"]}  # fmt: skip
    job = one("Job", namespace, "batch/v1", **template)
    job["metadata"]["ownerReferences"] = [owner]
    await api.apply(job)
    await made(api, "Pod", namespace)

    chain, collected = await collect(cluster, "Job", namespace)
    assert [ref.kind for ref in chain.chain] == ["Job", "CronJob"]
    told = facts(collected, JobFacts)
    assert (told.kind, told.backoff_limit) == ("Job", 2)

    _, collected = await collect(cluster, "CronJob", namespace)
    told = facts(collected, JobFacts)
    assert (told.schedule, told.suspended) == ("0 0 31 2 *", True)


async def test_a_service_is_held_against_pods_ports_and_endpoints(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    await api.apply(
        workload("Deployment", namespace, replicas=1),
        one("Service", namespace,
            spec={"selector": {"app": "shpo"}, "ports": [{"port": 80, "targetPort": "http"}]}),
    )  # fmt: skip
    await made(api, "Pod", namespace)
    await made(api, "EndpointSlice", namespace)
    _, collected = await collect(cluster, "Service", namespace)
    told = facts(collected, ServiceFacts)
    assert (told.matching_pods, told.ready_endpoints) == (0, 0)
    assert told.near_miss_workload
    assert collected.healthy is False


async def test_an_ingress_shows_its_class_its_backends_and_only_the_name_of_its_secret(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    backend = {"service": {"name": "absent", "port": {"number": 80}}}
    spec = {
        "ingressClassName": f"class-{namespace}",
        "tls": [{"hosts": ["shop.test"], "secretName": "shop-tls"}],
        "defaultBackend": backend,
    }
    await api.apply(one("Ingress", namespace, "networking.k8s.io/v1", spec=spec))
    _, collected = await collect(cluster, "Ingress", namespace)
    told = facts(collected, IngressFacts)
    assert told.class_exists is False
    assert told.missing_services == ("absent",)
    assert told.tls_secrets == ("shop-tls",)

    ingress_class = one("IngressClass", "", "networking.k8s.io/v1", f"class-{namespace}",
                        spec={"controller": "example.test/ingress"})  # fmt: skip
    await api.apply(ingress_class)
    _, collected = await collect(cluster, "Ingress", namespace)


async def test_a_claim_shows_its_class_and_who_waits_for_it(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    mounted = {**POD["spec"],
               "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "shop"}}]}  # fmt: skip
    await api.apply(
        one("PersistentVolumeClaim", namespace,
            spec={"accessModes": ["ReadWriteOnce"], "storageClassName": f"no-{namespace}",
                  "resources": {"requests": {"storage": "1Gi"}}}),
        one("Pod", namespace, spec=mounted),
    )  # fmt: skip
    _, collected = await collect(cluster, "PersistentVolumeClaim", namespace)
    told = facts(collected, ClaimFacts)
    assert (told.phase, told.class_exists, told.requested) == ("Pending", False, 1024**3)
    assert told.consumers == ("shop",)


async def test_a_storage_class_and_a_volume_are_told(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    name = f"class-{namespace}"
    await api.apply(
        one("StorageClass", "", "storage.k8s.io/v1", name, provisioner="csi.example.test"),
        one("PersistentVolume", "", name=name,
            spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                  "storageClassName": name, "hostPath": {"path": "/nowhere"}}),
    )  # fmt: skip
    _, collected = await collect(cluster, "StorageClass", "", name)
    told = facts(collected, StorageClassFacts)
    assert told.provisioner == "csi.example.test"
    assert told.provisioner_present is not True
    _, collected = await collect(cluster, "PersistentVolume", "", name)
    assert facts(collected, VolumeFacts).capacity == 1024**3
    await api.delete("PersistentVolume", "", name)
    await api.delete("StorageClass", "", name)


async def test_a_node_shows_its_conditions_and_what_runs_there(
    api: Api, cluster: KubernetesCluster, namespace: str, node: Kubelet
) -> None:
    spec = {"containers": [{**POD["spec"]["containers"][0],
                            "resources": {"requests": {"cpu": "500m"}}}]}  # fmt: skip
    await api.apply(one("Pod", namespace, spec=spec))
    await api.bind(namespace, "shop", "node-1")
    broken = node.node("node-1")["status"]
    broken["conditions"] = [
        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"},
        {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure"},
    ]
    await api.status("Node", {"name": "node-1"}, broken)
    finding = Finding("default", ObjectRef("Node", "node-1"), "slack", errors=("sick",))
    chain = await cluster.owners(finding, lambda ref: OwnerChain((ref,), "its name"))
    collected = await cluster.collect(finding, chain)
    told = facts(collected, NodeFacts)
    assert (told.ready, told.pressures) == ("Unknown", ("DiskPressure",))
    assert (told.requested_cpu or 0) >= 500
    assert collected.healthy is False


async def test_an_autoscaler_without_a_target_is_told(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "absent"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3}
    await api.apply(one("HorizontalPodAutoscaler", namespace, "autoscaling/v2", spec=spec))
    _, collected = await collect(cluster, "HorizontalPodAutoscaler", namespace)
    told = facts(collected, AutoscalerFacts)
    assert (told.target_name, told.target_exists, told.max_replicas) == ("absent", False, 3)
    assert told.metrics_api_available is False


async def test_a_disruption_budget_and_a_network_policy_are_held_against_pods(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    selector = {"matchLabels": LABELS}
    await api.apply(
        workload("Deployment", namespace, replicas=1),
        one("PodDisruptionBudget", namespace, "policy/v1",
            spec={"selector": selector, "minAvailable": 1}),
        one("NetworkPolicy", namespace, "networking.k8s.io/v1",
            spec={"podSelector": selector, "policyTypes": ["Ingress"]}),
    )  # fmt: skip
    await made(api, "Pod", namespace)
    _, collected = await collect(cluster, "PodDisruptionBudget", namespace)
    told = facts(collected, DisruptionBudgetFacts)
    assert (told.min_available, told.matching_pods) == ("1", 1)
    _, collected = await collect(cluster, "NetworkPolicy", namespace)
    policy = facts(collected, NetworkPolicyFacts)
    assert (policy.matching_pods, policy.policy_types) == (1, ("Ingress",))


@pytest.mark.parametrize("kind", ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"])
async def test_a_webhook_is_found_by_its_own_name_not_by_its_configurations(
    kind: str, api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    hook = {
        "name": f"deny.{namespace}.example.test",
        "clientConfig": {"service": {"name": "absent", "namespace": namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "namespaceSelector": {"matchLabels": {"nobody": "has-this"}},
    }
    name = f"config-{namespace}"
    await api.apply(one(kind, "", "admissionregistration.k8s.io/v1", name, webhooks=[hook]))
    _, collected = await collect(cluster, kind, "", f"deny.{namespace}.example.test")
    told = facts(collected, AdmissionWebhookFacts)
    assert (told.configuration, told.failure_policy) == (name, "Ignore")
    assert told.service_exists is False
    await api.delete(kind, "", name)


async def test_a_config_map_shows_keys_and_sizes_and_no_value(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    await api.apply(one("ConfigMap", namespace, data={"app.yaml": "planted: correct-horse"}))
    _, collected = await collect(cluster, "ConfigMap", namespace)
    told = facts(collected, ConfigMapFacts)
    assert (told.exists, told.keys) == (True, ("app.yaml",))
    assert "correct-horse" not in repr(collected)


async def test_a_quota_that_refused_creation_is_read_along(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    quota = one("ResourceQuota", namespace, spec={"hard": {"pods": "0"}})
    await api.apply(quota)

    async def counted() -> Object | None:
        found = await api.get("ResourceQuota", namespace, "shop")
        return found if found.get("status", {}).get("hard") else None

    await api.until(counted)
    await api.apply(workload("Deployment", namespace, replicas=1))

    async def refused() -> Object | None:
        found = await api.list("ReplicaSet", namespace)
        conditions = found[0].get("status", {}).get("conditions") if found else None
        return found[0] if conditions else None

    replica_set = (await api.until(refused))["metadata"]["name"]
    _, collected = await collect(cluster, "ReplicaSet", namespace, replica_set)
    assert facts(collected, QuotaFacts).hard == {"pods": "0"}


async def test_a_custom_resource_with_a_custom_owner_goes_through_discovery(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    await api.apply(crd("widgets"))
    await served(api, "widgets", "example.test")
    # What the chart's rbac.extraRules adds.
    rule = {"apiGroups": ["example.test"], "resources": ["widgets"], "verbs": ["get"]}
    await api.apply(*account(AS_SHIPPED, "default", [*shipped_rules(), rule]))
    await api.until_it_may("default", AS_SHIPPED, "get", "widgets", "example.test")
    (owner,) = await api.apply(one("Widget", namespace, "example.test/v1", "fleet"))
    widget = one("Widget", namespace, "example.test/v1")
    reference = {"apiVersion": "example.test/v1", "kind": "Widget", "name": "fleet",
                 "uid": owner["metadata"]["uid"], "controller": True}  # fmt: skip
    widget["metadata"]["ownerReferences"] = [reference]
    await api.apply(widget)

    chain, collected = await collect(cluster, "Widget", namespace)
    assert [(ref.kind, ref.name) for ref in chain.chain] == [
        ("Widget", "shop"),
        ("Widget", "fleet"),
    ]
    assert facts(collected, ObjectFacts).exists


GATEWAYS = {"Gateway": "gateways", "GatewayClass": "gatewayclasses", "HTTPRoute": "httproutes"}


@pytest.fixture
async def gateway_api(api: Api) -> None:
    """The Gateway API's kinds, with schemas that take anything."""
    group = "gateway.networking.k8s.io"
    for kind, plural in GATEWAYS.items():
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                   "schema": {"openAPIV3Schema": schema}}  # fmt: skip
        names = {"kind": kind, "listKind": f"{kind}List", "plural": plural,
                 "singular": kind.lower()}  # fmt: skip
        definition = one("CustomResourceDefinition", "", "apiextensions.k8s.io/v1",
                         f"{plural}.{group}",
                         spec={"group": group, "names": names, "versions": [version],
                               "scope": "Cluster" if kind == "GatewayClass" else "Namespaced"})  # fmt: skip
        # The group is Kubernetes' own: the server wants to know that this is not the real one.
        unapproved = {"api-approved.kubernetes.io": "unapproved, for tests"}
        definition["metadata"]["annotations"] = unapproved
        await api.apply(definition)
    for plural in GATEWAYS.values():
        await served(api, plural, group)


@pytest.mark.usefixtures("gateway_api")
async def test_the_gateway_apis_kinds_show_what_they_refer_to_and_what_lacks(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    version = "gateway.networking.k8s.io/v1"
    rule = {"backendRefs": [{"name": "absent", "port": 80}]}
    await api.apply(
        one("GatewayClass", "", version, f"class-{namespace}",
            spec={"controllerName": "example.test/gateway"}),
        one("Gateway", namespace, version, spec={"gatewayClassName": f"no-{namespace}"}),
        one("HTTPRoute", namespace, version,
            spec={"parentRefs": [{"name": "nowhere"}], "rules": [rule]}),
    )  # fmt: skip
    _, collected = await collect(cluster, "GatewayClass", "", f"class-{namespace}")
    assert facts(collected, RouteFacts).controller == "example.test/gateway"
    _, collected = await collect(cluster, "Gateway", namespace)
    told = facts(collected, RouteFacts)
    assert (told.gateway_class, told.class_exists) == (f"no-{namespace}", False)
    _, collected = await collect(cluster, "HTTPRoute", namespace)
    told = facts(collected, RouteFacts)
    assert [name.rpartition("/")[2] for name in told.missing_parents] == ["nowhere"]
    assert [name.rpartition("/")[2] for name in told.missing_services] == ["absent"]


async def test_more_events_than_a_page_show_the_newest(
    api: Api, cluster: KubernetesCluster, namespace: str
) -> None:
    await api.apply(one("Pod", namespace, spec=POD["spec"]))
    for number in range(260):
        event = one("Event", namespace, name=f"shop.{number:04x}",
                    involvedObject={"kind": "Pod", "name": "shop", "namespace": namespace},
                    type="Warning", reason="Unhealthy", message=f"probe failed, try {number}",
                    lastTimestamp=f"2026-03-01T10:{number // 60:02}:{number % 60:02}Z")  # fmt: skip
        await api.apply(event)
    _, collected = await collect(cluster, "Pod", namespace)
    told = facts(collected, EventsFacts)
    assert told.messages[-1] == "probe failed, try 259"
    assert told.warnings == 260
