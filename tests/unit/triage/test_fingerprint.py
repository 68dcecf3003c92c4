import itertools
import random
import time
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_sink.model import ObjectRef
from aegis_sink.triage.fingerprint import failure_class, fingerprint, normalise
from aegis_sink.triage.subject import SAFE


class Template(Protocol):
    ref: ObjectRef
    text: str


# Each group is one problem in the wordings it goes through.
ONE_PROBLEM = {
    "a crash": (
        "Pod",
        "the last termination reason is Error container=api pod=api-66959989c5-d222p",
        "the last termination reason is Error container=api pod=api-7d9c5b6f4-zq2lm",
        "the termination reason is Error exitCode=1 container=api pod=api-66959989c5-d222p",
        "the termination reason is Error exitCode=137 container=api pod=api-66959989c5-d222p",
        "back-off 10s restarting failed container=api pod=api-66959989c5-d222p_shop(1b4e28ba-2fa1-11d2-883f-0016d3cca427)",
        "back-off 5m0s restarting failed container=api pod=api-66959989c5-zq2lm_shop(9f8e28ba-2fa1-11d2-883f-0016d3cca427)",
        "Back-off restarting failed container api in pod api-66959989c5-d222p_shop(1b4e28ba-2fa1-11d2-883f-0016d3cca427)",
    ),
    "an OOM kill": (
        "Pod",
        "the last termination reason is OOMKilled container=api pod=api-66959989c5-d222p",
        "the termination reason is OOMKilled exitCode=137 container=api pod=api-66959989c5-zq2lm",
    ),
    "a failed pull": (
        "Pod",
        'Back-off pulling image "nginx:invalid-tag"',
        'Back-off pulling image "nginx:invalid-tag": ErrImagePull: rpc error: code = NotFound',
        'Failed to pull image "nginx:invalid-tag": rpc error: code = Unknown desc = x',
        'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:invalid-tag": failed to resolve reference "docker.io/library/nginx:invalid-tag": docker.io/library/nginx:invalid-tag: not found',
        "rpc error: code = Unknown desc = Error response from daemon: manifest for nginx:invalid-tag not found: manifest unknown",
    ),
    "a failed pull without a tag": (
        "Pod",
        'Back-off pulling image "ghcr.io/org/app"',
        'rpc error: code = Unknown desc = failed to pull and unpack image "ghcr.io/org/app:latest": 403 Forbidden',
    ),
    "a failed pull by CRI-O": (
        "Pod",
        'Back-off pulling image "quay.io/org/app:v1"',
        "rpc error: code = Unknown desc = reading manifest v1 in quay.io/org/app: unauthorized: access to the requested resource is not authorized",
        "rpc error: code = Unknown desc = initializing source docker://quay.io/org/app:v1: reading manifest v1 in quay.io/org/app: manifest unknown",
        "unable to pull image or OCI artifact: pull image err: initializing source docker://quay.io/org/app:v1: pinging container registry quay.io: i/o timeout; artifact err: get manifest: timeout",
        "rpc error: code = Unknown desc = (Mirrors also failed: [mirror.local:5000/org/app:v1: reading manifest v1 in mirror.local:5000/org/app: manifest unknown]): quay.io/org/app:v1: reading manifest v1 in quay.io/org/app: unauthorized: no",
    ),
    "a failed pull of an image with tag and digest": (
        "Pod",
        f'Back-off pulling image "ghcr.io:443/org/app:v1@sha256:{"ab" * 32}"',
        f'rpc error: code = NotFound desc = failed to pull and unpack image "ghcr.io:443/org/app@sha256:{"ab" * 32}": not found',
        f"reading manifest sha256:{'ab' * 32} in ghcr.io:443/org/app: manifest unknown",
    ),
    "a webhook that went away": (
        "ReplicaSet",
        'Internal error occurred: failed calling webhook "inject.example.com": failed to call webhook: Post "https://inject.mesh.svc:443/inject?timeout=10s": dial tcp 10.96.44.13:443: connect: connection refused',
        'Internal error occurred: failed calling webhook "inject.example.com": failed to call webhook: Post "https://inject.mesh.svc:443/inject?timeout=10s": no endpoints available for service "inject"',
        'Internal error occurred: failed calling webhook "inject.example.com": failed to call webhook: Post "https://inject.mesh.svc:443/inject?timeout=10s": context deadline exceeded',
    ),
    "an event that comes often": (
        "Pod",
        'MountVolume.SetUp failed for volume "cfg" : configmap "app-config" not found',
        '(combined from similar events): MountVolume.SetUp failed for volume "cfg" : configmap "app-config" not found',
    ),
    "a probe": (
        "Pod",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
        'Readiness probe failed: Get "http://10.1.2.3:8080/healthz": dial tcp 10.1.2.3:8080: connect: connection refused',
        'Liveness probe failed: Get "http://10.1.2.4:8080/healthz": context deadline exceeded',
    ),
    "no room": (
        "Pod",
        "0/3 nodes are available: 1 Insufficient memory, 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        "0/5 nodes are available: 2 Insufficient cpu, 3 Insufficient memory.",
        "0/6 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 2 Insufficient cpu, 3 Insufficient memory. preemption: 0/6 nodes are available: 6 Preemption is not helpful for scheduling.",
    ),
    "a quota": (
        "ReplicaSet",
        'pods "web-7c5ddbdf54-" is forbidden: exceeded quota: compute-quota, requested: limits.cpu=500m,pods=1, used: limits.cpu=10,pods=10, limited: limits.cpu=10,pods=10',
        'pods "web-66959989c5-x7k2p" is forbidden: exceeded quota: compute-quota, requested: pods=1,limits.cpu=1, used: limits.cpu=9,pods=9, limited: limits.cpu=10,pods=10',
    ),
    "a rollout": (
        "Deployment",
        "Deployment shop/checkout has 3 replicas but 1 are available with status running",
        "Deployment shop/checkout has 5 replicas but 0 are available with status running",
        "Deployment shop/checkout has 3 replicas in spec but 2 replicas in status because status field is not updated yet after scaling and 2 replicas are available with status running",
        'Deployment shop/checkout has condition Progressing=False, reason ProgressDeadlineExceeded: ReplicaSet "checkout-7c5ddbdf54" has timed out progressing.',
    ),
    "endpoints": (
        "Service",
        "Service has not ready endpoints, pods: [Pod/a Pod/b], expected 2",
        "Service has not ready endpoints, pods: [Pod/c], expected 1",
    ),
    "a daemon": (
        "DaemonSet",
        "DaemonSet kube-system/cni has 2 ready replicas out of 5 scheduled",
        "DaemonSet kube-system/cni has 4 ready replicas out of 6 scheduled",
    ),
    "a set's pods": (
        "StatefulSet",
        "Statefulset pod pg-0 in the namespace shop is not in running state.",
        "Statefulset pod pg-1 in the namespace shop is not in running state.",
    ),
    "a job": (
        "Job",
        "Job backup-28765430 has failed",
        "Job has reached the specified backoff limit",
    ),
    "a node that stopped talking": (
        "Node",
        "worker-1 has condition of type Ready, reason NodeStatusUnknown: Kubelet stopped posting node status.",
        "worker-1 has condition of type MemoryPressure, reason NodeStatusUnknown: Kubelet stopped posting node status.",
    ),
    "a kubelet": (
        "Node",
        "worker-1 has condition of type Ready, reason KubeletNotReady: PLEG is not healthy: pleg was last seen active 3m2.1s ago; threshold is 3m0s",
        "worker-1 has condition of type Ready, reason KubeletNotReady: PLEG is not healthy: pleg was last seen active 12m0s ago; threshold is 3m0s",
    ),
    "an eviction": (
        "Pod",
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 57264Ki. Container api was using 2Gi, request is 0, has larger consumption of memory.",
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 1Mi. ",
    ),
    "a token's volume": (
        "Pod",
        'MountVolume.SetUp failed for volume "kube-api-access-dhhlv" : failed to fetch token',
        'MountVolume.SetUp failed for volume "kube-api-access-x7k2p" : failed to fetch token',
    ),
    "a legacy token's volume": (
        "Pod",
        'MountVolume.SetUp failed for volume "default-token-dhhlv" : not found',
        'MountVolume.SetUp failed for volume "default-token-x7k2p" : not found',
    ),
    "a container's name that is taken": (
        "Pod",
        'failed to reserve container name "api_api-66959989c5-d222p_shop_1b4e28ba-2fa1-11d2-883f-0016d3cca427_9": name "api_api-66959989c5-d222p_shop_1b4e28ba-2fa1-11d2-883f-0016d3cca427_9" is reserved for "3f4ad5bf0c81cd5ae44ac2d5a4f6c1c3c0d5b7b2e1f9a8d7c6b5a4f3e2d1c0b9"',
        'failed to reserve container name "api_api-7d9c5b6f4-zq2lm_shop_9f8e28ba-2fa1-11d2-883f-0016d3cca427_12": name "api_api-7d9c5b6f4-zq2lm_shop_9f8e28ba-2fa1-11d2-883f-0016d3cca427_12" is reserved for "0b4ad5bf0c81cd5ae44ac2d5a4f6c1c3c0d5b7b2e1f9a8d7c6b5a4f3e2d1c0b9"',
    ),
    "a panic": (
        "Pod",
        "previous container logs: panic: index out of range [5] goroutine 1 [running]: main.main() /app/main.go:42 +0xbf7",
        "previous container logs: panic: index out of range [7] goroutine 9 [running]: main.main() /app/main.go:42 +0x1c",
    ),
    "a receiver": (
        "ValidatingWebhookConfiguration",
        "Validating Webhook (a.b) is pointing to an inactive receiver pod (hook-58499764-x7k2p)",
        "Validating Webhook (a.b) is pointing to an inactive receiver pod (hook-7d9c5b6f4-zq2lm)",
    ),
    "a volume": (
        "Pod",
        "Unable to attach or mount volumes: unmounted volumes=[data cfg], unattached volumes=[kube-api-access-x7k2p data]: timed out waiting for the condition",
        "Unable to attach or mount volumes: unmounted volumes=[cfg data], unattached volumes=[data kube-api-access-zq2lm]: timed out waiting for the condition",
    ),
    "a config map with a content hash in its name": (
        "Pod",
        'configmap "app-config-7b8f9c6d5t" not found',
        'configmap "app-config-2g4h6k8m5t" not found',
    ),
    "a sandbox": (
        "Pod",
        'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "3f4ad5bf0c81cd5ae44ac2d5a4f6c1c3c0d5b7b2e1f9a8d7c6b5a4f3e2d1c0b9": plugin type="calico" failed (add)',
        'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "0b4ad5bf0c81cd5ae44ac2d5a4f6c1c3c0d5b7b2e1f9a8d7c6b5a4f3e2d1c0b9": plugin type="calico" failed (add)',
    ),
    "a log line": (
        "Pod",
        "2026-03-01T03:47:20.187Z ERROR read tcp 10.1.2.3:54321->10.96.0.10:5432: i/o timeout after 1.5s request=8f3a9b2c1d0e",
        "2026-03-02T04:48:21.2Z ERROR read tcp 10.1.7.9:39999->10.96.0.11:5432: i/o timeout after 30s request=1a2b3c4d5e6f",
    ),
    "a redacted text": (
        "Pod",
        "login with [redacted:password:a1b2] failed",
        "login with [redacted:token:ffff] failed",
    ),
    "a redacted image": (
        "Pod",
        'Back-off pulling image "registry.local/[redacted:token:a1b2]/app:1"',
        'Back-off pulling image "registry.local/[redacted:token:ffff]/app:1"',
    ),
    "a pod's address": (
        "Pod",
        "cannot reach pod 10.1.2.3 from pod 10.1.2.4:40000",
        "cannot reach pod 10.1.7.3 from pod 10.1.7.4:50000",
    ),
    "a pod's id": (
        "Pod",
        'pod "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" is gone: /var/lib/kubelet/pods/f81d4fae-7dec-11d0-a765-00a0c91e6bf6/volumes',
        'pod "1b4e28ba-2fa1-11d2-883f-0016d3cca427" is gone: /var/lib/kubelet/pods/1b4e28ba-2fa1-11d2-883f-0016d3cca427/volumes',
    ),
    "a claim's volume": (
        "Pod",
        'Multi-Attach error for volume "pvc-f81d4fae-7dec-11d0-a765-00a0c91e6bf6" Volume is already used by pod(s) api-66959989c5-d222p',
        'Multi-Attach error for volume "pvc-1b4e28ba-2fa1-11d2-883f-0016d3cca427" Volume is already used by pod(s) api-66959989c5-zq2lm',
    ),
    "a privileged container": (
        "Security/Pod",
        "Container api in pod api-66959989c5-d222p is running as privileged which poses security risks",
        "Container api in pod api-7d9c5b6f4-zq2lm is running as privileged which poses security risks",
    ),
}

# Different problems that one Deployment can have.
PROBLEMS = {
    "Pod": (
        "the last termination reason is OOMKilled container=api pod=api-66959989c5-d222p",
        "the last termination reason is Error container=api pod=api-66959989c5-d222p",
        "the last termination reason is Error container=proxy pod=api-66959989c5-d222p",
        "the last termination reason is Completed container=api pod=api-66959989c5-d222p",
        'Back-off pulling image "nginx:1.25"',
        'Back-off pulling image "nginx:1.26"',
        'Back-off pulling image "httpd:1.25"',
        'Back-off pulling image "registry.local:5000/nginx:1.25"',
        f'Back-off pulling image "nginx@sha256:{"1" * 64}"',
        f'Back-off pulling image "nginx@sha256:{"2" * 64}"',
        'Failed to apply default image tag "nginx::1.25": could not parse image name',
        'Container image "nginx:1.25" is not present with pull policy of Never',
        'configmap "app-config" not found',
        'configmap "other-config" not found',
        'configmap "app-config-v2" not found',
        'secret "app-config" not found',
        'persistentvolumeclaim "data-pg-0" not found',
        "0/3 nodes are available: 3 Insufficient memory.",
        "0/3 nodes are available: 3 Insufficient cpu.",
        "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}.",
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
        "Pod shop/api-66959989c5-d222p is in a SchedulingGated state and is blocked from scheduling due to non-empty scheduling gates",
        "The node was low on resource: memory. Threshold quantity: 100Mi",
        "The node was low on resource: ephemeral-storage. Threshold quantity: 100Mi",
        "dial tcp 10.96.0.10:5432: connect: connection refused",
        "dial tcp 10.96.0.10:6379: connect: connection refused",
        "dial tcp: lookup postgres.shop.svc on 10.96.0.10:53: no such host",
        "dial tcp: lookup redis.shop.svc on 10.96.0.10:53: no such host",
    ),
    "Node": (
        "worker-1 has condition of type Ready, reason KubeletNotReady: container runtime is down",
        "worker-1 has condition of type Ready, reason NodeStatusUnknown: Kubelet stopped posting node status.",
        "worker-1 has condition of type DiskPressure, reason KubeletHasDiskPressure: kubelet has disk pressure",
    ),
    "ReplicaSet": (
        'pods "web-7c5ddbdf54-" is forbidden: exceeded quota: a, requested: pods=1, used: pods=10, limited: pods=10',
        'pods "web-7c5ddbdf54-" is forbidden: exceeded quota: b, requested: pods=1, used: pods=10, limited: pods=10',
        'pods "web-7c5ddbdf54-" is forbidden: error looking up service account shop/web: serviceaccount "web" not found',
        'Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: connection refused',
        'Internal error occurred: failed calling webhook "b.example.com": failed to call webhook: connection refused',
        'Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: tls: failed to verify certificate: x509: certificate signed by unknown authority',
        'admission webhook "a.example.com" denied the request: no label',
    ),
    "HTTPRoute": (
        "HTTPRoute's backend service 'web' is using port '80' but the corresponding K8s service 'shop/web' isn't configured with the same port.",
        "HTTPRoute's backend service 'web' is using port '8080' but the corresponding K8s service 'shop/web' isn't configured with the same port.",
    ),
}


@pytest.mark.parametrize("name", ONE_PROBLEM)
def test_one_problem_has_one_class_in_all_its_wordings(name: str) -> None:
    kind, *texts = ONE_PROBLEM[name]
    assert len({failure_class(kind, (text,)) for text in texts}) == 1


@pytest.mark.parametrize("kind", PROBLEMS)
def test_different_problems_stay_apart(kind: str) -> None:
    for one, other in itertools.combinations(PROBLEMS[kind], 2):
        assert failure_class(kind, (one,)) != failure_class(kind, (other,)), (one, other)


def test_neither_the_order_nor_the_number_of_the_same_errors_matters() -> None:
    texts = [
        "Service has no endpoints, expected label app=checkout",
        "Service has no endpoints, expected label tier=web",
    ]
    assert failure_class("Service", texts) == failure_class("Service", [*reversed(texts), texts[0]])


def test_a_node_that_stopped_talking_is_one_problem_however_many_conditions_say_so() -> None:
    _, *texts = ONE_PROBLEM["a node that stopped talking"]
    assert failure_class("Node", texts) == failure_class("Node", texts[:1]) == "node status unknown"


def test_an_empty_error_changes_nothing() -> None:
    assert failure_class("Pod", ("boom", "", " ")) == failure_class("Pod", ("boom",))


def test_no_errors_are_unknown() -> None:
    assert failure_class("Pod", ()) == "unknown"
    assert failure_class("Pod", ("", " \n")) == "unknown"


def test_every_text_of_k8sgpt_gives_a_readable_class(template: Template) -> None:
    shown = failure_class(template.ref.kind, (template.text,))
    assert shown != "unknown"
    assert shown.isprintable()
    assert len(shown) <= 400


def test_a_long_class_is_bounded_and_still_tells_apart() -> None:
    texts = [f'configmap "{word}" not found' for word in ("alpha", "beta", "gamma") for _ in "12"]
    many = [f'configmap "{a}{b}{c}" not found' for a in "abc" for b in "xyz" for c in "rst"]
    assert len(failure_class("Pod", texts)) < 400
    long = failure_class("Pod", many)
    assert len(long) <= 400
    assert long != failure_class("Pod", [*many, 'configmap "zzzz" not found'])
    assert long == failure_class("Pod", many[::-1])


@given(
    text=st.sampled_from([t for texts in PROBLEMS.values() for t in texts]),
    number=st.integers(0, 10**9),
    end=st.text(SAFE, min_size=5, max_size=5),
)
def test_a_number_a_time_or_a_pod_name_in_a_text_changes_nothing(
    text: str, number: int, end: str
) -> None:
    unlike = (
        f"boom after {number}s: {number} of {number}Mi used by pod api-66959989c5-{end}, {text}"
    )
    alike = f"boom after 7m3s: 5 of 1Gi used by pod api-7d9c5b6f4-zq2lm, {text}"
    assert normalise(unlike) == normalise(alike)


@given(st.text(max_size=300))
def test_any_text_whatever_has_a_class_on_one_line(text: str) -> None:
    assert len(failure_class("Pod", (text,)).splitlines()) == 1


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "a",
        "-",
        "a1-",
        "1.",
        "f:",
        "pod ",
        "[redacted:",
        'image "',
        "unmounted volumes=[",
        "-b4b4b4b4",
        "ip-1-1",
        "0/3 nodes are available: ",
        "sha256:",
        "docker://a",
        "reading manifest a in a",
        'failed calling webhook "a" ',
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    evil = piece * (200_000 // len(piece))
    started = time.process_time()
    failure_class("Pod", (evil,))
    assert time.process_time() - started < 0.25


def test_the_fingerprint_is_told_by_cluster_subject_and_class() -> None:
    deployment = ObjectRef("Deployment", "api", "shop", "apps/v1")
    one = fingerprint("prod", deployment, "x")
    assert one == fingerprint("prod", ObjectRef("Deployment", "api", "shop"), "x")
    assert len(one) == 24
    assert set(one) <= set("0123456789abcdef")
    others = [
        fingerprint("test", deployment, "x"),
        fingerprint("prod", deployment, "y"),
        fingerprint("prod", ObjectRef("Service", "api", "shop"), "x"),
        fingerprint("prod", ObjectRef("Deployment", "api", "dev"), "x"),
        fingerprint("prod", ObjectRef("Deployment", "a", "shopi"), "x"),
    ]
    assert len({one, *others}) == 6


def test_a_pod_that_replaces_one_of_an_unknown_owner_has_its_fingerprint() -> None:
    one, next_one, other = (
        fingerprint("prod", ObjectRef("Pod", name, "logging"), "x")
        for name in ("fluentd-x7k2p", "fluentd-q9d8w", "vector-x7k2p")
    )
    assert one == next_one != other


def test_the_fingerprint_does_not_tell_which_analyzer_saw_the_pod() -> None:
    pod = ObjectRef("Pod", "api", "shop")
    seen = ObjectRef("Security/Pod", "api", "shop")
    assert fingerprint("prod", pod, "x") == fingerprint("prod", seen, "x")


def test_a_flood_of_random_ends_makes_one_class() -> None:
    rng = random.Random(7)  # noqa: S311
    ends = ("".join(rng.choices(SAFE, k=5)) for _ in range(300))
    texts = [f'MountVolume.SetUp failed for pod "web-66959989c5-{end}"' for end in ends]
    assert len({normalise(text) for text in texts}) == 1
