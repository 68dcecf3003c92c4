"""Each incident to try gets the diagnosis its file promises, from what a cluster makes of it.

What kubelet, scheduler and controllers write is written here, with their words; K8sGPT's are those
of facts/analyzers.md. The five that need no kubelet are also tried on a real API server
(tests/cluster/test_ship_incidents.py).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.evaluation.folder import EvalCase, Expected, Log
from aegis_sink.evaluation.run import investigate
from aegis_sink.model import Finding, ObjectRef

Object = dict[str, Any]
Found = tuple[str, str, tuple[str, ...]]
"""Kind, name and texts of one Result."""

INCIDENTS = Path(__file__).parents[3] / "k8sgpt" / "incidents"
START, END, NOW = "2026-03-01T10:00:00Z", "2026-03-01T10:00:01Z", "2026-03-01T10:05:00Z"
UNSCHEDULABLE = (
    "0/1 nodes are available: 1 {}. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
NO_TAG = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/'
    'nginx:no-such-tag": failed to resolve reference "docker.io/library/nginx:no-such-tag": '
    "docker.io/library/nginx:no-such-tag: not found"
)
NO_PROGRAM = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to start container process: error during container init: exec: "
    '"serve": executable file not found in $PATH: unknown'
)
NO_FILE = b"cat: can't open '/data/orders.csv': No such file or directory\n"
NO_METRICS = (
    "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get "
    "metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could "
    "not find the requested resource (get pods.metrics.k8s.io)"
)


@dataclass
class Tried:
    """The objects of a file, and what a cluster adds to them."""

    objects: list[Object]
    namespace: str = "aegis-try"
    logs: dict[Log, bytes] = field(default_factory=dict)

    def of(self, kind: str) -> Object:
        return next(one for one in self.objects if one["kind"] == kind)

    def add(
        self, api: str, kind: str, name: str, owner: Object | None = None, **rest: Any
    ) -> Object:
        metadata: Object = {"name": name, "namespace": self.namespace, "uid": f"uid-{name}"}
        metadata["creationTimestamp"] = START
        if owner:
            above = {key: owner[key] for key in ("apiVersion", "kind")}
            above |= {"name": owner["metadata"]["name"], "uid": f"uid-{owner['metadata']['name']}"}
            metadata["ownerReferences"] = [{**above, "controller": True}]
        metadata |= rest.pop("metadata", {})
        one = {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}
        self.objects.append(one)
        return one

    def event(self, about: Object, reason: str, message: str) -> None:
        place = {**about["metadata"], "kind": about["kind"]}
        object_ = {key: place[key] for key in ("kind", "name", "namespace")}
        name = f"{place['name']}.{len(self.objects)}"
        seen: Object = {
            "firstTimestamp": START,
            "lastTimestamp": NOW,
            "count": 9,
            "type": "Warning",
        }
        self.add(
            "v1", "Event", name, involvedObject=object_, reason=reason, message=message, **seen
        )

    def pod(self, status: Object, container: Object | None = None) -> Object:
        """The pod of the file's Deployment with this status, and with this of its container."""
        above = self.of("Deployment")
        name, template = above["metadata"]["name"], above["spec"]["template"]
        above["status"] = {"replicas": 1, "unavailableReplicas": 1}
        labels = {**template["metadata"]["labels"], "pod-template-hash": "7c5ddbdf54"}
        made = {"metadata": {"labels": labels}, "spec": template["spec"]}
        revision = {"labels": labels, "annotations": {"deployment.kubernetes.io/revision": "1"}}
        set_ = self.add(
            "apps/v1", "ReplicaSet", f"{name}-7c5ddbdf54", above, metadata=revision,
            spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": made},
            status={"replicas": 1},
        )  # fmt: skip
        if container:
            (one,) = template["spec"]["containers"]
            same = {"name": one["name"], "image": one["image"], "imageID": "", "ready": False}
            status = {**status, "containerStatuses": [{**same, "restartCount": 0, **container}]}
        return self.add(
            "v1", "Pod", f"{name}-7c5ddbdf54-x2k9q", set_, metadata={"labels": labels},
            spec={**template["spec"], "nodeName": "kind-control-plane"}, status=status,
        )  # fmt: skip

    def crashing(self, log: str = "", **ended: Any) -> Object:
        """… that ends at once, again and again."""
        last = {"exitCode": 1, "reason": "Error", "startedAt": START, "finishedAt": END, **ended}
        wait = {
            "reason": "CrashLoopBackOff",
            "message": "back-off 1m20s restarting failed container",
        }
        state = {"state": {"waiting": wait}, "lastState": {"terminated": last}, "restartCount": 4}
        pod = self.pod({"phase": "Running"}, state)
        self.event(pod, "BackOff", "Back-off restarting failed container")
        container = pod["spec"]["containers"][0]["name"]
        place = (self.namespace, pod["metadata"]["name"], container)
        self.logs |= {(*place, previous): log.encode() for previous in (True, False)}
        return pod

    def waiting(self, reason: str, message: str) -> Object:
        return self.pod(
            {"phase": "Pending"}, {"state": {"waiting": {"reason": reason, "message": message}}}
        )

    def pending(self, why: str) -> Object:
        node = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        self.objects.append(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "kind-control-plane"},
             "status": {"allocatable": node, "capacity": node,
                        "conditions": [{"type": "Ready", "status": "True"}]}}
        )  # fmt: skip
        message = UNSCHEDULABLE.format(why)
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        pod = self.pod({"phase": "Pending", "conditions": [{**condition, "message": message}]})
        del pod["spec"]["nodeName"]
        self.event(pod, "FailedScheduling", message)
        return pod


def path(one: Object) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


def both(pod: Object, *texts: str) -> list[list[Found]]:
    """The pod with each of these texts in turn; and its Deployment beside it, and alone."""
    namespace, name = path(pod).split("/")
    above = f"{namespace}/{name.removesuffix('-7c5ddbdf54-x2k9q')}"
    few = f"Deployment {above} has 1 replicas but 0 are available with status running"
    said: list[Found] = [("Pod", path(pod), (text,)) for text in texts]
    return [*([one] for one in said), [*said[:1], ("Deployment", above, (few,))],
            [("Deployment", above, (few,))]]  # fmt: skip


def ended(pod: Object, reason: str, code: int) -> tuple[str, str]:
    """K8sGPT's words while the container waits, and in the moment after its end."""
    name, (one,) = pod["metadata"]["name"], pod["spec"]["containers"]
    where = f"container={one['name']} pod={name}"
    return (
        f"the last termination reason is {reason} {where}",
        f"the termination reason is {reason} exitCode={code} {where}",
    )


def imagepull(on: Tried) -> list[list[Found]]:
    short = 'Back-off pulling image "nginx:no-such-tag"'
    pod = on.waiting("ImagePullBackOff", f"{short}: ErrImagePull: {NO_TAG}")
    on.event(pod, "Failed", f'Failed to pull image "nginx:no-such-tag": {NO_TAG}')
    return both(pod, short, f"{short}: ErrImagePull: {NO_TAG}", NO_TAG)


def command(on: Tried) -> list[list[Found]]:
    pod = on.crashing(reason="StartError", exitCode=128, message=NO_PROGRAM)
    on.event(pod, "Failed", f"Error: {NO_PROGRAM}")
    return both(pod, NO_PROGRAM, *ended(pod, "StartError", 128))


def config_map(on: Tried) -> list[list[Found]]:
    text = 'configmap "orders-settings" not found'
    pod = on.waiting("CreateContainerConfigError", text)
    on.event(pod, "Failed", f"Error: {text}")
    return both(pod, text)


def secret(on: Tried) -> list[list[Found]]:
    text = 'secret "billing-login" not found'
    pod = on.waiting("CreateContainerConfigError", text)
    on.event(pod, "Failed", f"Error: {text}")
    return both(pod, text)


def crash(on: Tried) -> list[list[Found]]:
    pod = on.crashing("FATAL: environment variable DATABASE_URL is not set\n")
    return both(pod, *ended(pod, "Error", 1))


def oom(on: Tried) -> list[list[Found]]:
    pod = on.crashing(reason="OOMKilled", exitCode=137)
    return both(pod, *ended(pod, "OOMKilled", 137))


def probe(on: Tried) -> list[list[Found]]:
    text = "Readiness probe failed: HTTP probe failed with statuscode: 404"
    running = {"state": {"running": {"startedAt": START}}, "started": True}
    pod = on.pod(
        {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}, running
    )
    on.event(pod, "Unhealthy", text)
    return both(pod, text)


def cpu(on: Tried) -> list[list[Found]]:
    return both(on.pending("Insufficient cpu"), UNSCHEDULABLE.format("Insufficient cpu"))


def selector(on: Tried) -> list[list[Found]]:
    why = "node(s) didn't match Pod's node affinity/selector"
    return both(on.pending(why), UNSCHEDULABLE.format(why))


def job(on: Tried) -> list[list[Found]]:
    text = "Job has reached the specified backoff limit"
    above = on.of("Job")
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": text}
    above["status"] = {"failed": 2, "startTime": START, "conditions": [failed]}
    labels = {"batch.kubernetes.io/controller-uid": "uid-import", "job-name": "import"}
    above["spec"]["selector"] = {
        "matchLabels": {"batch.kubernetes.io/controller-uid": "uid-import"}
    }
    on.event(above, "BackoffLimitExceeded", text)
    found: list[Found] = [("Job", path(above), (text,))]
    for end in ("4xk2p", "zq8hd"):
        last = {"exitCode": 1, "reason": "Error", "startedAt": START, "finishedAt": END}
        state = {"name": "import", "image": "busybox:1.36", "imageID": "", "ready": False,
                 "restartCount": 0, "state": {"terminated": last}}  # fmt: skip
        template = above["spec"]["template"]["spec"]
        pod = on.add(
            "v1", "Pod", f"import-{end}", above, spec={**template, "nodeName": "n1"},
            metadata={"labels": labels},
            status={"phase": "Failed", "containerStatuses": [state]},
        )  # fmt: skip
        on.logs[on.namespace, f"import-{end}", "import", False] = NO_FILE
        found.append(("Pod", path(pod), (ended(pod, "Error", 1)[1],)))
    return [
        found,
        found[::-1],
        found[:1],
        found[1:2],
        [("Job", path(above), ("Job import has failed",))],
    ]


def quota(on: Tried) -> list[list[Found]]:
    on.namespace = "aegis-try-quota"
    on.of("ResourceQuota")["status"] = {"hard": {"pods": "2"}, "used": {"pods": "2"}}
    above = on.of("Deployment")
    text = ('pods "mailer-7c5ddbdf54-m4v8s" is forbidden: exceeded quota: two-pods, requested: '
            "pods=1, used: pods=2, limited: pods=2")  # fmt: skip
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": text,
    }
    above["status"] = {
        "replicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "conditions": [failure],
    }
    labels = {"app": "mailer", "pod-template-hash": "7c5ddbdf54"}
    made = {"metadata": {"labels": labels}, "spec": above["spec"]["template"]["spec"]}
    set_ = on.add(
        "apps/v1", "ReplicaSet", "mailer-7c5ddbdf54", above, metadata={"labels": labels},
        spec={"replicas": 3, "selector": {"matchLabels": labels}, "template": made},
        status={"replicas": 2, "conditions": [failure]},
    )  # fmt: skip
    on.event(set_, "FailedCreate", f"Error creating: {text}")
    few = f"Deployment {path(above)} has 3 replicas but 2 are available with status running"
    late = (f"Deployment {path(above)} has condition Progressing=False, reason "
            'ProgressDeadlineExceeded: ReplicaSet "mailer-7c5ddbdf54" has timed out progressing.')  # fmt: skip
    return [[("Deployment", path(above), texts)] for texts in ((few,), (few, late))]


def hpa(on: Tried) -> list[list[Found]]:
    scaler = on.of("HorizontalPodAutoscaler")
    scaler["status"] = {"currentReplicas": 1, "desiredReplicas": 0, "conditions": [
        {"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale", "message": "…"},
        {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric",
         "message": NO_METRICS},
    ]}  # fmt: skip
    on.event(scaler, "FailedGetResourceMetric", NO_METRICS)
    # K8sGPT adds a second text, which says nothing true, where a container lacks either of these.
    (target,) = on.of("Deployment")["spec"]["template"]["spec"]["containers"]
    assert {*target["resources"]} == {"requests", "limits"}
    return [[("HorizontalPodAutoscaler", path(scaler), (NO_METRICS,))]]


def ingress(on: Tried) -> list[list[Found]]:
    service = "Ingress uses the service aegis-try/checkout-v2 which does not exist."
    false = "Ingress uses the ingress class aegis-try which does not exist."
    one = path(on.of("Ingress"))
    return [[("Ingress", one, (service,))], [("Ingress", one, (false, service))]]


def claim(on: Tried) -> list[list[Found]]:
    text = 'storageclass.storage.k8s.io "fast-ssd" not found'
    one = on.of("PersistentVolumeClaim")
    one["status"] = {"phase": "Pending"}
    on.event(one, "ProvisioningFailed", text)
    return [[("PersistentVolumeClaim", path(one), (text,))]]


def service(on: Tried) -> list[list[Found]]:
    on.pod(
        {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": "True"}],
        }
    )
    texts = [
        f"Service has no endpoints, expected label {one}" for one in ("tier=web", "app=catalog")
    ]
    one = path(on.of("Service"))
    return [[("Service", one, tuple(texts))], [("Service", one, tuple(reversed(texts)))]]


MADE: dict[str, Callable[[Tried], list[list[Found]]]] = {
    "command-not-found": command,
    "config-map-missing": config_map,
    "crash-missing-setting": crash,
    "failing-probe": probe,
    "hpa-without-metrics": hpa,
    "imagepull-bad-tag": imagepull,
    "ingress-backend": ingress,
    "job-back-off": job,
    "node-selector": selector,
    "oom": oom,
    "pending-cpu": cpu,
    "pvc-class": claim,
    "quota": quota,
    "secret-missing": secret,
    "service-selector": service,
}


def test_every_incident_to_try_is_tried_here() -> None:
    assert {one.stem for one in INCIDENTS.glob("*.yaml")} == {*MADE}


def finding(kind: str, name: str, errors: tuple[str, ...]) -> Finding:
    namespace, _, own = name.partition("/")
    return Finding("default", ObjectRef(kind, own, namespace), "mattermost", errors=errors)


@pytest.mark.parametrize("name", MADE)
async def test_it_gets_the_promised_diagnosis_from_whatever_k8sgpt_says_of_it(
    name: str, playbooks: Playbooks
) -> None:
    text = (INCIDENTS / f"{name}.yaml").read_text()
    _, says, promise = text.split("\n")[:3]
    on = Tried(list(yaml.safe_load_all(text)))
    said = MADE[name](on)
    kind, _, words = says.removeprefix("# K8sGPT (").partition("): ")
    pattern = ".*".join(re.escape(part) for part in re.split(" ?… ?", words))
    assert any(k == kind and re.match(pattern, t) for one in said for k, _, ts in one for t in ts)
    expected = Expected(frozenset(), frozenset())
    for findings in said:
        found = tuple(finding(*one) for one in findings)
        now = datetime.fromisoformat(NOW).astimezone(UTC)
        case = EvalCase(name, found, tuple(on.objects), on.logs, expected, now)
        _, assessment = await investigate(case, playbooks)
        diagnosis = assessment.diagnosis
        assert diagnosis.cause_id == promise.split(": ")[1], (findings, diagnosis)
