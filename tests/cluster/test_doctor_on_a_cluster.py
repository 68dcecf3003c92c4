"""Doctor on a real API server: rights, CRDs, K8sGPT objects, with a service account's token."""

import asyncio
import copy
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.examination import Examination
from aegis_sink.settings import Settings
from tests.cluster.api import RBAC, Api, account, shipped_rules
from tests.cluster.conftest import Run
from tests.cluster.control_plane import ControlPlane

ROOT = Path(__file__).parents[2]
TOKEN = "a-webhook-token"


@pytest.fixture
async def sink_account(
    api: Api, apiserver: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Everything that ships but the rule for logs; the environment points at it."""
    name = f"sink-{secrets.token_hex(4)}"
    rules = [rule for rule in shipped_rules() if rule["resources"] != ["pods/log"]]
    await api.apply(*account(name, namespace, rules))
    token = await api.token(namespace, name)
    monkeypatch.setenv("KUBECONFIG", str(apiserver.write_kubeconfig(name, token)))
    return name


async def examine(tmp_path: Path, namespace: str = "", **settings: str) -> list[Check]:
    values = {
        "database_url": f"sqlite:///{tmp_path}/sink.db",
        "llm_api": "off",
        "port": "1",
        "webhook_token": TOKEN,
        **settings,
    }
    examination = Examination(Settings.model_validate(values), {}, namespace=namespace)
    return [check async for check in examination.everything()]


def named(checks: list[Check], beginning: str) -> list[Check]:
    return [check for check in checks if check.name.startswith(beginning)]


@pytest.mark.usefixtures("k8sgpt_operator")
async def test_the_one_right_that_lacks_is_named_and_its_fix_gives_it(
    sink_account: str, namespace: str, tmp_path: Path, kubectl: Run
) -> None:
    checks = await examine(tmp_path)
    (reached,) = named(checks, "kubernetes")
    assert reached.found.startswith("reachable, v")
    (clock,) = named(checks, "clock")
    assert clock.health is Health.OK
    (lack,) = named(checks, "right ")
    user = f"system:serviceaccount:{namespace}:{sink_account}"
    assert lack.found == f"{user} may not get pods/log anywhere"

    for command in lack.fix.split(" && "):
        program, *arguments = command.split()
        assert program == "kubectl"
        await asyncio.to_thread(kubectl, *arguments)
    async with asyncio.timeout(30):
        # RBAC is cached for a moment, and nothing tells.
        while named(await examine(tmp_path), "right "):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    role = lack.fix.split()[3]
    await asyncio.to_thread(kubectl, "delete", "clusterrole,clusterrolebinding", role)


@pytest.mark.usefixtures("k8sgpt_operator", "sink_account")
async def test_rights_are_asked_for_one_namespace_where_only_that_is_wanted(
    namespace: str, tmp_path: Path
) -> None:
    (lack,) = named(await examine(tmp_path, namespace), "right ")
    assert lack.found.endswith(f"may not get pods/log in namespace {namespace}")
    assert "kubectl create role aegis-sink-get-pods-log" in lack.fix
    assert f"-n {namespace}" in lack.fix


def role(name: str, namespace: str, rules: list[dict[str, list[str]]]) -> list[dict[str, Any]]:
    """What the chart's `rbac.namespaces` gives the service account in one namespace."""
    metadata = {"name": name, "namespace": namespace}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    named = {"apiGroup": RBAC, "kind": "Role", "name": name}
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": metadata,
         "roleRef": named, "subjects": [subject]},
    ]  # fmt: skip


@pytest.mark.usefixtures("k8sgpt_operator")
async def test_an_account_that_the_chart_limits_to_namespaces_is_no_fault(
    api: Api,
    apiserver: ControlPlane,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = yaml.safe_load((ROOT / "helm/aegis-sink/files/rbac.yaml").read_text())
    name = f"sink-{secrets.token_hex(4)}"
    await api.apply(
        *account(name, namespace, parts["clusterObjects"]),
        *role(name, namespace, parts["namespaced"] + parts["results"]),
    )
    token = await api.token(namespace, name)
    monkeypatch.setenv("KUBECONFIG", str(apiserver.write_kubeconfig(name, token)))
    checks = await examine(tmp_path, results_namespace=namespace)
    assert named(checks, "right ") == []
    (rights,) = named(checks, "rights")
    user = f"system:serviceaccount:{namespace}:{name}"
    assert rights.found == f"{user} reads {namespace}, no other namespace"
    assert rights.health is Health.OK


async def test_an_api_server_that_is_not_reached_or_does_not_know_us_says_which(
    apiserver: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = yaml.safe_load(apiserver.write_kubeconfig("nobody", "no-such-token").read_text())

    async def told(**cluster: str) -> Check:
        config = copy.deepcopy(good)
        config["clusters"][0]["cluster"] = {**good["clusters"][0]["cluster"], **cluster}
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(path))
        (check,) = named(await examine(tmp_path), "kubernetes")
        assert check.health is Health.FAILED
        assert check.fix
        return check

    assert "does not accept the credentials (401)" in (await told()).found
    assert "connection refused" in (await told(server="https://127.0.0.1:1")).found
    del good["clusters"][0]["cluster"]["certificate-authority"]
    stranger = await told()
    assert "signed by a CA that is not known here" in stranger.found
    assert "certificate-authority-data" in stranger.fix


@pytest.mark.usefixtures("k8sgpt_operator", "sink_account")
async def test_each_k8sgpt_object_is_followed_to_the_service_it_posts_to(
    api: Api, namespace: str, tmp_path: Path
) -> None:
    cr = yaml.safe_load((ROOT / "k8sgpt/k8sgpt-cr.yaml").read_text())
    url = f"http://aegis-sink.{namespace}.svc:8080/webhook"
    cr["metadata"] = {"name": "sample", "namespace": namespace}
    cr["spec"]["sink"]["webhook"] = url
    await api.apply(cr)
    here = {"results_namespace": namespace}

    (target,) = named(await examine(tmp_path, **here), "sink target")
    noted = "only the URL in Secret aegis-sink-url counts, which is not read"
    assert target.found == f"there is no Service {namespace}/aegis-sink; {noted}"
    assert target.health is Health.WARNING

    labels = {"app.kubernetes.io/name": "aegis-sink"}
    service = {"apiVersion": "v1", "kind": "Service",
               "metadata": {"name": "aegis-sink", "namespace": namespace, "labels": labels},
               "spec": {"selector": labels, "ports": [{"port": 8080}]}}  # fmt: skip
    await api.apply(service)
    (target,) = named(await examine(tmp_path, **here), "sink target")
    assert target.found == f"Service {namespace}/aegis-sink has no ready pod behind it; {noted}"

    slices = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
              "metadata": {"name": "by-hand", "namespace": namespace,
                           "labels": {"kubernetes.io/service-name": "aegis-sink"}},
              "addressType": "IPv4", "ports": [{"port": 8080}],
              "endpoints": [{"addresses": ["10.1.0.7"], "conditions": {"ready": True}}]}  # fmt: skip
    await api.apply(slices)
    checks = await examine(tmp_path, **here)
    (target,) = named(checks, "sink target")
    assert target.health is Health.OK, target
    assert [c for c in named(checks, "sink ") if c.health is not Health.OK] == []
    assert [c.name for c in named(checks, "ai ")] == [f"ai {namespace}/sample"]

    cr["spec"]["sink"]["webhook"] = "noted"
    await api.delete("K8sGPT", namespace, "sample")
    await api.apply(cr)
    (target,) = named(await examine(tmp_path, **here), "sink target")
    assert target.found == "posts go to the URL in Secret aegis-sink-url, which is not read"

    del cr["spec"]["sink"]["webhook"]
    cr["spec"]["sink"] |= {"webhook": f"https://aegis:{TOKEN}@aegis.example.com:8443/webhook"}
    del cr["spec"]["sink"]["secret"]
    await api.delete("K8sGPT", namespace, "sample")
    await api.apply(cr)
    (target,) = named(await examine(tmp_path, **here), "sink target")
    assert target.fix == "curl -sS https://aegis.example.com:8443/healthz"

    cr["spec"]["sink"] = {"type": "mattermost", "secret": {"name": "s", "key": "url"}}
    await api.delete("K8sGPT", namespace, "sample")
    await api.apply(cr)
    (sink,) = named(await examine(tmp_path, **here), "sink ")
    assert "posted again at every analysis" in sink.found
    await api.delete("K8sGPT", namespace, "sample")


async def operator(api: Api, namespace: str, version: str) -> None:
    labels = {"app": "operator"}
    image = f"ghcr.io/k8sgpt-ai/k8sgpt-operator:v{version}"
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "manager", "image": image}]},
    }
    await api.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment",
         "metadata": {"name": "operator-controller-manager", "namespace": namespace},
         "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}}
    )  # fmt: skip


@pytest.mark.usefixtures("k8sgpt_operator", "sink_account")
async def test_the_operators_version_is_read_from_its_deployment(
    api: Api, namespace: str, tmp_path: Path
) -> None:
    cr = yaml.safe_load((ROOT / "k8sgpt/k8sgpt-cr.yaml").read_text())
    cr["metadata"] = {"name": "sample", "namespace": namespace}
    await api.apply(cr)
    await operator(api, namespace, "0.2.10")
    found = [
        check.found
        for check in named(await examine(tmp_path, results_namespace=namespace), "operator ")
        if check.health is Health.FAILED
    ]
    assert found == [
        "scaled to 0: nothing is analysed",
        "0.2.10: without auto-remediation it analyses once and then idles",
    ]
    await api.delete("K8sGPT", namespace, "sample")


@pytest.mark.usefixtures("k8sgpt_operator", "sink_account")
async def test_a_cluster_without_a_k8sgpt_object_is_told_what_to_apply(
    namespace: str, tmp_path: Path
) -> None:
    checks = await examine(tmp_path, results_namespace=namespace)
    assert [c.health for c in named(checks, "crd ")] == [Health.OK, Health.OK]
    (none,) = named(checks, "k8sgpt")
    assert none.fix == (
        "kubectl apply -f k8sgpt/k8sgpt-cr.yaml   # or AEGIS_RESULTS_NAMESPACE=…, "
        "see kubectl get k8sgpt -A"
    )
