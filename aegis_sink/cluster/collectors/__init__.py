"""Collectors: for each kind, what an experienced engineer would have fetched. One table."""

from collections.abc import Awaitable, Callable, Mapping

from aegis_sink.cluster.collectors.admission import collect_admission_webhook
from aegis_sink.cluster.collectors.autoscaler import collect_autoscaler
from aegis_sink.cluster.collectors.claim import collect_finding_claim
from aegis_sink.cluster.collectors.config_map import collect_config_map
from aegis_sink.cluster.collectors.gateway import collect_gateway
from aegis_sink.cluster.collectors.generic import collect_object, collect_operator_groups
from aegis_sink.cluster.collectors.ingress import collect_ingress
from aegis_sink.cluster.collectors.job import collect_cron_job, collect_job
from aegis_sink.cluster.collectors.node import collect_finding_node
from aegis_sink.cluster.collectors.pod import collect_pod
from aegis_sink.cluster.collectors.selection import (
    collect_disruption_budget,
    collect_network_policy,
)
from aegis_sink.cluster.collectors.service import collect_finding_service
from aegis_sink.cluster.collectors.storage import collect_storage_class, collect_volume
from aegis_sink.cluster.collectors.workload import collect_workload
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef

Collector = Callable[[Visit], Awaitable[None]]

COLLECTORS: Mapping[str, Collector] = {
    "ConfigMap": collect_config_map,
    "CronJob": collect_cron_job,
    "DaemonSet": collect_workload,
    "Deployment": collect_workload,
    "Gateway": collect_gateway,
    "GatewayClass": collect_gateway,
    "HTTPRoute": collect_gateway,
    "HorizontalPodAutoscaler": collect_autoscaler,
    "Ingress": collect_ingress,
    "Job": collect_job,
    "MutatingWebhookConfiguration": collect_admission_webhook,
    "NetworkPolicy": collect_network_policy,
    "Node": collect_finding_node,
    "OperatorGroup": collect_operator_groups,
    "PersistentVolume": collect_volume,
    "PersistentVolumeClaim": collect_finding_claim,
    "Pod": collect_pod,
    "PodDisruptionBudget": collect_disruption_budget,
    "ReplicaSet": collect_workload,
    "Service": collect_finding_service,
    "StatefulSet": collect_workload,
    "StorageClass": collect_storage_class,
    "ValidatingWebhookConfiguration": collect_admission_webhook,
}


def collector(ref: ObjectRef) -> Collector:
    """The collector of an object's kind; kinds without one go through discovery."""
    return COLLECTORS.get(ref.resource_kind, collect_object)
