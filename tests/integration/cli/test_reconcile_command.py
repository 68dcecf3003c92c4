"""`aegis-sink reconcile --once` and `POST /v1/reconcile`, between real processes and an API server."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.results_api import ResultsApi, result, serving
from tests.integration.cli.conftest import (
    Ended,
    Environment,
    Run,
    Running,
    environment_for,
    start,
    stop,
)

CRASH = "Deployment shop/{0} has 1 replicas but 0 are available"
PATIENCE_SECONDS = 30
NOTHING = {"new": 0, "changed": 0, "known": 0, "gone": 0, "unreadable": 0}


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A fake API server on a thread of its own, so that commands and services can ask it."""

    fake: ResultsApi
    loop: asyncio.AbstractEventLoop

    def do(self, change: Callable[[ResultsApi], object]) -> None:
        """Change what is in the cluster, where the fake runs."""

        async def there() -> None:
            change(self.fake)

        asyncio.run_coroutine_threadsafe(there(), self.loop).result(PATIENCE_SECONDS)

    def until(self, true: Callable[[ResultsApi], object]) -> None:
        """Wait until something was asked of it."""

        async def there() -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not true(self.fake):  # noqa: ASYNC110 — a server has no event
                    await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(there(), self.loop).result(PATIENCE_SECONDS + 5)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    fake, up, over = ResultsApi(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(fake):
            up.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(PATIENCE_SECONDS)
    yield ApiServer(fake, loop)
    loop.call_soon_threadsafe(over.set)
    thread.join(PATIENCE_SECONDS)
    loop.close()


@pytest.fixture
def environment(tmp_path: Path, api: ApiServer) -> Environment:
    """Settings of a sink beside that API server."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "clusters": [{"name": "fake", "cluster": {"server": api.fake.url}}],
                "users": [{"name": "nobody", "user": {}}],
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "nobody"}}],
            }
        )
    )
    return {**environment_for(tmp_path, kubernetes="auto"), "KUBECONFIG": str(kubeconfig)}


@pytest.fixture
def once(run: Run, environment: Environment) -> Callable[..., Ended]:
    """Runs `reconcile --once`."""

    def reconcile(*arguments: str, **more: str) -> Ended:
        return run("reconcile", "--once", *arguments, environment={**environment, **more})

    return reconcile


@pytest.fixture
def served(api: ApiServer, environment: Environment) -> Iterator[Running]:
    """A service that has read the list, and watches."""
    running = start(environment)
    api.until(lambda fake: fake.watching)
    yield running
    stop(running)


def deployment(name: str, text: str = CRASH) -> Any:
    return result(f"shop/{name}", text.format(name), kind="Deployment")


def unreadable() -> Any:
    return {**deployment("odd"), "spec": {"kind": "Pod", "name": ""}}


def test_results_that_never_came_by_webhook_are_incidents_and_are_counted(
    run: Run, once: Callable[..., Ended], api: ApiServer, environment: Environment
) -> None:
    api.do(lambda fake: fake.put(deployment("one"), deployment("two"), unreadable()))
    first = once()
    assert (first.code, first.out) == (
        0,
        "2 new, 1 unreadable\n"
        "no service runs: their messages go out when `aegis-sink serve` does\n",
    ), first.err
    listed = run("incidents", "--json", environment=environment).json["incidents"]
    assert sorted(one["subject"]["name"] for one in listed) == ["one", "two"]
    assert once("--json").json == {**NOTHING, "known": 2, "unreadable": 1, "by": "command"}
    api.do(lambda fake: fake.delete("shopone", "shopodd"))
    api.do(lambda fake: fake.put(deployment("two", "Deployment shop/{0} has no replicas at all")))
    assert once().out.splitlines()[0] == "1 changed, 1 gone"


def test_without_results_it_says_so(once: Callable[..., Ended]) -> None:
    ended = once()
    assert (ended.code, ended.out) == (0, "no Results\n")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param({"installed": False}, "is not installed", id="no CRD"),
        pytest.param(
            {"allowed": False},
            '{apiGroups: ["core.k8sgpt.ai"], resources: ["results"], verbs: ["list"]}',
            id="no permission",
        ),
        pytest.param({"away": (503, "")}, "503", id="away"),
    ],
)
def test_what_prevents_the_list_is_one_line_that_says_what_would_help(
    once: Callable[..., Ended], api: ApiServer, fault: dict[str, object], says: str
) -> None:
    api.do(lambda fake: vars(fake).update(fault))
    ended = once("--json")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("aegis-sink: the Results were not listed: ")
    assert ended.err.count("\n") == 1
    assert says in ended.err


def test_without_a_cluster_or_without_once_it_refuses(run: Run, once: Callable[..., Ended]) -> None:
    off = once(AEGIS_KUBERNETES="off")
    assert off.code == 1
    assert off.err == "aegis-sink: the Results were not listed: off: AEGIS_KUBERNETES=off\n"
    watch = run("reconcile")
    assert watch.code == 2
    assert "add --once: to go on watching Results is what `serve` does" in watch.err


def test_a_running_service_finds_what_its_watch_did_not_tell(
    run: Run, once: Callable[..., Ended], api: ApiServer, served: Running
) -> None:
    api.do(lambda fake: setattr(fake, "silent", True))
    api.do(lambda fake: fake.put(deployment("one")))
    ended = once("--url", served.url)
    assert (ended.code, ended.out) == (0, "1 new\n"), ended.err
    asked = once("--json", "--url", served.url).json
    assert asked == {**NOTHING, "known": 1, "by": "service"}
    listed = run("incidents", "--json", environment=served.environment).json["incidents"]
    assert [one["subject"]["name"] for one in listed] == ["one"]
    # Where it is not asked, its database is not written behind its back.
    behind = once()
    assert behind.code == 1
    assert "sink.db" in behind.err


def test_a_running_service_says_why_it_cannot_list(
    once: Callable[..., Ended], api: ApiServer, served: Running
) -> None:
    api.do(lambda fake: setattr(fake, "allowed", False))
    ended = once("--url", served.url)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("aegis-sink: 409: ")
    assert 'resources: ["results"], verbs: ["list"]' in ended.err


def test_the_replica_that_does_not_lead_says_who_does(
    once: Callable[..., Ended], api: ApiServer, environment: Environment
) -> None:
    held = {
        "metadata": {"name": "aegis-sink", "namespace": "aegis", "resourceVersion": "1"},
        "spec": {
            "holderIdentity": "other",
            "leaseDurationSeconds": 3600,
            "renewTime": "2026-03-01T12:00:00.000000Z",
        },
    }
    api.do(lambda fake: fake.leases.update({"aegis-sink": held}))
    running = start({**environment, "AEGIS_LEASE_NAMESPACE": "aegis"})
    try:
        api.until(lambda fake: any("/leases/" in one for one in fake.asked))
        ended = once("--url", running.url)
        assert ended.code == 1
        assert "409: this replica does not read Results" in ended.err
        assert api.fake.lists == 0
    finally:
        stop(running)
