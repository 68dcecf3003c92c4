"""Against a real API server: what the webhook did not say is found, whatever happens on the way."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from aegis_sink.ambient import new_id, utc_now
from aegis_sink.building.database import opened
from aegis_sink.building.reconciling import Reconciling, build_reconciling
from aegis_sink.cluster.client import connect
from aegis_sink.metrics import Metrics
from aegis_sink.settings import load
from aegis_sink.store import listing
from aegis_sink.store.database import Database
from aegis_sink.store.listing import Filter
from tests.cluster.api import Api, Object, crd
from tests.cluster.control_plane import ControlPlane
from tests.fakes.results_api import result

PATIENCE_SECONDS = 60
CRASH = "the last termination reason is Error container=api pod=api-1"


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await true():  # noqa: ASYNC110 — a server has no event
            await asyncio.sleep(0.05)


class Replica:
    """The reconciler as the service builds it, on a database of its own."""

    def __init__(self, database: Database, reconciling: Reconciling) -> None:
        self.database = database
        self.reconciling = reconciling

    async def objects(self) -> list[str]:
        """Of what incidents that are not gone tell."""
        page = await self.database.read(lambda c: listing.page(c, Filter(limit=500)))
        return sorted(o.name for one in page.incidents if one.gone_at is None for o in one.objects)

    async def times(self) -> int:
        page = await self.database.read(lambda c: listing.page(c, Filter(limit=500)))
        return sum(one.occurrences for one in page.incidents)

    async def status(self) -> str:
        return await self.reconciling.status()


def in_(namespace: str, name: str, *errors: str) -> Object:
    return result(f"shop/{name}", *(errors or (CRASH,)), kind="Service", namespace=namespace)


async def reading(file: Path, namespace: str, lease: str = "") -> AsyncGenerator[Replica, None]:
    settings = load(
        {
            "AEGIS_DATABASE_URL": f"sqlite:///{file}",
            "AEGIS_RESULTS_NAMESPACE": namespace,
            "AEGIS_LEASE_NAMESPACE": lease,
        }
    ).settings
    async with opened(settings) as (database, redact):
        cluster = await connect("auto", redact=redact, results_namespace=namespace)
        reconciling = build_reconciling(
            settings,
            cluster,  # type: ignore[arg-type]
            database,
            redact=redact,
            clock=utc_now,
            new_id=new_id,
            wake=lambda: None,
            metrics=Metrics(),
        )
        task = asyncio.create_task(reconciling.run())
        try:
            yield Replica(database, reconciling)
        finally:
            task.cancel()
            await asyncio.wait({task})
            await cluster.close()


@pytest.fixture
async def replica(
    tmp_path: Path, apiserver: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Replica]:
    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig))
    async for one in reading(tmp_path / "a.db", namespace):
        yield one


@pytest.mark.usefixtures("results_crd")
async def test_created_changed_and_deleted_without_a_post(
    replica: Replica, api: Api, namespace: str
) -> None:
    await until(lambda: _watched(replica))
    await api.apply(in_(namespace, "one"), in_(namespace, "two", "Service has no endpoints"))
    await until(lambda: _is(replica, "one", "two"))
    # The operator writes the status after each post: that says nothing new.
    await api.status("Result", in_(namespace, "one")["metadata"], {"lifecycle": "historical"})
    await api.apply(in_(namespace, "three", "another thing fails"))
    await until(lambda: _is(replica, "one", "three", "two"))
    assert await replica.times() == 3
    await api.delete("Result", namespace, "shopone")
    await until(lambda: _is(replica, "three", "two"))


@pytest.mark.usefixtures("results_crd")
async def test_a_restarted_api_server_loses_nothing_and_doubles_nothing(
    replica: Replica, apiserver: ControlPlane, api: Api, namespace: str
) -> None:
    await api.apply(in_(namespace, "one"))
    await until(lambda: _is(replica, "one"))
    await asyncio.to_thread(apiserver.restart_apiserver)
    await api.until(lambda: _applied(api, in_(namespace, "two", "Service has no endpoints")))
    await until(lambda: _is(replica, "one", "two"))
    assert await replica.times() == 2


async def _applied(api: Api, one: Object) -> Object | None:
    try:
        return (await api.apply(one))[0]
    except Exception:  # noqa: BLE001 — it has just begun, and does not know its CRDs yet
        return None


async def _watched(replica: Replica) -> bool:
    return (await replica.status()).startswith("watched")


async def _is(replica: Replica, *names: str) -> bool:
    return await replica.objects() == sorted(names)


async def test_the_crd_comes_later(replica: Replica, api: Api, namespace: str) -> None:
    definition = crd("results")
    name = definition["metadata"]["name"]
    await api.apply(definition)
    await api.delete("CustomResourceDefinition", "", name)

    async def missing() -> bool:
        return "is not installed" in await replica.status()

    await until(missing)
    await api.until(lambda: _applied(api, definition))
    await api.until(lambda: _applied(api, in_(namespace, "one")))
    await until(lambda: _is(replica, "one"))


@pytest.mark.usefixtures("results_crd")
async def test_rights_taken_and_given_back(
    tmp_path: Path,
    apiserver: ControlPlane,
    api: Api,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = await service_account(api, namespace)
    monkeypatch.setenv("KUBECONFIG", str(apiserver.write_kubeconfig("sink", token)))
    async with aclosing(reading(tmp_path / "a.db", namespace)) as found:
        replica = await anext(found)

        async def refused() -> bool:
            return 'resources: ["results"]' in await replica.status()

        await until(refused)
        await bind(api, namespace)
        await api.apply(in_(namespace, "one"))
        await until(lambda: _is(replica, "one"))
        await api.delete("ClusterRoleBinding", "", f"{namespace}-sink")

        async def noticed() -> bool:
            replica.reconciling.reconciler.results.list_now()
            return await refused()

        await until(noticed)
        await api.apply(in_(namespace, "two", "Service has no endpoints"))
        await bind(api, namespace)
        await until(lambda: _is(replica, "one", "two"))
        assert await replica.times() == 2


async def service_account(api: Api, namespace: str) -> str:
    """A token of an account that has no rights."""
    await api.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "sink", "namespace": namespace},
        }
    )
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/sink/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await api._call("POST", path, asked)
    return str(answer["status"]["token"])


async def bind(api: Api, namespace: str) -> None:
    """Let it list and watch Results."""
    group = "rbac.authorization.k8s.io"
    name = f"{namespace}-sink"
    rule = {"apiGroups": ["core.k8sgpt.ai"], "resources": ["results"], "verbs": ["list", "watch"]}
    await api.apply(
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [rule],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "sink", "namespace": namespace}],
        },
    )


@pytest.mark.usefixtures("results_crd")
async def test_of_two_replicas_one_reads_and_the_other_takes_over(
    tmp_path: Path,
    apiserver: ControlPlane,
    api: Api,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig))
    await api.apply(in_(namespace, "one"))
    async with (
        aclosing(reading(tmp_path / "a.db", namespace, namespace)) as first,
        aclosing(reading(tmp_path / "b.db", namespace, namespace)) as second,
    ):
        a = await anext(first)
        await until(lambda: _is(a, "one"))
        b = await anext(second)

        async def follows() -> bool:
            return (await b.status()).endswith("reads them")

        await until(follows)
        assert a.reconciling.leading
        assert not b.reconciling.leading
        assert await b.objects() == []
        await first.aclose()  # a is shut down: it lets the lease go
        await until(lambda: _is(b, "one"))
