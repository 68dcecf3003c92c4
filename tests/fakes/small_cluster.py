"""A small cluster: its objects behind an API server, and what K8sGPT's analyzers find in them.

Texts are those of facts/analyzers.md. An analyzer that fails finds nothing, and K8sGPT then
deletes what it had found (facts/k8sgpt.md §0.9).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from aegis_sink.cluster.resources import KNOWN
from tests.fakes.results_api import ResultsApi
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.cluster.objects import metadata, owned_by

Object = dict[str, Any]
RESULTS_GROUP = "/apis/core.k8sgpt.ai/"
REVIEW_PATHS = ("/version", "/apis/coordination.k8s.io/")


class AnalysisFailed(Exception):
    """K8sGPT could not analyse at all: nothing is created, changed or deleted (§0.15)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What one analyzer found of one object; `name` as K8sGPT writes it, "namespace/name"."""

    kind: str
    name: str
    errors: tuple[str, ...]


@dataclass
class Workload:
    """A Deployment with its pods, and a Service. `ill` is how its pods fail, if they do."""

    namespace: str
    name: str
    nodes: tuple[str, ...]
    """Where its pods are, one for each."""
    revision: int = 1
    restarts: int = 0
    ill: str = ""
    labels: tuple[str, ...] = ("app",)
    has_service: bool = True
    service_end: str = "-svc"
    """The end of the Service's name. "": it is called like the Deployment, and both share a Result
    (facts/k8sgpt.md §0.10)."""

    @property
    def hash(self) -> str:
        """The pod template's."""
        return "7c5d" + _letters(self.revision)

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def service(self) -> str:
        """Its name."""
        return f"{self.name}{self.service_end}"

    def pod(self, number: int) -> str:
        """The name of one pod: new with each revision."""
        return f"{self.name}-{self.hash}-{_letters(number * 31 + self.revision)}"


@dataclass
class SmallCluster:
    """Workloads and nodes as they are now, served together with K8sGPT's Results."""

    results: ResultsApi = field(default_factory=ResultsApi)
    workloads: dict[str, Workload] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    nodes: list[str] = field(default_factory=list)
    more: list[Problem] = field(default_factory=list)
    """What is found of objects that are not kept here."""
    failing: set[str] = field(default_factory=set)
    """Kinds whose analyzer fails; "*" is all of the analysis."""
    kept: list[Object] = field(default_factory=list)
    """Objects that are there besides."""
    objects: FakeApi = field(default_factory=FakeApi)
    _stale: bool = True

    def deploy(self, path: str, *nodes: str, service: bool = True) -> Workload:
        """A healthy workload with a pod on each of these nodes."""
        namespace, name = path.split("/")
        one = Workload(namespace, name, nodes or ("n1",), has_service=service)
        self.workloads[path] = one
        self.nodes += [node for node in one.nodes if node not in self.nodes]
        self.changed()
        return one

    def changed(self) -> None:
        """Something was set on a workload or a node."""
        self._stale = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request to the API server."""
        if request.path.startswith((RESULTS_GROUP, *REVIEW_PATHS)) or self.results.away:
            return await self.results.answer(request)
        if self._stale:
            self._stale = False
            self.objects.objects.clear()
            for one in self.workloads.values():
                self.objects.put(*self._objects_of(one))
            self.objects.put(*map(self._node, self.nodes), *self.kept)
            for kind in KNOWN.values():  # a list of nothing is a list
                self.objects.objects.setdefault(kind.path(), [])
        return await self.objects.answer(request)

    # What K8sGPT finds

    def analyse(self) -> list[Problem]:
        """All that is wrong now. AnalysisFailed."""
        if "*" in self.failing:
            raise AnalysisFailed
        found = [Problem("Node", node, (_NODE_DOWN.format(node),)) for node in sorted(self.down)]
        for one in self.workloads.values():
            found += self._problems(one)
        return [one for one in (*found, *self.more) if one.kind not in self.failing]

    def _sick(self, one: Workload) -> list[int]:
        """The pods that are not ready."""
        return [number for number, node in enumerate(one.nodes) if one.ill or node in self.down]

    def _problems(self, one: Workload) -> list[Problem]:
        sick = self._sick(one)
        if not sick:
            return []
        found = [
            Problem("Pod", f"{one.namespace}/{one.pod(n)}", (self._pod_error(one, n),))
            for n in sick
        ]
        ready = len(one.nodes) - len(sick)
        text = f"Deployment {one.path} has {len(one.nodes)} replicas but {ready} are available"
        found.append(Problem("Deployment", one.path, (f"{text} with status running",)))
        if one.has_service:
            pods = " ".join(f"Pod/{one.pod(n)}" for n in sick)
            text = f"Service has not ready endpoints, pods: [{pods}], expected {len(one.nodes)}"
            found.append(Problem("Service", f"{one.namespace}/{one.service}", (text,)))
        return found

    def _pod_error(self, one: Workload, number: int) -> str:
        if not one.ill:
            return "Readiness probe failed: dial tcp: i/o timeout"
        return _ILL[one.ill].format(container=one.name, pod=one.pod(number), restarts=one.restarts)

    # What the API server says

    def _objects_of(self, one: Workload) -> list[Object]:
        sick, labels = self._sick(one), {"app": one.name}
        ready = len(one.nodes) - len(sick)
        replica_set = f"{one.name}-{one.hash}"
        status = {"observedGeneration": 1, "replicas": len(one.nodes), "readyReplicas": ready}
        spec = {
            "replicas": len(one.nodes),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(one)},
        }

        def meta(name: str, **more: Any) -> Object:
            return metadata(name, one.namespace, labels=labels, generation=1, **more)

        objects: list[Object] = [
            {"kind": "Deployment", "metadata": meta(one.name), "spec": spec, "status": status},
            {
                "kind": "ReplicaSet",
                "metadata": meta(replica_set, **owned_by("Deployment", one.name)),
                "spec": spec,
                "status": status,
            },
        ]
        if one.has_service:
            service = {"selector": labels, "ports": [{"port": 80}]}
            objects.append({"kind": "Service", "metadata": meta(one.service), "spec": service})
            slice_labels = {"kubernetes.io/service-name": one.service}
            objects.append(
                {
                    "kind": "EndpointSlice",
                    "metadata": metadata(f"{one.service}-x", one.namespace, labels=slice_labels),
                    "endpoints": [
                        {
                            "addresses": ["10.0.0.1"],
                            "conditions": {"ready": number not in sick},
                            "targetRef": {"kind": "Pod", "name": one.pod(number)},
                        }
                        for number in range(len(one.nodes))
                    ],
                }
            )
        for number, node in enumerate(one.nodes):
            objects.append(
                {
                    "kind": "Pod",
                    "metadata": meta(one.pod(number), **owned_by("ReplicaSet", replica_set)),
                    "spec": {**_pod_spec(one), "nodeName": node},
                    "status": _pod_status(one, well=number not in sick),
                }
            )
        return objects

    def _node(self, name: str) -> Object:
        if name in self.down:
            status, reason = "Unknown", "NodeStatusUnknown"
        else:
            status, reason = "True", "KubeletReady"
        condition = {"type": "Ready", "status": status, "reason": reason, "message": ""}
        return {
            "kind": "Node",
            "metadata": {"name": name, "uid": f"uid-{name}"},
            "status": {"conditions": [condition]},
        }


@asynccontextmanager
async def serving(
    cluster: SmallCluster, config: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[None]:
    """Serve it on a free port of 127.0.0.1, and write a kubeconfig that leads there."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await cluster.answer(request)
        if not response.prepared:
            response.headers["Date"] = format_datetime(now(), usegmt=True)
        return response

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config.write_text(  # noqa: ASYNC240
        yaml.safe_dump(_kubeconfig(runner.addresses[0][1]))
    )
    try:
        yield
    finally:
        cluster.results.cut()
        await runner.cleanup()


def _kubeconfig(port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "here", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
    }


_NODE_DOWN = (
    "{0} has condition of type Ready, reason NodeStatusUnknown: "
    "Kubelet stopped posting node status."
)
_ILL = {
    "crash": "the last termination reason is Error container={container} pod={pod}",
    "back-off": "back-off 5m0s restarting failed container={container} "
    "pod={pod}_shop(1b4e28ba-2fa1-11d2-883f-0016d3cca427)",
    "oom": "the last termination reason is OOMKilled container={container} pod={pod}",
    "image": 'Back-off pulling image "registry.local/{container}:next"',
    "pull": "rpc error: code = NotFound desc = failed to pull and unpack image "
    '"registry.local/{container}:next": not found',
    "config": 'configmap "{container}-config" not found',
    "probe": "Readiness probe failed: HTTP probe failed with statuscode: 503",
}


def _letters(number: int) -> str:
    """Five of the letters that pod names are made of."""
    alphabet, text = "bcdfghjklmnpqrstvwxz2456789", ""
    number = number * 2_654_435_761 % 27**5
    for _ in range(5):
        number, at = divmod(number, len(alphabet))
        text += alphabet[at]
    return text


def _pod_spec(one: Workload) -> Object:
    image = f"registry.local/{one.name}:{one.revision}"
    return {"containers": [{"name": one.name, "image": image}]}


def _pod_status(one: Workload, *, well: bool) -> Object:
    running = {"state": {"running": {"startedAt": "2026-03-01T00:00:00Z"}}}
    state: Object = running
    if one.ill in ("crash", "back-off", "oom"):
        reason = "OOMKilled" if one.ill == "oom" else "Error"
        ended = {"terminated": {"exitCode": 137 if one.ill == "oom" else 1, "reason": reason}}
        state = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}
    elif one.ill in ("image", "pull"):
        state = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    elif one.ill == "config":
        state = {"state": {"waiting": {"reason": "CreateContainerConfigError"}}}
    container = {"name": one.name, "ready": well, "restartCount": one.restarts, **state}
    conditions = [{"type": "Ready", "status": "True" if well else "False"}]
    phase = "Running" if state is running else "Pending"
    return {"phase": phase, "conditions": conditions, "containerStatuses": [container]}
