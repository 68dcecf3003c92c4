"""What K8sGPT's error texts state, as the same fields the collectors fill.

The templates are those of facts/analyzers.md. This is what a diagnosis rests on when the cluster
cannot be read; where evidence exists, the evidence is asked instead. K8sGPT's `details` are model
text and are never read here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from aegis_sink.model.facts import (
    AdmissionWebhookFacts,
    AutoscalerFacts,
    ClaimFacts,
    ContainerFacts,
    Facts,
    IngressFacts,
    JobFacts,
    LogFacts,
    NodeFacts,
    PodFacts,
    RouteFacts,
    ServiceFacts,
    StorageClassFacts,
    VolumeFacts,
    WorkloadFacts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aegis_sink.model import Finding

Reader: TypeAlias = "Callable[[re.Match[str], Finding], Facts]"


def stated_facts(findings: Iterable[Finding]) -> tuple[Facts, ...]:
    """Facts stated by the error texts of the findings, in their order, each once."""
    stated: list[Facts] = []
    for finding in findings:
        if finding.container and finding.errors:
            # Only the Log analyzer names a container in the finding; its texts are log lines.
            stated.append(
                LogFacts(
                    container=finding.container,
                    previous=finding.errors[0].startswith("previous container logs"),
                    empty=False,
                    last_line=finding.errors[-1],
                    error_lines=finding.errors,
                )
            )
            continue
        for text in finding.errors:
            stated.extend(f for f in _read(text, finding) if f not in stated)
    return tuple(stated)


def _read(text: str, finding: Finding) -> Iterator[Facts]:
    for pattern, reader in _TEXTS:
        found = pattern.search(text)
        if found is not None:
            yield reader(found, finding)
            return


def _last_termination(m: re.Match[str], _: Finding) -> Facts:
    return ContainerFacts(
        name=m["container"],
        termination_reason=m["reason"],
        waiting_reason="CrashLoopBackOff",
        exit_code=137 if m["reason"] == "OOMKilled" else None,
    )


def _termination(m: re.Match[str], _: Finding) -> Facts:
    return ContainerFacts(
        name=m["container"], termination_reason=m["reason"], exit_code=int(m["code"])
    )


def _waiting(reason: str) -> Reader:
    def read(m: re.Match[str], finding: Finding) -> Facts:
        image = m.groupdict().get("image") or ""
        return ContainerFacts(
            name=finding.container,
            image=image,
            waiting_reason=reason,
            waiting_message=m.string,
        )

    return read


def _unschedulable(m: re.Match[str], _: Finding) -> Facts:
    return PodFacts(phase="Pending", unschedulable_message=m.string)


def _gated(_: re.Match[str], __: Finding) -> Facts:
    return PodFacts(phase="Pending", scheduling_gates=("(not named by K8sGPT)",))


def _evicted(_: re.Match[str], __: Finding) -> Facts:
    return PodFacts(phase="Failed", reason="Evicted", evicted=True)


def _no_endpoints(m: re.Match[str], finding: Finding) -> Facts:
    return ServiceFacts(
        name=finding.object.name, selector={m["label"]: m["value"]}, ready_endpoints=0
    )


def _not_ready_endpoints(m: re.Match[str], finding: Finding) -> Facts:
    pods = m["pods"].split()
    return ServiceFacts(
        name=finding.object.name,
        ready_endpoints=max(0, int(m["expected"]) - len(pods)),
        not_ready_endpoints=len(pods),
    )


def _ingress_class(m: re.Match[str], _: Finding) -> Facts:
    return IngressFacts(ingress_class=m["cls"])


def _ingress_service(m: re.Match[str], _: Finding) -> Facts:
    return IngressFacts(missing_services=(m["service"],))


def _ingress_tls(m: re.Match[str], _: Finding) -> Facts:
    return IngressFacts(tls_secrets=(m["secret"],))


def _claim_class(m: re.Match[str], finding: Finding) -> Facts:
    return ClaimFacts(
        name=finding.object.name, phase="Pending", storage_class=m["cls"], class_exists=False
    )


def _replicas(m: re.Match[str], finding: Finding) -> Facts:
    return WorkloadFacts(
        kind=finding.object.resource_kind, desired=int(m["want"]), available=int(m["have"])
    )


def _daemon(m: re.Match[str], finding: Finding) -> Facts:
    return WorkloadFacts(
        kind=finding.object.resource_kind, desired=int(m["want"]), ready=int(m["have"])
    )


def _condition(m: re.Match[str], finding: Finding) -> Facts:
    return WorkloadFacts(
        kind=finding.object.resource_kind,
        conditions={m["type"]: m["status"]},
        condition_reasons={m["type"]: m["reason"]},
        condition_messages={m["type"]: m["message"]},
    )


def _set_service(m: re.Match[str], _: Finding) -> Facts:
    return WorkloadFacts(
        kind="StatefulSet", service_name=m["service"].rpartition("/")[2], service_exists=False
    )


def _set_class(m: re.Match[str], _: Finding) -> Facts:
    return WorkloadFacts(kind="StatefulSet", missing_storage_classes=(m["cls"],))


def _node(m: re.Match[str], finding: Finding) -> Facts:
    kind, reason = m["type"], m["reason"]
    pressed = kind.endswith("Pressure") or kind == "NetworkUnavailable"
    return NodeFacts(
        name=finding.object.name,
        ready=("Unknown" if reason == "NodeStatusUnknown" else "False") if kind == "Ready" else "",
        ready_reason=reason if kind == "Ready" else "",
        pressures=(kind,) if pressed else (),
    )


def _suspended(_: re.Match[str], finding: Finding) -> Facts:
    return JobFacts(kind=finding.object.resource_kind, suspended=True)


def _schedule(m: re.Match[str], _: Finding) -> Facts:
    return JobFacts(kind="CronJob", schedule_valid=False, schedule=m["why"])


def _deadline(_: re.Match[str], __: Finding) -> Facts:
    return JobFacts(kind="CronJob", starting_deadline_seconds=-1)


def _backoff(_: re.Match[str], __: Finding) -> Facts:
    return JobFacts(kind="Job", failure_reason="BackoffLimitExceeded")


def _scale_target(m: re.Match[str], _: Finding) -> Facts:
    return AutoscalerFacts(target_kind=m["kind"], target_name=m["name"], target_exists=False)


def _no_requests(m: re.Match[str], _: Finding) -> Facts:
    return AutoscalerFacts(
        target_kind=m["kind"],
        target_name=m["name"],
        target_exists=True,
        containers_without_requests=("(not named by K8sGPT)",),
    )


def _webhook_service(m: re.Match[str], _: Finding) -> Facts:
    return AdmissionWebhookFacts(webhook=m["webhook"], service=m["service"], service_exists=False)


def _webhook_pods(m: re.Match[str], _: Finding) -> Facts:
    return AdmissionWebhookFacts(webhook=m["webhook"], service=m["service"], ready_endpoints=0)


def _released(m: re.Match[str], _: Finding) -> Facts:
    return VolumeFacts(name=m["name"], phase=m["phase"])


def _claim_phase(m: re.Match[str], finding: Finding) -> Facts:
    return ClaimFacts(name=finding.object.name, phase=m["phase"])


def _default_classes(_: re.Match[str], finding: Finding) -> Facts:
    return StorageClassFacts(name=finding.object.name, default_classes=("(several)",))


def _gateway_class(m: re.Match[str], _: Finding) -> Facts:
    return RouteFacts(kind="Gateway", gateway_class=m["cls"], class_exists=False)


def _route_gateway(m: re.Match[str], _: Finding) -> Facts:
    return RouteFacts(kind="HTTPRoute", missing_parents=(m["gateway"],))


def _route_service(m: re.Match[str], _: Finding) -> Facts:
    return RouteFacts(kind="HTTPRoute", missing_services=(m["service"],))


def _route_port(m: re.Match[str], _: Finding) -> Facts:
    return RouteFacts(kind="HTTPRoute", missing_service_ports=(f"{m['service']}:{m['port']}",))


_TEXTS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (
            r"the last termination reason is (?P<reason>\S+) container=(?P<container>\S+) pod=\S+",
            _last_termination,
        ),
        (
            r"the termination reason is (?P<reason>\S+) exitCode=(?P<code>\d+) "
            r"container=(?P<container>\S+) pod=\S+",
            _termination,
        ),
        (r"^Back-off pulling image \"(?P<image>[^\"]+)\"", _waiting("ImagePullBackOff")),
        (r"ailed to pull (?:and unpack )?image \"(?P<image>[^\"]+)\"", _waiting("ErrImagePull")),
        (
            r"Container image \"(?P<image>[^\"]+)\" is not present with pull policy of Never",
            _waiting("ErrImageNeverPull"),
        ),
        (
            r"ailed to apply default image tag \"(?P<image>[^\"]*)\"|couldn't parse image",
            _waiting("InvalidImageName"),
        ),
        (
            r"^(?:configmap|secret) \"[^\"]+\" not found|couldn't find key \S+ in"
            r"|container has runAsNonRoot",
            _waiting("CreateContainerConfigError"),
        ),
        (r"^back-off \S+ restarting failed container", _waiting("CrashLoopBackOff")),
        (
            r"failed to (?:create|start) (?:containerd task|container)|OCI runtime create failed"
            r"|exec: \"[^\"]+\"",
            _waiting("RunContainerError"),
        ),
        (r"\d+/\d+ nodes are available", _unschedulable),
        (r"is in a SchedulingGated state", _gated),
        (r"^Pod \S+ has been evicted|node was low on resource", _evicted),
        (
            r"^Service has no endpoints, expected label (?P<label>[^=]+)=(?P<value>.*)$",
            _no_endpoints,
        ),
        (
            r"^Service has not ready endpoints, pods: \[(?P<pods>[^\]]*)\], expected (?P<expected>\d+)",
            _not_ready_endpoints,
        ),
        (r"^Ingress uses the ingress class (?P<cls>\S+) which does not exist", _ingress_class),
        (r"^Ingress uses the service (?P<service>\S+) which does not exist", _ingress_service),
        (r"^Ingress uses the secret (?P<secret>\S+) as a TLS certificate", _ingress_tls),
        (r"^storageclass\.storage\.k8s\.io \"(?P<cls>[^\"]+)\" not found", _claim_class),
        (r"^Deployment \S+ has (?P<want>\d+) replicas but (?P<have>\d+) are available", _replicas),
        (
            r"^Deployment \S+ has condition (?P<type>\w+)=(?P<status>\w+), reason (?P<reason>\w+): "
            r"(?P<message>.*)",
            _condition,
        ),
        (
            r"^DaemonSet \S+ has (?P<have>\d+) ready replicas out of (?P<want>\d+) scheduled",
            _daemon,
        ),
        (r"^StatefulSet uses the service (?P<service>\S+) which does not exist", _set_service),
        (r"^StatefulSet uses the storage class (?P<cls>\S+) which does not exist", _set_class),
        (r" has condition of type (?P<type>\w+), reason (?P<reason>\w*):", _node),
        (r"^(?:Job|CronJob) \S+ is suspended", _suspended),
        (r"^CronJob \S+ has an invalid schedule: (?P<why>.*)", _schedule),
        (r"^CronJob \S+ has a negative starting deadline", _deadline),
        (r"^Job has reached the specified backoff limit", _backoff),
        (
            r"uses (?P<kind>\w+)/(?P<name>\S+) as ScaleTargetRef which does not exist",
            _scale_target,
        ),
        (
            r"^(?P<kind>\w+) \S*/(?P<name>\S+) does not have resource configured",
            _no_requests,
        ),
        (
            r"^Service (?P<service>\S+) not found as mapped to by \w+ Webhook (?P<webhook>\S+)",
            _webhook_service,
        ),
        (
            r"^No active pods found within service (?P<service>\S+) as mapped to by \w+ Webhook "
            r"(?P<webhook>\S+)",
            _webhook_pods,
        ),
        (r"^PersistentVolume (?P<name>\S+) is in (?P<phase>\w+) state", _released),
        (r"^PersistentVolumeClaim \S+ is in (?P<phase>\w+) state", _claim_phase),
        (r"^Multiple default StorageClasses found", _default_classes),
        (r"^Gateway uses the GatewayClass (?P<cls>\S+) which does not exist", _gateway_class),
        (r"^HTTPRoute uses the Gateway '(?P<gateway>[^']+)' which does not exist", _route_gateway),
        (r"^HTTPRoute uses the Service '(?P<service>[^']+)' which does not exist", _route_service),
        (
            r"backend service '(?P<service>[^']+)' is using port '(?P<port>\d+)' but",
            _route_port,
        ),
    )
)
