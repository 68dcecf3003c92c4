"""A real API server for tests: one for each test process, a namespace for each test."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aegis_sink.cluster.client import KubernetesCluster, connect
from tests.binaries import Binaries, NoBinaries, binaries
from tests.cluster.api import Api, account, crd, shipped_rules
from tests.cluster.control_plane import ControlPlane, Unavailable, control_plane
from tests.cluster.kubelet import Kubelet, kubelet
from tests.cluster.prometheus_operator import GROUP as PROMETHEUS_OPERATOR
from tests.cluster.prometheus_operator import crd as prometheus_operator_crd

Run = Callable[..., str]
AS_SHIPPED = "as-shipped"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.nodeid:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The running control plane; skips with the reason where there is none."""
    try:
        with control_plane(tmp_path_factory.mktemp("controlplane")) as plane:
            yield plane
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
async def api(apiserver: ControlPlane) -> AsyncIterator[Api]:
    """The administrator's hands."""
    async with aiohttp.ClientSession() as session:
        yield Api(apiserver, session)


@pytest.fixture
async def namespace(api: Api) -> str:
    """A namespace of this test's own."""
    name = f"test-{secrets.token_hex(4)}"
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
async def shipped_account(api: Api, apiserver: ControlPlane) -> Path:
    """A kubeconfig of a service account with the rights that the chart gives, and no others."""
    name = AS_SHIPPED
    await api.apply(*account(name, "default", shipped_rules()))
    await api.until_it_may("default", name, "list", "pods")
    return apiserver.write_kubeconfig(name, await api.token("default", name))


@pytest.fixture
async def cluster(
    shipped_account: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KubernetesCluster]:
    """AEGIS Sink's own view, as the chart lets it look, with a redactor that does nothing."""
    monkeypatch.setenv("KUBECONFIG", str(shipped_account))
    connected = await connect("auto", redact=str)
    assert isinstance(connected, KubernetesCluster)
    yield connected
    await connected.close()


@pytest.fixture
async def node(apiserver: ControlPlane, api: Api) -> AsyncIterator[Kubelet]:
    """The Node "node-1" whose kubelet serves logs from a table."""
    async with kubelet(apiserver.directory / "certs") as fake:
        await api.apply(fake.node("node-1"))
        yield fake


@pytest.fixture
async def results_crd(api: Api) -> None:
    """The Result CRD, served."""
    await api.apply(crd("results"))
    await served(api, "results")


@pytest.fixture(scope="session")
def programs() -> Binaries:
    try:
        return binaries()
    except NoBinaries as reason:
        pytest.skip(str(reason))


def runner(program: Path, plane: ControlPlane, home: Path) -> Run:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={"KUBECONFIG": str(plane.kubeconfig), "HOME": str(home), "PATH": "/usr/bin:/bin"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def kubectl(programs: Binaries, apiserver: ControlPlane) -> Run:
    return runner(programs.kubectl, apiserver, apiserver.directory)


@pytest.fixture(scope="session")
def helm(programs: Binaries, apiserver: ControlPlane) -> Run:
    return runner(programs.helm, apiserver, apiserver.directory)


@pytest.fixture
async def k8sgpt_operator(api: Api) -> None:
    """As after the install of the K8sGPT operator: its namespace and CRDs."""
    await api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "k8sgpt-operator-system"}}
    )
    for name in ("results", "k8sgpts"):
        await api.apply(crd(name))
        await served(api, name)


@pytest.fixture
async def prometheus_operator(api: Api) -> None:
    """As after the install of the Prometheus operator: its own CRDs of what the chart renders."""
    for plural in ("servicemonitors", "prometheusrules"):
        try:
            definition = await asyncio.to_thread(prometheus_operator_crd, plural)
        except Unavailable as reason:
            pytest.skip(str(reason))
        await api.apply(definition)
        await served(api, plural, PROMETHEUS_OPERATOR)


async def served(api: Api, plural: str, group: str = "core.k8sgpt.ai") -> None:
    """Wait until the CRD can be used."""

    async def established() -> dict[str, Any] | None:
        found = await api.get("CustomResourceDefinition", "", f"{plural}.{group}")
        conditions = found.get("status", {}).get("conditions") or []
        ready = any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
        return found if ready else None

    await api.until(established)
