"""`kopf run` with the handler, on a small API server and a sink that a test directs."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.fakes.results_api import ResultsApi, result
from tests.integration.ship.conftest import ROOT
from tests.program import BIN

GROUP = {"groupVersion": "core.k8sgpt.ai/v1alpha1", "version": "v1alpha1"}
RESULTS = {"name": "results", "singularName": "result", "kind": "Result", "namespaced": True,
           "verbs": ["list", "watch"]}  # fmt: skip
# Kopf waits for these, and then does nothing with them.
CORE = [
    {"name": name, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": ["list"]}
    for name, kind, namespaced in (("namespaces", "Namespace", False), ("events", "Event", True))
]
CRDS = {"name": "customresourcedefinitions", "singularName": "", "namespaced": False,
        "kind": "CustomResourceDefinition", "verbs": ["list"]}  # fmt: skip
EXTENSIONS = {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"}
TOKEN = "t0ken-of-the-sink"


@dataclass
class Cluster:
    """What Kopf asks for at its start, and then the Results."""

    results: ResultsApi = field(default_factory=lambda: ResultsApi(installed=False))
    writes: list[str] = field(default_factory=list)
    faults: list[web.Response] = field(default_factory=list)
    """The first answers to whether there are Results."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.faults and request.path == "/apis/core.k8sgpt.ai/v1alpha1":
            return self.faults.pop()
        if request.method != "GET":
            self.writes.append(f"{request.method} {request.path}")
            return web.json_response({}, status=403)
        groups = [
            {
                "name": "apiextensions.k8s.io",
                "versions": [EXTENSIONS],
                "preferredVersion": EXTENSIONS,
            }
        ]
        if self.results.installed:
            groups.append(
                {"name": "core.k8sgpt.ai", "versions": [GROUP], "preferredVersion": GROUP}
            )
        match request.path:
            case "/api":
                return web.json_response({"versions": ["v1"]})
            case "/api/v1":
                return web.json_response({"resources": CORE})
            case "/apis":
                return web.json_response({"groups": groups})
            case "/apis/apiextensions.k8s.io/v1":
                return web.json_response({"resources": [CRDS]})
            case "/apis/core.k8sgpt.ai/v1alpha1" if self.results.installed:
                return web.json_response({"resources": [RESULTS]})
            case _:
                return await self.results.answer(request)


@dataclass
class Sink:
    """A door: what it took, and how it answers the next posts."""

    took: list[tuple[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    asked: int = 0
    authorised: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        event = await request.json()
        self.asked += 1
        self.authorised.add(request.headers.get("Authorization", ""))
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.took.append((event["type"], event["object"]["spec"]["name"]))
        return web.Response(status=status, text="no")


@asynccontextmanager
async def listening(answer: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Handler:
    """The running handler; `log` grows with what it says."""

    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)

    def said(self, text: str) -> bool:
        return text in "".join(self.log)

    async def read(self) -> None:
        assert self.process.stderr
        async for line in self.process.stderr:
            self.log.append(line.decode())


@asynccontextmanager
async def running(
    api: str, sink: str, folder: Path, *options: str, cwd: Path = ROOT
) -> AsyncIterator[Handler]:
    here = {"context": {"cluster": "here", "user": "here"}, "name": "here"}
    config = {
        "current-context": "here",
        "contexts": [here],
        "clusters": [{"name": "here", "cluster": {"server": f"http://{api}"}}],
        "users": [{"name": "here", "user": {}}],
    }
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KUBECONFIG": str(kubeconfig),
        "AEGIS_SINK_URL": f"http://aegis:{TOKEN}@{sink}/webhook",
    }
    started = await asyncio.create_subprocess_exec(
        str(BIN / "kopf"), "run", *options, "k8sgpt/k8sgpt_handler.py",
        env=environment, cwd=cwd, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    handler = Handler(started)
    reading = asyncio.create_task(handler.read())
    try:
        yield handler
    finally:
        if started.returncode is None:
            started.terminate()
        await asyncio.wait_for(started.wait(), 20)
        await reading


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.05)


@pytest.fixture
async def places() -> AsyncIterator[tuple[Cluster, Sink, str, str]]:
    cluster, sink = Cluster(), Sink()
    async with listening(cluster.answer) as api, listening(sink.answer) as door:
        yield cluster, sink, api, door
        cluster.results.cut()


Places = tuple[Cluster, Sink, str, str]


async def test_it_comes_to_life_when_the_crd_appears_and_writes_nothing(
    places: Places, tmp_path: Path
) -> None:
    cluster, sink, api, door = places
    async with running(api, door, tmp_path) as handler:
        await until(partial(handler.said, "knows no Results"))
        cluster.results.installed = True
        cluster.results.put(result("shop/api-1", "it crashed"))
        await until(lambda: sink.took)
        cluster.results.put(result("shop/api-1", "it crashed again"))
        await until(lambda: len(sink.took) == 2)
        cluster.results.delete("shopapi1")
        await until(lambda: len(sink.took) == 3)
    assert sink.took == [(how, "shop/api-1") for how in ("ADDED", "MODIFIED", "DELETED")]
    assert cluster.writes == []
    assert TOKEN not in "".join(handler.log)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (web.Response(status=503), "503 Service Unavailable"),
        (web.Response(text="<html>", content_type="text/html"), "200 Attempt to decode JSON"),
        (web.json_response({"kind": "Status"}), "KeyError"),
    ],
    ids=["busy", "no JSON", "another answer"],
)
async def test_an_api_server_that_does_not_say_whether_there_are_results_is_asked_again(
    places: Places, tmp_path: Path, fault: web.Response, why: str
) -> None:
    """Kopf would look once, find none, and serve nothing from then on."""
    cluster, sink, api, door = places
    cluster.faults.append(fault)
    async with running(api, door, tmp_path) as handler:
        await until(partial(handler.said, f"did not say whether there are Results ({why}"))
        cluster.results.installed = True
        cluster.results.put(result("shop/api-1", "it crashed"))
        await until(lambda: sink.took)


async def test_a_restart_hands_over_every_result_there_is(places: Places, tmp_path: Path) -> None:
    cluster, sink, api, door = places
    cluster.results.installed = True
    cluster.results.put(result("shop/api-1", "it crashed"), result("blog/web-1", "it crashed"))
    for _ in range(2):
        sink.took.clear()
        async with running(api, door, tmp_path, "--all-namespaces"):
            await until(lambda: len(sink.took) == 2)
        assert sorted(sink.took) == [("ADDED", "blog/web-1"), ("ADDED", "shop/api-1")]


async def test_only_the_namespaces_that_are_named_are_watched(
    places: Places, tmp_path: Path
) -> None:
    cluster, sink, api, door = places
    cluster.results.installed = True
    for namespace in ("one", "two", "three"):
        cluster.results.put(result(f"{namespace}/api-1", "it crashed", namespace=namespace))
    async with running(api, door, tmp_path, "-n", "one", "-n", "two"):
        await until(lambda: len(sink.took) == 2)
        cluster.results.put(result("three/api-2", "it crashed", namespace="three"))
        cluster.results.put(result("two/api-2", "it crashed", namespace="two"))
        await until(lambda: len(sink.took) == 3)
    assert {name for _, name in sink.took} == {"one/api-1", "two/api-1", "two/api-2"}


async def test_what_the_sink_refuses_for_now_is_tried_again_and_what_it_never_takes_is_not(
    places: Places, tmp_path: Path
) -> None:
    cluster, sink, api, door = places
    cluster.results.installed = True
    sink.answers = [503, 401]
    async with running(api, door, tmp_path, "--all-namespaces") as handler:
        cluster.results.put(result("shop/api-1", "it crashed"))
        await until(lambda: sink.took)
        assert sink.asked == 3
        for status in (400, 413, 415, 422):
            sink.answers = [status]
            cluster.results.put(result("shop/api-1", f"it crashed with {status}"))
            await until(partial(handler.said, f"never takes it ({status} no)"))
        cluster.results.delete("shopapi1")
        await until(lambda: len(sink.took) == 2)
    assert sink.took[-1] == ("DELETED", "shop/api-1")
    log = "".join(handler.log)
    assert "did not take it (503 no); again in 1 s" in log
    assert "did not take it (401 no); again in 2 s" in log
    assert TOKEN not in log


async def test_an_end_that_comes_while_the_sink_is_away_is_handed_over_later(
    places: Places, tmp_path: Path
) -> None:
    cluster, sink, api, door = places
    cluster.results.installed = True
    sink.answers = [503] * 3
    cluster.results.put(result("shop/api-1", "it crashed"), result("shop/api-2", "it crashed"))
    async with running(api, door, tmp_path, "--all-namespaces"):
        await until(lambda: sink.asked >= 2)
        cluster.results.delete("shopapi1")
        await until(lambda: len(sink.took) == 3)
    told = [event for event, name in sink.took if name == "shop/api-1"]
    assert told == ["ADDED", "DELETED"]


async def test_a_crd_that_goes_ends_it_so_that_what_runs_it_starts_it_anew(
    places: Places, tmp_path: Path
) -> None:
    cluster, sink, api, door = places
    cluster.results.installed = True
    async with running(api, door, tmp_path, "--all-namespaces") as handler:
        cluster.results.put(result("shop/api-1", "it crashed"))
        await until(lambda: sink.took)
        cluster.results.installed = False
        cluster.results.cut()
        async with asyncio.timeout(60):
            assert await handler.process.wait() != 0
    async with running(api, door, tmp_path, "--all-namespaces"):
        cluster.results.installed = True
        await until(lambda: len(sink.took) == 2)
