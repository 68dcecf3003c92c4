"""The chart and the files of k8sgpt/, on a real API server with the real helm and kubectl."""

import asyncio
import json
import secrets
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.binaries import Binaries
from tests.cluster.api import Api
from tests.cluster.conftest import Run
from tests.cluster.control_plane import ControlPlane
from tests.program import BIN, free_port, process, until_ready

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "aegis-sink"
FILES = sorted(
    p
    for p in (ROOT / "k8sgpt").rglob("*.yaml")
    if p.name not in ("k8sgpt-values.yaml", "slack-app-manifest.yaml")
)


@pytest.fixture
async def namespace(api: Api) -> str:
    """A namespace that admits restricted pods only."""
    name = f"ship-{secrets.token_hex(4)}"
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    await api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforce}}
    )
    return name


@pytest.fixture
def installed(helm: Run, namespace: str) -> Iterator[str]:
    """The chart with its defaults, as release `aegis-sink`; the namespace it is in."""
    helm("install", "aegis-sink", str(CHART), "-n", namespace)
    yield namespace
    helm("uninstall", "aegis-sink", "-n", namespace)


async def until_it_lists(kubectl: Run, kind: str) -> None:
    async with asyncio.timeout(20):
        while kind not in await asyncio.to_thread(kubectl, "api-resources", "-o", "name"):  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.1)


@pytest.mark.usefixtures("k8sgpt_operator")
async def test_the_api_server_accepts_every_file_a_user_is_told_to_apply(
    api: Api, kubectl: Run
) -> None:
    for name in ("aegis-try", "aegis-try-quota"):
        await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await until_it_lists(kubectl, "k8sgpts.core.k8sgpt.ai")
    for path in FILES:
        told = await asyncio.to_thread(
            kubectl, "apply", "--dry-run=server", "--validate=strict", "-f", str(path)
        )
        assert "server dry run" in told, path.name


async def test_the_pod_is_admitted_where_only_restricted_pods_are(api: Api, installed: str) -> None:
    async def pod() -> dict[str, Any] | None:
        pods = await api.list("Pod", installed)
        return pods[0] if pods else None

    assert (await api.until(pod))["metadata"]["name"] == "aegis-sink-0"


def rights(listing: str) -> set[tuple[str, str]]:
    """`kubectl auth can-i --list` as (resource.group or URL, verb)."""
    found = set()
    for line in listing.splitlines()[1:]:
        what, _, verbs = line.partition("[")[0].strip(), "", line.rpartition("[")[2].rstrip("] ")
        where = what or line.partition("[")[2].partition("]")[0]
        found |= {(where, verb) for verb in verbs.split()}
    return found


def test_the_service_account_may_do_what_is_written_and_nothing_else(
    kubectl: Run, installed: str
) -> None:
    def allowed(account: str) -> set[tuple[str, str]]:
        who = f"system:serviceaccount:{installed}:{account}"
        return rights(kubectl("auth", "can-i", "--list", f"--as={who}", "-n", installed))

    written = {
        (f"{resource}.{group}" if group else resource, verb)
        for part in yaml.safe_load((CHART / "files" / "rbac.yaml").read_text()).values()
        for rule in part
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert allowed("aegis-sink") - allowed("default") == written


FORBIDDEN = (
    "get secrets",
    "list secrets",
    "list configmaps",
    "create pods/exec",
    "delete pods",
    "patch deployments",
    "create tokenreviews",
    "impersonate users",
)


def test_the_service_account_may_not_read_secrets_or_change_anything(
    kubectl: Run, installed: str
) -> None:
    who = f"--as=system:serviceaccount:{installed}:aegis-sink"
    assert kubectl("auth", "can-i", "list", "pods", who, "-A").strip() == "yes"
    for question in FORBIDDEN:
        with pytest.raises(AssertionError):  # `no` comes with exit code 1
            kubectl("auth", "can-i", *question.split(), who, "-A")


def test_a_list_of_namespaces_ends_at_their_borders(
    helm: Run, kubectl: Run, installed: str, namespace: str
) -> None:
    values = [
        f"--set=rbac.namespaces={{{namespace}}}",
        f"--set=settings.results_namespace={namespace}",
    ]
    helm("upgrade", "aegis-sink", str(CHART), "-n", namespace, *values)
    who = f"--as=system:serviceaccount:{installed}:aegis-sink"
    assert kubectl("auth", "can-i", "list", "pods", who, "-n", namespace).strip() == "yes"
    assert kubectl("auth", "can-i", "get", "nodes", who).strip() == "yes"
    with pytest.raises(AssertionError):
        kubectl("auth", "can-i", "list", "pods", who, "-n", "kube-system")


def test_the_commands_of_the_notes_make_the_secret_that_k8sgpt_posts_with(
    helm: Run, kubectl: Run, programs: Binaries, apiserver: ControlPlane, namespace: str
) -> None:
    kubectl("create", "secret", "generic", "aegis-sink", "--from-literal=webhook-token=right",
            "-n", namespace)  # fmt: skip
    where = f"--set=k8sgpt.namespace={namespace}"
    helm("install", "aegis-sink", str(CHART), "-n", namespace, where)
    notes = helm("get", "notes", "aegis-sink", "-n", namespace)
    commands = notes[notes.index("  TOKEN=") : notes.index("Then this in the spec")]
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env={
            "KUBECONFIG": str(apiserver.kubeconfig),
            "HOME": str(apiserver.directory),
            "PATH": f"{programs.kubectl.parent}:/usr/bin:/bin",
        },
        check=True,
        capture_output=True,
    )
    secret = json.loads(kubectl("get", "secret", "aegis-sink-url", "-n", namespace, "-o", "json"))
    url = b64decode(secret["data"]["url"]).decode()
    assert url == f"http://aegis:right@aegis-sink.{namespace}.svc:8080/webhook"
    helm("uninstall", "aegis-sink", "-n", namespace)


def test_uninstall_leaves_only_the_volume_claim(helm: Run, kubectl: Run, namespace: str) -> None:
    helm("install", "aegis-sink", str(CHART), "-n", namespace)
    helm("uninstall", "aegis-sink", "-n", namespace, "--wait")
    kinds = "statefulset,service,networkpolicy,role,rolebinding"
    assert kubectl("get", kinds, "-n", namespace, "-o", "name") == ""
    assert f"{namespace}-aegis-sink" not in kubectl("get", "clusterrole", "-o", "name")


@pytest.mark.usefixtures("k8sgpt_operator")
async def test_the_rights_that_ship_are_enough_for_a_whole_diagnosis(
    api: Api, apiserver: ControlPlane, kubectl: Run, installed: str, tmp_path: Path
) -> None:
    """The program with the service account's own token looks at a Service that selects no pod."""
    place = f"try-{secrets.token_hex(4)}"
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
    broken = (ROOT / "k8sgpt/incidents/service-selector.yaml").read_text()
    for one in yaml.safe_load_all(broken):
        await api.apply({**one, "metadata": {**one["metadata"], "namespace": place}})

    async def pods() -> dict[str, Any] | None:
        found = await api.list("Pod", place)
        return found[0] if found else None

    await api.until(pods)
    token = kubectl("create", "token", "aegis-sink", "-n", installed).strip()
    port = free_port()
    environment = {
        "KUBECONFIG": str(apiserver.write_kubeconfig(f"sa-{place}", token)),
        "AEGIS_PORT": str(port),
        "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
        "AEGIS_LLM_API": "off",
        "AEGIS_GROUP_WAIT": "0s",
    }
    text = "Service has no endpoints, expected label tier=web"
    finding = {
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "kind": "Result",
        "metadata": {"name": f"{place}catalog".replace("-", ""), "namespace": "k8sgpt"},
        "spec": {"kind": "Service", "name": f"{place}/catalog", "error": [{"text": text}],
                 "details": "", "backend": "", "parentObject": "", "autoRemediationStatus": {}},
    }  # fmt: skip
    async with (
        process([str(BIN / "aegis-sink"), "serve"], environment, tmp_path) as running,
        aiohttp.ClientSession() as web,
    ):
        base = f"http://127.0.0.1:{port}"
        await until_ready(running, f"{base}/readyz")
        body = json.dumps(finding).encode()
        kind = {"content-type": "application/json"}
        async with web.post(f"{base}/v1/findings?wait=30", data=body, headers=kind) as answer:
            told = await answer.json()
    (incident,) = told["incidents"]
    diagnosis = incident["diagnosis"]
    assert diagnosis["cause_id"] == "service-selector-mismatch", diagnosis
    assert "tier=web" in diagnosis["root_cause"]
    assert "rbac" not in json.dumps(diagnosis["missing"]).lower()
    assert not [line for line in diagnosis["missing"] if "forbidden" in line.lower()]
