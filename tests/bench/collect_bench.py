"""Evidence from a real API server: one incident after another, a hundred at once, and memory.

Each collection starts without any answer kept from the one before. The reference is a bare GET of
the same pod over the same connection, so that the machine's mood shows.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.cluster.connection import Body, Connection, Request, Spend
from aegis_sink.cluster.resources import KNOWN
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.model import Finding, ObjectRef, OwnerChain
from tests.cluster.api import Api
from tests.cluster.control_plane import ControlPlane, Unavailable, control_plane
from tests.cluster.kubelet import Kubelet, kubelet
from tests.cluster.test_pod_evidence import CRASHED, crash_on_third_revision, deployment

SINGLE = 60
AT_ONCE = 100
ROUNDS = 4
MEBIBYTE = 1024 * 1024

Numbers = dict[str, float]


class Counted(Connection):
    """A connection that counts its requests, those for owners too."""

    requests = 0

    async def read(
        self,
        request: Request,
        *,
        most_bytes: int,
        keep_part: bool = False,
        seconds: float | None = None,
        spend: Spend | None = None,
    ) -> Body:
        self.requests += 1
        return await super().read(
            request, most_bytes=most_bytes, keep_part=keep_part, seconds=seconds, spend=spend
        )


def run() -> dict[str, Numbers]:
    """Measure; nothing where there is no kube-apiserver, and why is said."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with control_plane(Path(folder)) as plane:
                return asyncio.run(_measure(plane))
        except Unavailable as reason:
            sys.stdout.write(f"evidence: not measured: {reason}\n")
            return {}


async def _measure(plane: ControlPlane) -> dict[str, Numbers]:
    async with aiohttp.ClientSession() as session, kubelet(plane.directory / "certs") as node:
        api = Api(plane, session)
        await api.apply(node.node("node-1"))
        for name in ("one", "many"):
            await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        single = _finding(await crash_on_third_revision(api, "one", node))
        many = await _many(api, node)
        connection = await _connection(plane)
        try:
            rows = {"bare get": await _bare(connection, single)}
            rows["one incident"] = await _one_by_one(connection, single)
            rows["at once"] = await _all_at_once(connection, many)
        finally:
            await connection.close()
    bare, one = rows["bare get"]["p50_ms"], rows["one incident"]["p50_ms"]
    rows["ratios"] = {"one incident / bare get": one / bare}
    return rows


async def _many(api: Api, node: Kubelet) -> list[Finding]:
    """Crashing pods, each of a Deployment of its own."""
    for number in range(AT_ONCE):
        one = deployment("many", "shop/api:1")
        labels = {"app": f"api-{number}"}
        one["metadata"]["name"] = f"api-{number}"
        one["spec"]["selector"]["matchLabels"] = labels
        one["spec"]["template"]["metadata"]["labels"] = labels
        await api.apply(one)
    async with asyncio.timeout(120):
        while len(pods := await api.list("Pod", "many")) < AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    for pod in pods:
        name = pod["metadata"]["name"]
        await api.bind("many", name, "node-1")
        await api.status("Pod", {"namespace": "many", "name": name}, CRASHED)
        node.logs["many", name, "api", True] = b"FATAL: cannot connect to db:5432\n"
    return [_finding(ObjectRef("Pod", pod["metadata"]["name"], "many")) for pod in pods]


async def _connection(plane: ControlPlane) -> Counted:
    async def load() -> tuple[object, object]:
        from kubernetes.aio import config
        from kubernetes.aio.client.configuration import Configuration
        from kubernetes.aio.client.rest import RESTClientObject

        configuration = Configuration()
        configuration.connection_pool_maxsize = 32
        await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(plane.kubeconfig), client_configuration=configuration
        )
        return configuration, RESTClientObject(configuration)

    return Counted(load)  # type: ignore[arg-type]


def _cluster(connection: Connection) -> KubernetesCluster:
    """With nothing kept from before."""
    return KubernetesCluster(connection, redact=Redactor(b"bench"))


async def _bare(connection: Connection, finding: Finding) -> Numbers:
    request = Request(KNOWN["Pod"], finding.object.namespace, finding.object.name)
    took = []
    for _ in range(SINGLE):
        started = time.perf_counter()
        await connection.read(request, most_bytes=MEBIBYTE)
        took.append(time.perf_counter() - started)
    return _spread(took)


async def _one_by_one(connection: Counted, finding: Finding) -> Numbers:
    took = []
    before = connection.requests
    for _ in range(SINGLE):
        started = time.perf_counter()
        await _look(_cluster(connection), finding)
        took.append(time.perf_counter() - started)
    return {**_spread(took), "calls": (connection.requests - before) / SINGLE}


async def _all_at_once(connection: Counted, findings: list[Finding]) -> Numbers:
    took, memory = [], []
    before = connection.requests
    for _ in range(ROUNDS):
        cluster = _cluster(connection)
        started = time.perf_counter()
        await asyncio.gather(*(_look(cluster, one) for one in findings))
        took.append(time.perf_counter() - started)
        memory.append(_resident())
    return {
        "incidents": len(findings),
        "seconds": statistics.median(took),
        "calls each": (connection.requests - before) / ROUNDS / len(findings),
        "MiB after round 1": memory[0] / MEBIBYTE,
        f"MiB after round {ROUNDS}": memory[-1] / MEBIBYTE,
    }


async def _look(cluster: KubernetesCluster, finding: Finding) -> None:
    chain = await cluster.owners(finding, lambda ref: OwnerChain((ref,), "its name"))
    collected = await cluster.collect(finding, chain)
    if collected.missing:
        raise SystemExit(f"evidence is missing: {collected.missing}")


def _finding(ref: ObjectRef) -> Finding:
    return Finding("default", ref, "slack", errors=("back-off restarting failed container",))


def _spread(took: list[float]) -> Numbers:
    ordered = sorted(took)
    return {
        "p50_ms": statistics.median(ordered) * 1000,
        "p95_ms": ordered[int(len(ordered) * 0.95)] * 1000,
    }


def _resident() -> float:
    """This process's resident memory in bytes."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096.0
