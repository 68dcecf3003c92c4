"""The whole program between a K8sGPT operator, a real API server and Slack, on real time.

What happens to the API server, to the watch and to the program's rights on the way loses no
problem and no end, and tells none twice.
"""

import asyncio
import json
import random
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.cluster.api import Api, Object, account, shipped_rules
from tests.cluster.control_plane import ControlPlane
from tests.cluster.test_results_watched import bind, service_account
from tests.fakes.k8sgpt_operator import Aborted, FakeOperator, always_there, over_http
from tests.fakes.slack import PUBLIC_CHANNEL, FakeSlack, slack
from tests.fakes.small_cluster import SmallCluster
from tests.program import BIN, free_port, process, until_ready

__all__ = ["slack"]

PATIENCE_SECONDS = 120
CALL_SECONDS = 5.0
RESULTS = "/apis/core.k8sgpt.ai/v1alpha1/namespaces/{0}/results/{1}"


@dataclass
class RealResults:
    """What the fake operator writes to, on a real API server; `kept` is its cache."""

    plane: ControlPlane
    trust: ssl.SSLContext
    kept: dict[tuple[str, str], Object] = field(default_factory=dict)

    def put(self, one: Object) -> None:
        """Spec and status, as two requests."""
        metadata = one["metadata"]
        place = metadata["namespace"], metadata["name"]
        before = self.kept.get(place)
        if before is None or before["spec"] != one["spec"]:
            spec = {key: value for key, value in one.items() if key != "status"}
            self._call("PATCH", place, "?fieldManager=k8sgpt&force=true", spec, "apply-patch+yaml")
            self.kept[place] = {**one, "status": (before or one)["status"]}
        if one["status"] != self.kept[place]["status"]:
            status = {"status": one["status"]}
            self._call("PATCH", place, "/status", status, "merge-patch+json")
        self.kept[place] = one

    def delete(self, name: str, *, namespace: str) -> None:
        """Gone."""
        self._call("DELETE", (namespace, name))
        del self.kept[namespace, name]

    def _call(
        self,
        method: str,
        place: tuple[str, str],
        more: str = "",
        body: Object | None = None,
        kind: str = "json",
    ) -> None:
        """Aborted when the API server is away: all is done anew after a back-off."""
        request = urllib.request.Request(  # noqa: S310 -- https to 127.0.0.1
            self.plane.url + RESULTS.format(*place) + more,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.plane.token}",
                "Content-Type": f"application/{kind}",
            },
            method=method,
        )
        try:
            urllib.request.urlopen(request, context=self.trust, timeout=CALL_SECONDS).close()  # noqa: S310
        except (urllib.error.URLError, OSError) as error:
            raise Aborted(str(error)) from error


@dataclass
class Wire:
    """Between the program and the API server; its connections can be cut."""

    host: str
    port: int
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        try:
            back, forth = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.close()
            return
        ends = {writer, forth}
        self._open |= ends
        await asyncio.gather(_pump(reader, forth), _pump(back, writer))
        self._open -= ends

    def cut(self) -> None:
        """Without a word."""
        for writer in self._open:
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def wire_to(plane: ControlPlane) -> AsyncIterator[tuple[Wire, str]]:
    """The wire, and the URL at the program's end of it."""
    there = urlsplit(plane.url)
    assert there.hostname
    assert there.port
    wire = Wire(there.hostname, there.port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    try:
        yield wire, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        wire.cut()


@dataclass
class Story:
    """All of it."""

    namespace: str
    cluster: SmallCluster
    operator: FakeOperator
    wire: Wire
    url: str
    web: aiohttp.ClientSession
    slack: FakeSlack

    def fails(self, name: str, how: str = "crash") -> None:
        self.cluster.workloads[f"shop/{name}"].ill = how

    def recovers(self, name: str) -> None:
        self.cluster.workloads[f"shop/{name}"].ill = ""

    async def told(self) -> list[tuple[str, list[str]]]:
        """Each incident's workload, and for what reasons people were told of it."""
        page = await self._get("/v1/incidents?limit=100")
        found = [await self._get(f"/v1/incidents/{one['id']}") for one in page["incidents"]]
        return sorted((one["subject"]["name"], _reasons(one)) for one in found)

    async def until_told(self, **expected: list[str]) -> None:
        """Wait for just this, and have Slack hold as many messages."""
        told: list[tuple[str, list[str]]] = []
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while told != sorted(expected.items()):
                    await asyncio.sleep(0.1)
                    told = await self.told()
        except TimeoutError:
            assert told == sorted(expected.items())
        assert len(self.slack.channel.roots) == len(expected)

    async def until_results(self, say: str) -> None:
        """Wait until `/readyz` says this of the Results."""

        async def said() -> bool:
            return say in str((await self._get("/readyz"))["results"])

        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await said():  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.1)

    async def _get(self, path: str) -> Any:
        async with self.web.get(self.url + path) as answer:
            assert answer.status == 200
            return await answer.json()


def _reasons(incident: Object) -> list[str]:
    """But for those that edit a message and say nothing of their own."""
    reasons = (str(notice["reason"]) for notice in incident["notices"])
    return [reason for reason in reasons if reason in ("first", "resolved", "reopened")]


@pytest.fixture
async def story(
    tmp_path: Path,
    apiserver: ControlPlane,
    api: Api,
    namespace: str,
    slack: FakeSlack,
    results_crd: None,
) -> AsyncIterator[Story]:
    token = await service_account(api, namespace)
    others = [rule for rule in shipped_rules() if "results" not in rule["resources"]]
    await api.apply(*account("sink", namespace, others))
    await bind(api, namespace)
    cluster, port = SmallCluster(), free_port()
    for name in ("api", "web", "cart", "pay"):
        cluster.deploy(f"shop/{name}", service=False)
    url = f"http://127.0.0.1:{port}"
    async with wire_to(apiserver) as (wire, server), aiohttp.ClientSession() as web:
        settings = {
            "KUBECONFIG": str(apiserver.write_kubeconfig("sink", token, server)),
            "AEGIS_PORT": str(port),
            "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
            "AEGIS_RESULTS_NAMESPACE": namespace,
            "AEGIS_LLM_API": "off",
            "AEGIS_GROUP_WAIT": "1s",
            "AEGIS_RESOLVE_HOLD": "3s",
            "AEGIS_SLACK_BOT_TOKEN": slack.token,
            "AEGIS_SLACK_CHANNEL": PUBLIC_CHANNEL,
            "AEGIS_SLACK_API_URL": slack.api_url,
        }
        async with (
            over_http(lambda: f"{url}/webhook") as post,
            process([str(BIN / "aegis-sink"), "serve"], settings, tmp_path) as serving,
        ):
            await until_ready(serving, f"{url}/readyz")
            operator = FakeOperator(
                RealResults(apiserver, apiserver.trust()),  # type: ignore[arg-type]
                cluster.analyse,
                post,
                random.Random(1),  # noqa: S311
                namespace=namespace,
                interval=1.0,
            )
            running = asyncio.create_task(operator.run())
            try:
                yield Story(namespace, cluster, operator, wire, url, web, slack)
            finally:
                running.cancel()
                await asyncio.wait({running})


@pytest.mark.timeout(600)
async def test_whatever_happens_to_the_api_server_on_the_way_each_problem_is_told_once(
    story: Story, apiserver: ControlPlane, api: Api
) -> None:
    story.fails("api")
    story.fails("web")
    await story.until_told(api=["first"], web=["first"])

    # The API server is killed, and begins anew.
    killed = asyncio.create_task(asyncio.to_thread(apiserver.restart_apiserver))
    story.fails("cart", "image")
    await killed
    await story.until_told(api=["first"], web=["first"], cart=["first"])

    # The watch is cut. From here on no post arrives.
    story.operator.sink = always_there
    story.wire.cut()
    story.recovers("api")
    await story.until_told(api=["first", "resolved"], web=["first"], cart=["first"])

    # The right to read Results is taken, and given back.
    await api.delete("ClusterRoleBinding", "", f"{story.namespace}-sink")
    story.wire.cut()
    await story.until_results('resources: ["results"]')
    story.fails("pay", "config")
    story.fails("api")
    story.recovers("web")
    await _seen_by_the_operator(story, "shop/pay", "shop/api")
    await bind(api, story.namespace)
    await story.until_told(
        api=["first", "resolved", "reopened"],
        web=["first", "resolved"],
        cart=["first"],
        pay=["first"],
    )
    await story.until_results("watched")


async def _seen_by_the_operator(story: Story, *names: str) -> None:
    """Wait until these, and nothing of what is well again, are Results."""

    def there() -> bool:
        paths = {one["spec"]["name"] for one in story.operator.api.kept.values()}
        return set(names) < paths and "shop/web" not in paths

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not there():  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.1)
