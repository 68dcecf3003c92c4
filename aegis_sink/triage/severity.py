"""How bad a finding is, by K8sGPT's kind and words alone. Every template of facts/analyzers.md has
a row; evidence is not asked, so that the door can decide it."""

import re
from collections.abc import Iterable, Sequence

from aegis_sink.model import ObjectRef, Severity

DOWN, DEGRADED, RISK, HINT = Severity.DOWN, Severity.DEGRADED, Severity.RISK, Severity.HINT

_WORST_FIRST = (DOWN, DEGRADED, RISK, HINT)

# Kind → (what the text says, how bad that is). The first row that fits counts; "" fits any text
# and also a finding without texts.
#   down      nobody is served, or nothing can be changed
#   degraded  some are served, or will not be after the next restart or rollout
#   risk      works now
#   hint      advice; listed, and nobody is told
_TABLE: dict[str, tuple[tuple[str, Severity], ...]] = {
    "Pod": (
        ("SchedulingGated", RISK),  # held back on purpose
        ("has been evicted|low on resource", RISK),  # a new pod stands for it
        ("^previous container logs: |^Error .* from Pod ", RISK),
        ("", DEGRADED),  # its siblings may serve
    ),
    "Deployment": (
        (r"(?:but 0 are|and 0 replicas are) available", DOWN),
        ("", DEGRADED),
    ),
    "ReplicaSet": (("", DEGRADED),),  # the ReplicaSet of the last rollout may still serve
    "StatefulSet": (
        ("^StatefulSet uses the service ", DEGRADED),
        ("^StatefulSet uses the storage class ", DEGRADED),
        ("^Statefulset pod .* is not in running state", DEGRADED),
        (".", DOWN),  # an event, copied because pod 0 is missing: not one pod was made
        ("", DEGRADED),
    ),
    "DaemonSet": (
        ("has 0 ready replicas", DOWN),
        ("references non-existent ImagePullSecret", RISK),
        ("", DEGRADED),
    ),
    "Service": (
        ("^Service has no endpoints", DOWN),
        ("^Service has not ready endpoints", DEGRADED),
        ("has event .*load balancer", DEGRADED),
        ("has event ", RISK),
        ("", DEGRADED),
    ),
    "Ingress": (
        ("does not specify an Ingress class", RISK),  # a default class may exist
        ("", DEGRADED),
    ),
    "PersistentVolumeClaim": (("", DEGRADED),),
    "Job": (("is suspended", HINT), ("", DEGRADED)),
    "CronJob": (("is suspended", HINT), ("", DEGRADED)),
    "Node": (
        ("condition of type (?:Ready|NetworkUnavailable),", DOWN),
        ("condition of type (?:Memory|Disk|PID)Pressure,", DEGRADED),
        (".", RISK),  # any other condition, whatever its status: K8sGPT reports them all
        ("", DOWN),
    ),
    "ValidatingWebhookConfiguration": (("inactive receiver pod", DEGRADED), ("", DOWN)),
    "MutatingWebhookConfiguration": (("inactive receiver pod", DEGRADED), ("", DOWN)),
    "ConfigMap": (("is larger than 1MB", RISK), ("", HINT)),
    "HorizontalPodAutoscaler": (("", RISK),),
    "PodDisruptionBudget": (("", RISK),),
    "NetworkPolicy": (("", HINT),),
    "GatewayClass": (("", DEGRADED),),
    "Gateway": (("uses the GatewayClass .* does not exist", DOWN), ("", DEGRADED)),
    "HTTPRoute": (("uses the Gateway .* does not exist", DOWN), ("", DEGRADED)),
    "Storage/StorageClass": (("Multiple default StorageClasses", RISK), ("", HINT)),
    "Storage/PersistentVolume": (("is in Failed state", RISK), ("", HINT)),
    "Storage/PersistentVolumeClaim": (
        ("is in Lost state", DOWN),
        ("is in Pending state", RISK),  # may wait for its first pod
        ("", HINT),
    ),
    "Security/ServiceAccount": (("", HINT),),
    "Security/RoleBinding": (("", HINT),),
    "Security/Pod": (("", HINT),),
    "ClusterCatalog": (("", RISK),),
    "ClusterExtension": (("", RISK),),
    "ClusterServiceVersion": (('^phase="Failed"', DEGRADED), ("", RISK)),
    "Subscription": (("", RISK),),
    "InstallPlan": (("", RISK),),
    "CatalogSource": (("", RISK),),
    "OperatorGroup": (("", RISK),),
    "ScaledObject": (("", RISK),),
    "PolicyReport": (("critical Vulnerability", RISK), ("", HINT)),
    "ClusterPolicyReport": (("critical Vulnerability", RISK), ("", HINT)),
    "PrometheusConfigValidate": (("no scrape configurations", DEGRADED), ("", RISK)),
    "PrometheusConfigRelabelReport": (("", HINT),),
    "EKS": (("", RISK),),
}
# A custom analyzer reports what somebody wanted to hear of.
_CUSTOM: tuple[tuple[str, Severity], ...] = (("", DEGRADED),)

_Rows = tuple[tuple[re.Pattern[str], Severity], ...]


def _compiled(rows: tuple[tuple[str, Severity], ...]) -> _Rows:
    return tuple((re.compile(says), how_bad) for says, how_bad in rows)


_ROWS: dict[str, _Rows] = {kind: _compiled(rows) for kind, rows in _TABLE.items()}
_CUSTOM_ROWS = _compiled(_CUSTOM)


def severity(ref: ObjectRef, errors: Sequence[str]) -> Severity:
    """The worst that the errors of one finding say; for none, what is usual for the kind."""
    rows = _ROWS.get(ref.kind)
    if rows is None:
        # Another group of K8sGPT's ("Security/…", "Storage/…") that came after this table.
        rows = _ROWS["Security/Pod"] if ref.kind.startswith("Security/") else _CUSTOM_ROWS
    return worst(_of(text, rows) for text in errors or ("",))


def worst(severities: Iterable[Severity]) -> Severity:
    """Of several findings of one problem; at least one."""
    return min(severities, key=_WORST_FIRST.index)


def _of(text: str, rows: _Rows) -> Severity:
    first_line = text.partition("\n")[0][:1000]
    return next(how_bad for says, how_bad in rows if says.search(first_line))
