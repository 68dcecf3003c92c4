"""An API server that restarts in the middle, and a kind that is taken away: on one of their own."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.cluster.connection import Connection
from aegis_sink.model import Collected, Finding, ObjectRef, OwnerChain
from tests.cluster.api import Api, Refused, crd
from tests.cluster.control_plane import ControlPlane, Unavailable, control_plane


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
            "metadata": {"name": name, "namespace": "default"}}  # fmt: skip


def unforgetful(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> KubernetesCluster:
    """The real client, whose kept answers are always too old."""
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    hours = itertools.count(0, 3600)
    return KubernetesCluster(Connection(), redact=str, clock=lambda: float(next(hours)))


async def look(cluster: KubernetesCluster, kind: str, name: str) -> Collected:
    finding = Finding("default", ObjectRef(kind, name, "default"), "slack", errors=("sick",))
    return await cluster.collect(finding, OwnerChain((finding.object,), "its name"))


async def test_a_restart_in_the_middle_costs_evidence_for_a_while_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with control_plane(tmp_path) as plane:
            await _through_a_restart(plane, unforgetful(plane, monkeypatch))
            await _through_a_kind_taken_away(plane, unforgetful(plane, monkeypatch))
    except Unavailable as reason:
        pytest.skip(str(reason))


async def _through_a_restart(plane: ControlPlane, cluster: KubernetesCluster) -> None:
    async with aiohttp.ClientSession() as session:
        await Api(plane, session).apply(config_map("settings"))
    seen = [await look(cluster, "ConfigMap", "settings")]
    restart = asyncio.create_task(asyncio.to_thread(plane.restart_apiserver))
    while not restart.done():
        seen.append(await look(cluster, "ConfigMap", "settings"))
        await asyncio.sleep(0)
    await restart
    # Ready, and still "storage is (re)initializing" (429) for a moment.
    async with asyncio.timeout(60):
        while (last := await look(cluster, "ConfigMap", "settings")).missing:
            seen.append(last)
    assert seen[0].missing == last.missing == ()
    assert [e.text for e in last.evidence] == [e.text for e in seen[0].evidence]
    lost = [line for one in seen for line in one.missing]
    assert lost
    assert all(line.startswith(("the API server", "not read within")) for line in lost), lost
    await cluster.close()


async def _through_a_kind_taken_away(plane: ControlPlane, cluster: KubernetesCluster) -> None:
    widget = {"apiVersion": "example.test/v1", "kind": "Widget",
              "metadata": {"name": "shop", "namespace": "default"}}  # fmt: skip
    name = "widgets.example.test"
    async with aiohttp.ClientSession() as session:
        api = Api(plane, session)
        await api.apply(crd("widgets"))

        async def applied() -> dict[str, Any] | None:
            try:
                return (await api.apply(widget))[0]
            except Refused:
                return None

        await api.until(applied)
        async with asyncio.timeout(30):
            while "created" not in _texts(await look(cluster, "Widget", "shop")):  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.1)
        await api.delete("CustomResourceDefinition", "", name)
        async with asyncio.timeout(30):
            unknown = "knows no kind Widget"
            while unknown not in str(await look(cluster, "Widget", "shop")):  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.1)
    await cluster.close()


def _texts(collected: Collected) -> str:
    return "\n".join(e.text for e in collected.evidence)
