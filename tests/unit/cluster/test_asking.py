"""Completion, owners, status and the ways the API server can say no."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aegis_sink.cluster.client import KubernetesCluster, NoCluster, connect
from aegis_sink.cluster.configuration import load_transport
from aegis_sink.cluster.errors import ClusterRefused, ClusterUnavailable
from aegis_sink.cluster.health import Health
from aegis_sink.cluster.shared import Shared
from aegis_sink.dialects.result import parse_result
from aegis_sink.model import Finding, ObjectRef, OwnerChain
from tests.unit.cluster.fake_api import FakeApi, connected
from tests.unit.cluster.objects import by_name, finding, owned_by, pod


def result(kind: str, name: str, text: str) -> dict[str, Any]:
    return {
        "kind": "Result",
        "metadata": {
            "name": name.replace("/", "").replace("-", ""),
            "namespace": "k8sgpt",
            "labels": {"k8sgpts.k8sgpt.ai/name": "sample"},
        },
        "spec": {"kind": kind, "name": name, "error": [{"text": text}], "details": "d"},
    }


def bodiless(kind: str, name: str) -> Finding:
    return Finding("default", ObjectRef(kind, name, "shop"), "slack", k8sgpt="sample")


async def test_a_finding_without_texts_gets_those_of_its_own_kinds_result(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(result("Service", "shop/web", "no endpoints"), result("Ingress", "shop/web", "class"))
    completed = await cluster.complete(bodiless("Ingress", "web"))
    assert completed.errors == ("class",)
    assert completed.completed
    assert completed.result is not None


async def test_the_name_of_an_operator_groups_result_is_its_namespace(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(result("OperatorGroup", "olm-two", "2 OperatorGroups in namespace"))
    [group] = parse_result(result("OperatorGroup", "olm-two", ""), "default")
    completed = await cluster.complete(replace(group, dialect="slack", details=""))
    assert completed.errors == ("2 OperatorGroups in namespace",)


async def test_what_a_result_adds_is_cleaned_like_a_body(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    one = result("Ingress", "shop/web", "no\u200b class\x1b[31m" + "x" * 10_000)
    one["spec"]["details"] = "<think>ask @here</think>Tell <!channel> and @here\u202e now"
    api.put(one)
    completed = await cluster.complete(bodiless("Ingress", "web"))
    assert completed.errors[0].startswith("no class[31mxxx")
    assert completed.errors[0].endswith("characters")
    assert completed.details == "Tell [!channel] and (at)here now"


async def test_a_finding_without_a_result_stays_as_it_is(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(result("Service", "shop/web", "no endpoints"))
    assert await cluster.complete(bodiless("Pod", "web")) == bodiless("Pod", "web")


async def test_a_refused_completion_carries_the_rule(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.refuse("results", 403)
    with pytest.raises(ClusterRefused) as refused:
        await cluster.complete(bodiless("Pod", "web"))
    assert refused.value.rule == (
        '{apiGroups: ["core.k8sgpt.ai"], resources: ["results"], verbs: ["list"]}'
    )


async def test_a_server_in_trouble_is_to_be_asked_later(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.refuse("results", 500, "etcdserver: leader changed")
    with pytest.raises(ClusterUnavailable, match="leader changed"):
        await cluster.complete(bodiless("Pod", "web"))


async def test_a_server_that_says_429_for_a_moment_is_asked_again(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(result("Pod", "shop/web", "boom"))
    told = 0

    async def busy(request: web.Request) -> web.Response | None:
        nonlocal told
        told += 1
        headers = {"Retry-After": "0"}
        return web.json_response({}, status=429, headers=headers) if told < 3 else None

    api.faults["/results"] = busy
    assert (await cluster.complete(bodiless("Pod", "web"))).errors == ("boom",)


async def test_an_unreachable_server_prevents_no_start_and_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\n"
        "contexts: [{name: t, context: {cluster: t, user: t}}]\n"
        "users: [{name: t, user: {token: abc}}]\n"
        f"clusters: [{{name: t, cluster: {{server: 'http://127.0.0.1:{unused_tcp_port}'}}}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))
    cluster = await connect("auto", redact=str)
    assert (await cluster.status()).startswith("unreachable: ")
    with pytest.raises(ClusterUnavailable):
        await cluster.owners(finding("Pod", "api-1"), by_name)
    await cluster.close()


async def test_a_user_without_a_home_has_no_kubeconfig_and_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert isinstance(await connect("auto", redact=str), NoCluster)


async def test_the_kubernetes_package_is_imported_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported: dict[str, bool] = {}
    on_loop = threading.current_thread()

    def note(name: str) -> None:
        imported[name] = threading.current_thread() is on_loop

    monkeypatch.setattr("aegis_sink.cluster.configuration.import_module", note)
    monkeypatch.setenv("KUBECONFIG", "/nowhere/at/all")
    with pytest.raises(ClusterUnavailable):
        await load_transport()
    assert imported == {"kubernetes.aio.config": False, "kubernetes.aio.client.rest": False}


async def test_a_broken_kubeconfig_prevents_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("current-context: nowhere\n")
    monkeypatch.setenv("KUBECONFIG", str(config))
    cluster = await connect("auto", redact=str)
    assert "cannot be used" in await cluster.status()
    await cluster.close()


async def test_without_a_cluster_nothing_is_read_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    cluster = await connect("auto", redact=str)
    assert isinstance(cluster, NoCluster)
    one = finding("Pod", "api-1")
    owners = await cluster.owners(one, by_name)
    assert owners.how == "its name (no cluster)"
    collected = await cluster.collect(one, owners)
    assert collected.evidence == ()
    assert collected.missing[0] == (
        "nothing was read from a cluster: no cluster configured; run in one, or set KUBECONFIG"
    )
    assert await cluster.status() == "off: no cluster configured"
    off = await connect("off", redact=str)
    told = (await off.collect(one, owners)).missing
    assert told == ("nothing was read from a cluster: AEGIS_KUBERNETES=off",)


async def test_a_gone_pod_is_told_by_its_replica_set(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    rs = {"name": "api-7c5ddbdf54", "namespace": "shop", **owned_by("Deployment", "api")}
    api.put(
        {"kind": "ReplicaSet", "metadata": rs},
        {"kind": "Deployment", "metadata": {"name": "api", "namespace": "shop"}},
    )

    def told(ref: ObjectRef) -> OwnerChain:
        replica_set = ObjectRef("ReplicaSet", "api-7c5ddbdf54", "shop")
        return OwnerChain((ref, replica_set, ObjectRef("Deployment", "api", "shop")), "its name")

    chain = await cluster.owners(finding("Pod", "api-7c5ddbdf54-x2b4z"), told)
    assert chain.subject == ObjectRef("Deployment", "api", "shop")
    assert chain.how == "its ReplicaSet (the pod is gone)"


async def test_when_all_is_gone_the_name_is_the_last_resort(cluster: KubernetesCluster) -> None:
    chain = await cluster.owners(finding("Pod", "api-1"), by_name)
    assert chain.how == "its name (the pod is gone)"


async def test_a_custom_owner_is_found_through_discovery(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.discovery.append(
        {
            "metadata": {"name": "example.test"},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "widgets",
                            "scope": "Namespaced",
                            "responseKind": {"kind": "Widget"},
                        }
                    ],
                }
            ],
        }
    )
    api.put(pod(metadata=owned_by("Widget", "w", "example.test/v1")))
    api.objects["/apis/example.test/v1/widgets"] = [
        {"metadata": {"name": "w", "namespace": "shop"}}
    ]
    chain = await cluster.owners(finding("Pod", "api-1"), by_name)
    assert [r.kind for r in chain.chain] == ["Pod", "Widget"]


async def test_an_unreadable_pod_is_told_by_its_name_with_the_rule(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.refuse("pods", 403)
    chain = await cluster.owners(finding("Pod", "api-1"), by_name)
    assert 'resources: ["pods"]' in chain.how


async def test_a_slow_server_is_given_up_after_the_seconds_of_a_request(api: FakeApi) -> None:
    api.hang("pods")
    cluster = connected(api, request_seconds=0.1)
    with pytest.raises(ClusterUnavailable, match="did not answer"):
        await cluster.owners(finding("Pod", "api-1"), by_name)
    await cluster.close()


async def test_a_fetch_goes_on_when_the_first_who_asked_gives_up() -> None:
    shared: Shared[str, int] = Shared(10, clock=lambda: 0.0)
    go = asyncio.Event()

    async def fetch() -> int:
        await go.wait()
        return 7

    first = asyncio.ensure_future(shared.get("k", fetch))
    second = asyncio.ensure_future(shared.get("k", fetch))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second == 7


async def test_a_fetch_that_nobody_waits_for_ends_before_its_connection(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod())
    api.hang("namespaces/shop/events")
    one = finding("Pod", "api-1")
    asked = asyncio.ensure_future(cluster.collect(one, OwnerChain((one.object,), "as in the test")))
    while not any("/events" in path for path in api.asked):  # noqa: ASYNC110 — it has no event
        await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.wait({asked})
    others = asyncio.all_tasks()
    assert [task for task in others if "Shared._run" in repr(task)]
    await cluster.close()
    assert not [task for task in others if "Shared._run" in repr(task) and not task.done()]


async def test_credentials_that_many_requests_at_once_are_refused_with_end_each_with_words(
    api: FakeApi,
) -> None:
    api.refuse("", 401)
    cluster = connected(api)
    for _ in range(5):
        reads = [cluster.complete(bodiless(kind, "web")) for kind in ("Pod", "Service") * 10]
        answers = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(answer) for answer in answers} <= {ClusterRefused, ClusterUnavailable}
    await cluster.close()


@pytest.mark.parametrize("kind", ["Pod", "Service"])
async def test_what_may_not_be_read_is_neither_well_nor_gone(
    api: FakeApi, cluster: KubernetesCluster, kind: str
) -> None:
    ref = ObjectRef(kind, "web", "shop")
    assert await cluster.health(ref) is Health.GONE
    api.refuse(f"{kind.lower()}s", 403)
    assert await cluster.health(ref) is Health.UNREAD
