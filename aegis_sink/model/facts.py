"""Facts: evidence as fields, so that a playbook can ask "is the limit below -Xmx?" of a field.

One frozen dataclass a topic. Fields hold scalars, tuples of strings or string mappings only, so
that they can be stored as JSON and named in a playbook as `topic.field`. None means "not known".
Sizes are bytes, CPU is millicores, times are seconds, unless the name says otherwise.
Field names follow Kubernetes' where it has one. Add a field here before a collector writes it
and a playbook asks for it: `aegis-sink playbooks test` refuses names that are not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Base of all topics. `topic` is the first half of a field's name in a playbook."""

    topic: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts(Facts):
    """Any object: does it exist, how old is it, what do its conditions say."""

    topic: ClassVar[str] = "object"

    kind: str
    name: str
    namespace: str = ""
    exists: bool | None = None
    age_seconds: int | None = None
    deleting: bool | None = None
    finalizers: tuple[str, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Condition type → status ("Ready" → "False")."""
    condition_reasons: Mapping[str, str] = field(default_factory=dict)
    """Condition type → reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts(Facts):
    """The pod as a whole."""

    topic: ClassVar[str] = "pod"

    phase: str = ""
    reason: str = ""
    ready: bool | None = None
    node: str = ""
    qos_class: str = ""
    priority_class: str = ""
    service_account: str = ""
    service_account_exists: bool | None = None
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    has_affinity: bool | None = None
    has_tolerations: bool | None = None
    scheduling_gates: tuple[str, ...] = ()
    unschedulable_message: str = ""
    """The scheduler's own words, from condition PodScheduled."""
    labels: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[str, ...] = ()
    pending_claims: tuple[str, ...] = ()
    missing_references: tuple[str, ...] = ()
    """ConfigMaps or Secrets the kubelet could not find: "configmap app-config"."""
    evicted: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts(Facts):
    """One container of a pod, its state and last state."""

    topic: ClassVar[str] = "container"

    name: str
    init: bool = False
    sidecar: bool = False
    image: str = ""
    image_tag: str = ""
    image_pull_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    ready: bool | None = None
    started: bool | None = None
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    running_seconds: int | None = None
    exit_code: int | None = None
    """Of the current state when terminated, else of the last state."""
    termination_reason: str = ""
    termination_message: str = ""
    signal: int | None = None
    lived_seconds: int | None = None
    """How long the last run lasted before it ended."""
    cpu_request: int | None = None
    cpu_limit: int | None = None
    memory_request: int | None = None
    memory_limit: int | None = None
    env_names: tuple[str, ...] = ()
    java_max_heap: int | None = None
    """-Xmx from the command, args or JAVA_TOOL_OPTIONS/JAVA_OPTS, in bytes."""
    ports: tuple[str, ...] = ()
    """"http:8080/TCP"."""
    liveness_probe: str = ""
    """One line: "http GET :8080/healthz delay=0s period=10s timeout=1s failures=3"."""
    readiness_probe: str = ""
    startup_probe: str = ""
    probe_ports: tuple[str, ...] = ()
    """Ports that probes ask, as numbers; named ports resolved where the name exists."""
    liveness_initial_delay_seconds: int | None = None
    liveness_grace_seconds: int | None = None
    """initialDelay + period * failureThreshold of the liveness probe."""
    run_as_user: int | None = None
    run_as_non_root: bool | None = None
    read_only_root: bool | None = None
    privileged: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsFacts(Facts):
    """The events of one object, newest last, counted."""

    topic: ClassVar[str] = "events"

    reasons: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    """Redacted messages, one for each reason+message, newest last."""
    warnings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFacts(Facts):
    """A container's log; the lines are the evidence's text."""

    topic: ClassVar[str] = "log"

    container: str
    previous: bool
    empty: bool
    last_line: str = ""
    error_lines: tuple[str, ...] = ()
    """Up to ten redacted lines that look like the cause, oldest first."""
    error_count: int | None = None
    """How many of the lines that were read look like a cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts(Facts):
    """Deployment, ReplicaSet, StatefulSet, DaemonSet."""

    topic: ClassVar[str] = "workload"

    kind: str
    desired: int | None = None
    current: int | None = None
    ready: int | None = None
    available: int | None = None
    updated: int | None = None
    unavailable: int | None = None
    paused: bool | None = None
    strategy: str = ""
    generation_observed: bool | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    condition_reasons: Mapping[str, str] = field(default_factory=dict)
    condition_messages: Mapping[str, str] = field(default_factory=dict)
    failing_pods: tuple[str, ...] = ()
    pod_reasons: tuple[str, ...] = ()
    """Why its pods are not well: "CrashLoopBackOff", "Unschedulable" …"""
    service_name: str = ""
    service_exists: bool | None = None
    storage_classes: tuple[str, ...] = ()
    missing_storage_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFacts(Facts):
    """What changed between the last healthy revision and the current one."""

    topic: ClassVar[str] = "rollout"

    current_revision: int | None = None
    previous_revision: int | None = None
    changed_seconds_before_failure: int | None = None
    changed_fields: tuple[str, ...] = ()
    """"containers[api].image", "containers[api].resources.limits.memory" …"""
    image_changed: bool | None = None
    env_changed: bool | None = None
    command_changed: bool | None = None
    resources_changed: bool | None = None
    probes_changed: bool | None = None
    previous_was_healthy: bool | None = None
    previous_images: Mapping[str, str] = field(default_factory=dict)
    """Container → image of the previous revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts(Facts):
    """A Service against its pods and endpoints."""

    topic: ClassVar[str] = "service"

    name: str
    exists: bool | None = None
    type: str = ""
    selector: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    """"http 80→8080/TCP"."""
    matching_pods: int | None = None
    ready_endpoints: int | None = None
    not_ready_endpoints: int | None = None
    near_miss_labels: Mapping[str, str] = field(default_factory=dict)
    """The labels of the pods that match all but one of the selector's labels: label → their value."""
    near_miss_selector_label: str = ""
    """The one selector label ("app=chekout") that those pods do not carry."""
    near_miss_workload: str = ""
    target_ports_missing: tuple[str, ...] = ()
    """Target ports that no container of the matching pods declares."""
    container_ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressFacts(Facts):
    """An Ingress against class, backends and TLS secret names."""

    topic: ClassVar[str] = "ingress"

    ingress_class: str = ""
    class_exists: bool | None = None
    default_class_exists: bool | None = None
    classes: tuple[str, ...] = ()
    missing_services: tuple[str, ...] = ()
    missing_service_ports: tuple[str, ...] = ()
    backends_without_endpoints: tuple[str, ...] = ()
    unwell_pods: tuple[str, ...] = ()
    """The pods behind these, none of which is ready."""
    tls_secrets: tuple[str, ...] = ()
    """Names only. Whether they exist is not read: Secrets are never read."""
    services: tuple[str, ...] = ()
    similar_services: Mapping[str, str] = field(default_factory=dict)
    """Missing service → the existing one whose name is nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFacts(Facts):
    """A PersistentVolumeClaim, its class, volume and consumers."""

    topic: ClassVar[str] = "claim"

    name: str
    phase: str = ""
    storage_class: str = ""
    class_named: bool | None = None
    class_exists: bool | None = None
    default_class: str = ""
    classes: tuple[str, ...] = ()
    provisioner: str = ""
    provisioner_present: bool | None = None
    binding_mode: str = ""
    access_modes: tuple[str, ...] = ()
    requested: int | None = None
    volume: str = ""
    volume_exists: bool | None = None
    volume_phase: str = ""
    volume_zones: tuple[str, ...] = ()
    consumers: tuple[str, ...] | None = None
    """None when the pods could not all be read and none of those read uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts(Facts):
    """A Node: conditions, taints, lease, room."""

    topic: ClassVar[str] = "node"

    name: str
    exists: bool | None = None
    ready: str = ""
    """"True", "False", "Unknown"."""
    ready_reason: str = ""
    pressures: tuple[str, ...] = ()
    """Condition types that speak of a problem: "MemoryPressure" …"""
    taints: tuple[str, ...] = ()
    unschedulable: bool | None = None
    lease_age_seconds: int | None = None
    allocatable_cpu: int | None = None
    allocatable_memory: int | None = None
    requested_cpu: int | None = None
    requested_memory: int | None = None
    pods: int | None = None
    pod_capacity: int | None = None
    zone: str = ""
    architecture: str = ""
    kubelet_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesFacts(Facts):
    """All nodes together, for scheduling."""

    topic: ClassVar[str] = "nodes"

    total: int = 0
    ready: int = 0
    schedulable: int = 0
    largest_allocatable_cpu: int | None = None
    largest_allocatable_memory: int | None = None
    largest_free_cpu: int | None = None
    largest_free_memory: int | None = None
    taints: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    matching_node_selector: int | None = None
    """Nodes that carry the pod's nodeSelector labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts(Facts):
    """A Job or CronJob."""

    topic: ClassVar[str] = "job"

    kind: str
    suspended: bool | None = None
    failed: int | None = None
    succeeded: int | None = None
    active: int | None = None
    backoff_limit: int | None = None
    active_deadline_seconds: int | None = None
    failure_reason: str = ""
    schedule: str = ""
    schedule_valid: bool | None = None
    starting_deadline_seconds: int | None = None
    last_schedule_age_seconds: int | None = None
    last_success_age_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerFacts(Facts):
    """A HorizontalPodAutoscaler."""

    topic: ClassVar[str] = "autoscaler"

    target_kind: str = ""
    target_name: str = ""
    target_exists: bool | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    current_replicas: int | None = None
    desired_replicas: int | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    condition_reasons: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    metrics_api_available: bool | None = None
    containers_without_requests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DisruptionBudgetFacts(Facts):
    """A PodDisruptionBudget."""

    topic: ClassVar[str] = "disruption_budget"

    min_available: str = ""
    max_unavailable: str = ""
    current_healthy: int | None = None
    desired_healthy: int | None = None
    disruptions_allowed: int | None = None
    expected_pods: int | None = None
    matching_pods: int | None = None
    unwell_pods: tuple[str, ...] = ()
    """Names of the first ten that it covers and that are not well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicyFacts(Facts):
    """A NetworkPolicy."""

    topic: ClassVar[str] = "network_policy"

    selects_all: bool | None = None
    matching_pods: int | None = None
    policy_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionWebhookFacts(Facts):
    """One entry of a Validating- or MutatingWebhookConfiguration."""

    topic: ClassVar[str] = "admission_webhook"

    configuration: str = ""
    webhook: str = ""
    failure_policy: str = ""
    timeout_seconds: int | None = None
    service: str = ""
    service_exists: bool | None = None
    ready_endpoints: int | None = None
    has_ca_bundle: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMapFacts(Facts):
    """A ConfigMap: keys and sizes, never values."""

    topic: ClassVar[str] = "config_map"

    name: str
    exists: bool | None = None
    keys: tuple[str, ...] = ()
    size: int | None = None
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaFacts(Facts):
    """A ResourceQuota or LimitRange that stands in the way."""

    topic: ClassVar[str] = "quota"

    name: str
    kind: str = "ResourceQuota"
    hard: Mapping[str, str] = field(default_factory=dict)
    used: Mapping[str, str] = field(default_factory=dict)
    exceeded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageClassFacts(Facts):
    """A StorageClass."""

    topic: ClassVar[str] = "storage_class"

    name: str
    exists: bool | None = None
    provisioner: str = ""
    provisioner_present: bool | None = None
    default: bool | None = None
    binding_mode: str = ""
    reclaim_policy: str = ""
    default_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFacts(Facts):
    """A PersistentVolume."""

    topic: ClassVar[str] = "volume"

    name: str
    exists: bool | None = None
    phase: str = ""
    claim: str = ""
    reclaim_policy: str = ""
    capacity: int | None = None
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts(Facts):
    """A Gateway API object: GatewayClass, Gateway or HTTPRoute."""

    topic: ClassVar[str] = "route"

    kind: str
    gateway_class: str = ""
    class_exists: bool | None = None
    accepted: bool | None = None
    programmed: bool | None = None
    programmed_reason: str = ""
    """The controller's own word, of condition Programmed: "AddressNotAssigned"."""
    condition_reasons: Mapping[str, str] = field(default_factory=dict)
    """Condition type → reason."""
    controller: str = ""
    parents: tuple[str, ...] = ()
    missing_parents: tuple[str, ...] = ()
    missing_services: tuple[str, ...] = ()
    missing_service_ports: tuple[str, ...] = ()
    allowed_routes_from: str = ""


TOPICS: Mapping[str, type[Facts]] = {
    cls.topic: cls
    for cls in (
        ObjectFacts,
        PodFacts,
        ContainerFacts,
        EventsFacts,
        LogFacts,
        WorkloadFacts,
        RolloutFacts,
        ServiceFacts,
        IngressFacts,
        ClaimFacts,
        NodeFacts,
        NodesFacts,
        JobFacts,
        AutoscalerFacts,
        DisruptionBudgetFacts,
        NetworkPolicyFacts,
        AdmissionWebhookFacts,
        ConfigMapFacts,
        QuotaFacts,
        StorageClassFacts,
        VolumeFacts,
        RouteFacts,
    )
}


def field_names() -> frozenset[str]:
    """Every `topic.field` a playbook may ask."""
    return frozenset(f"{topic}.{f.name}" for topic, cls in TOPICS.items() for f in fields(cls))
