"""The Kopf handler under the real Kopf: a Result's life in the API becomes an incident's."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.cluster.api import Api
from tests.cluster.control_plane import ControlPlane
from tests.program import BIN, free_port, process, until_ready

ROOT = Path(__file__).parents[2]


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(90):
        while not await ask():  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.1)


def shipped_account(account: str, namespace: str) -> list[dict[str, Any]]:
    """The account that ships, under another name."""
    text = (ROOT / "k8sgpt/k8sgpt_handler-rbac.yaml").read_text()
    text = text.replace("aegis-sink-handler", account).replace("k8sgpt-operator-system", namespace)
    return list(yaml.safe_load_all(text))


@pytest.mark.usefixtures("results_crd")
async def test_a_result_is_handed_over_when_it_comes_and_when_it_goes(
    api: Api, apiserver: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    account = f"handler-{secrets.token_hex(4)}"
    await api.apply(*shipped_account(account, namespace))
    token = await api.token(namespace, account)
    result = yaml.safe_load((ROOT / "k8sgpt/results/pod-oomkilled.yaml").read_text())
    result["metadata"] = {"name": result["metadata"]["name"], "namespace": namespace,
                          "labels": result["metadata"]["labels"]}  # fmt: skip
    del result["status"]
    # Results of other tests are in the API too: this one speaks of a namespace of its own.
    result["spec"]["name"] = f"{namespace}/{result['spec']['name'].partition('/')[2]}"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    sink = {
        "AEGIS_PORT": str(port),
        "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
        "AEGIS_KUBERNETES": "off",
        "AEGIS_LLM_API": "off",
        "AEGIS_RESOLVE_HOLD": "0s",
    }
    operator = {
        "KUBECONFIG": str(apiserver.write_kubeconfig(account, token)),
        "AEGIS_SINK_URL": f"{url}/webhook",
    }
    run = [str(BIN / "kopf"), "run", "--all-namespaces", str(ROOT / "k8sgpt/k8sgpt_handler.py")]

    async def states() -> list[str]:
        async with web.get(f"{url}/v1/incidents?namespace={namespace}") as answer:
            return [one["state"] for one in (await answer.json())["incidents"]]

    async def opened() -> bool:
        return await states() == ["open"]

    async def resolved() -> bool:
        return await states() == ["resolved"]

    async with (
        process([str(BIN / "aegis-sink"), "serve"], sink, tmp_path) as serving,
        process(run, operator, tmp_path),
        aiohttp.ClientSession() as web,
    ):
        await until_ready(serving, f"{url}/readyz")
        await api.apply(result)
        await until(opened)
        stored = await api.get("Result", namespace, result["metadata"]["name"])
        assert "finalizers" not in stored["metadata"]
        assert "annotations" not in stored["metadata"]
        await api.delete("Result", namespace, result["metadata"]["name"])
        await until(resolved)
