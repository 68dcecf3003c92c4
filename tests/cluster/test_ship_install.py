"""The chart and the files of k8sgpt/, on a real API server with the real helm and kubectl."""

import asyncio
import json
import re
import secrets
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.binaries import Binaries
from tests.cluster.api import Api
from tests.cluster.conftest import Run
from tests.cluster.control_plane import ControlPlane
from tests.cluster.kubelet import Kubelet
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
    # The pages' own `kubectl create namespace` is typed in other tests.
    await asyncio.to_thread(
        kubectl, "delete", "namespace", "aegis-try", "aegis-try-quota", "--timeout=60s"
    )


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


def own_rights(kubectl: Run, home: str, namespace: str) -> set[tuple[str, str]]:
    """What the release's account in `home` may do in a namespace, beyond what any account may."""

    def allowed(account: str) -> set[tuple[str, str]]:
        who = f"system:serviceaccount:{home}:{account}"
        return rights(kubectl("auth", "can-i", "--list", f"--as={who}", "-n", namespace))

    return allowed("aegis-sink") - allowed("default")


def written(*parts: str) -> set[tuple[str, str]]:
    """Those parts of files/rbac.yaml, in the same form."""
    document = yaml.safe_load((CHART / "files" / "rbac.yaml").read_text())
    return {
        (f"{resource}.{group}" if group else resource, verb)
        for part in parts or document
        for rule in document[part]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


LEASE = {("leases.coordination.k8s.io", verb) for verb in ("get", "create", "update")}


def test_the_service_account_may_do_what_is_written_and_nothing_else(
    kubectl: Run, installed: str
) -> None:
    assert own_rights(kubectl, installed, installed) == written() | LEASE
    assert own_rights(kubectl, installed, "kube-system") == written()
    # Of Leases in its own namespace it may change its own alone, and none elsewhere.
    who = f"--as=system:serviceaccount:{installed}:aegis-sink"

    def may_update(name: str, namespace: str) -> str:
        lease = f"leases.coordination.k8s.io/{name}"
        return kubectl("auth", "can-i", "update", lease, who, "-n", namespace).strip()

    assert may_update("aegis-sink", installed) == "yes"
    for name, namespace in (("another", installed), ("aegis-sink", "default")):
        with pytest.raises(AssertionError):  # `no` comes with exit code 1
            may_update(name, namespace)


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


@pytest.mark.parametrize("cluster_objects", [True, False])
async def test_a_list_of_namespaces_ends_at_their_borders(
    api: Api, helm: Run, kubectl: Run, installed: str, cluster_objects: bool
) -> None:
    shop, results = f"shop-{secrets.token_hex(4)}", f"results-{secrets.token_hex(4)}"
    for name in (shop, results):
        await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    helm("upgrade", "aegis-sink", str(CHART), "-n", installed, f"--set=rbac.namespaces={{{shop}}}",
         f"--set=settings.results_namespace={results}",
         f"--set=rbac.clusterObjects={str(cluster_objects).lower()}")  # fmt: skip
    everywhere = written("clusterObjects") if cluster_objects else set()
    assert own_rights(kubectl, installed, shop) == written("namespaced") | everywhere
    assert own_rights(kubectl, installed, results) == written("results") | everywhere
    assert own_rights(kubectl, installed, installed) == LEASE | everywhere
    assert own_rights(kubectl, installed, "kube-system") == everywhere


@pytest.mark.usefixtures("k8sgpt_operator")
def test_the_notes_make_the_secret_and_the_sink_that_k8sgpt_posts_with(
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
    cr = yaml.safe_load((ROOT / "k8sgpt" / "k8sgpt-cr.yaml").read_text())
    cr["metadata"]["namespace"] = namespace
    cr["spec"]["sink"] = yaml.safe_load(notes[notes.index("  sink:") :].partition("\n\n")[0])[
        "sink"
    ]
    path = apiserver.directory / f"{namespace}.json"
    path.write_text(json.dumps(cr))
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))
    helm("uninstall", "aegis-sink", "-n", namespace)


ELSEWHERE = re.compile(r"docker |kind |helm repo |ollama |OLLAMA_HOST|.*k8sgpt/k8sgpt-operator ")
"""Commands of a page that no API server is asked for."""
NEEDS_A_KUBELET = re.compile(r"kubectl -n aegis (rollout|exec|logs) ")
Type = Callable[[list[str]], None]


def commands(page: str, after: str) -> list[str]:
    """What a page tells to type, from the line that begins with `after` on."""
    text = (ROOT / page).read_text()
    text = text[text.index(f"\n{after}") :].replace("\\\n", "")
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    return [one for one in lines if not ELSEWHERE.match(one) and not NEEDS_A_KUBELET.match(one)]


@pytest.fixture
def typed(
    helm: Run, kubectl: Run, programs: Binaries, apiserver: ControlPlane, k8sgpt_operator: None
) -> Iterator[Type]:
    """Types commands as a user does, in one shell; what they made is gone afterwards."""

    def no_namespaces() -> None:
        kubectl("delete", "namespace", "aegis", "aegis-try", "--ignore-not-found", "--timeout=60s")

    def type_(lines: list[str]) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            cwd=ROOT,
            env={
                "KUBECONFIG": str(apiserver.kubeconfig),
                "HOME": str(apiserver.directory),
                "PATH": f"{programs.kubectl.parent}:/usr/bin:/bin",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    no_namespaces()  # of other tests of this process
    yield type_
    helm("uninstall", "aegis-sink", "-n", "aegis", "--ignore-not-found")
    kubectl("delete", "k8sgpt,secret", "--all", "-n", "k8sgpt-operator-system")
    no_namespaces()


def test_the_api_server_takes_every_command_of_the_ten_minute_install(
    kubectl: Run, typed: Type
) -> None:
    lines = commands("README.md", "## Install it beside K8sGPT")
    assert len(lines) == 8, lines
    typed(lines)
    sink = json.loads(
        kubectl("get", "k8sgpt", "k8sgpt-aegis", "-n", "k8sgpt-operator-system", "-o", "json")
    )["spec"]["sink"]
    service = json.loads(kubectl("get", "service", "aegis-sink", "-n", "aegis", "-o", "json"))
    port = service["spec"]["ports"][0]["port"]
    assert sink["webhook"] == f"http://aegis-sink.aegis.svc:{port}/webhook"
    secret = kubectl("get", "secret", "-n", "k8sgpt-operator-system", sink["secret"]["name"],
                     "-o", f"jsonpath={{.data.{sink['secret']['key']}}}")  # fmt: skip
    token = kubectl("get", "secret", "-n", "aegis", "aegis-sink",
                    "-o", "jsonpath={.data.webhook-token}")  # fmt: skip
    right = b64decode(token).decode()
    assert b64decode(secret).decode() == sink["webhook"].replace("//", f"//aegis:{right}@")


def test_the_api_server_takes_every_command_of_the_walk_and_of_its_clean_up(
    kubectl: Run, typed: Type
) -> None:
    lines = commands("k8sgpt/README.md", "**4. AEGIS Sink.**")
    assert len(lines) == 12, lines
    typed(lines)
    stored = kubectl("get", "statefulset", "aegis-sink", "-n", "aegis", "-o", "json")
    (container,) = json.loads(stored)["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one for one in container["env"]}
    assert given["AEGIS_LLM_URL"]["value"] == "http://host.docker.internal:11434"
    assert given["AEGIS_SLACK_CHANNEL"]["value"] == "C0123456789"
    secret = json.loads(kubectl("get", "secret", "aegis-sink", "-n", "aegis", "-o", "json"))["data"]
    for name in ("AEGIS_WEBHOOK_TOKEN", "AEGIS_SLACK_BOT_TOKEN"):
        assert given[name]["valueFrom"]["secretKeyRef"]["key"] in secret
    (clean_up,) = re.findall(r"\*\*Clean up:\*\* `(.+?)`", (ROOT / "k8sgpt/README.md").read_text())
    typed([clean_up])
    assert "aegis-try" not in kubectl("get", "namespaces,ingressclasses", "-o", "name")


EVERYTHING = {
    "imagePullSecrets": [{"name": "registry"}],
    "persistence": {"existingClaim": "mine"},
    "serviceAccount": {"annotations": {"a": "b"}},
    "rbac": {"extraRules": [{"apiGroups": ["keda.sh"], "resources": ["a"], "verbs": ["get"]}]},
    "service": {"annotations": {"a": "b"}},
    "ingress": {"annotations": {"a": "b"}},
    "networkPolicy": {
        "extraIngress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
        "extraEgress": [{"ports": [{"port": 3128}]}],
    },
    "podAnnotations": {"a": "b"},
    "podLabels": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraVolumes": [{"name": "playbooks", "configMap": {"name": "ours"}}],
    "extraVolumeMounts": [{"name": "playbooks", "mountPath": "/playbooks"}],
    "settings": {"llm_url": None, "routes": [{"match": 'namespace="shop"', "mention": "here"}]},
    "ollama": {"create": True},
}


@pytest.mark.usefixtures("k8sgpt_operator")
@pytest.mark.parametrize(
    ("profile", "values"),
    [("minimal", {}), ("standard", {}), ("full", {}), ("full", EVERYTHING)],
    ids=["minimal", "standard", "full", "everything"],
)
async def test_the_api_server_knows_every_field_that_is_rendered(
    kubectl: Run, helm: Run, namespace: str, profile: str, values: dict[str, Any], tmp_path: Path
) -> None:
    """Helm drops what the server does not know; `--validate=strict` tells."""
    given, rendered = tmp_path / "values.yaml", tmp_path / "rendered.yaml"
    given.write_text(json.dumps(values))
    chosen = str(CHART / "profiles" / f"{profile}.yaml")
    text = helm(
        "template", "aegis-sink", str(CHART), "-n", namespace, "-f", chosen, "-f", str(given)
    )
    known = [d for d in yaml.safe_load_all(text) if d and "monitoring" not in d["apiVersion"]]
    rendered.write_text(yaml.safe_dump_all(known))
    await until_it_lists(kubectl, "k8sgpts.core.k8sgpt.ai")
    told = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(rendered))
    assert told.count("server dry run") == len(known)


OTHER_LABELS = {
    "serviceMonitor": {"interval": "1m", "labels": {"release": "prometheus"}},
    "prometheusRule": {"labels": {"release": "prometheus"}},
}


@pytest.mark.usefixtures("prometheus_operator")
@pytest.mark.parametrize("values", [{}, OTHER_LABELS], ids=["full", "others' labels"])
async def test_the_prometheus_operators_own_definitions_know_every_field_that_is_rendered(
    kubectl: Run, helm: Run, namespace: str, values: dict[str, Any], tmp_path: Path
) -> None:
    given, rendered = tmp_path / "values.yaml", tmp_path / "rendered.yaml"
    given.write_text(json.dumps(values))
    chosen = str(CHART / "profiles" / "full.yaml")
    text = helm(
        "template", "aegis-sink", str(CHART), "-n", namespace, "-f", chosen, "-f", str(given)
    )
    watched = [d for d in yaml.safe_load_all(text) if d and "monitoring" in d["apiVersion"]]
    assert {one["kind"] for one in watched} == {"ServiceMonitor", "PrometheusRule"}
    rendered.write_text(yaml.safe_dump_all(watched))
    for kind in ("servicemonitors", "prometheusrules"):
        await until_it_lists(kubectl, f"{kind}.monitoring.coreos.com")
    kubectl("apply", "--validate=strict", "-f", str(rendered))
    for one in watched:
        stored = json.loads(
            kubectl("get", one["kind"], "aegis-sink", "-n", namespace, "-o", "json")
        )
        assert stored["spec"] == one["spec"]


@pytest.mark.usefixtures("k8sgpt_operator")
async def test_names_that_look_like_numbers_are_taken(
    api: Api, kubectl: Run, helm: Run, tmp_path: Path
) -> None:
    place = str(secrets.randbelow(10**9))
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    await api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place, "labels": enforce}}
    )
    values = {
        "secrets": {"webhook_token": {"name": "2024", "key": "1234"}},
        "persistence": {"storageClass": "-"},
        "rbac": {"namespaces": [place]},
        "settings": {"results_namespace": place},
        "ingress": {"enabled": True, "host": "*.example.com", "tlsSecretName": "0"},
        "networkPolicy": {"k8sgptNamespace": "1e3"},
        "podDisruptionBudget": {"enabled": True},
        "ollama": {"create": True},
        "k8sgpt": {"create": True, "namespace": place, "sinkSecret": {"name": "1", "key": "2"}},
    }
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(values))
    helm("install", "123", str(CHART), "-n", place, "-f", str(path))

    async def both() -> dict[str, Any] | None:
        names = [one["metadata"]["name"] for one in await api.list("Pod", place)]
        ollama = any(name.startswith("aegis-sink-123-ollama-") for name in names)
        return {"pods": names} if ollama and "aegis-sink-123-0" in names else None

    assert await api.until(both)
    helm("uninstall", "123", "-n", place)


@pytest.mark.parametrize(("unavailable", "drained"), [(1, True), (0, False)])
async def test_a_budget_of_one_lets_a_node_be_drained_and_of_none_keeps_the_pod(
    api: Api,
    kubectl: Run,
    helm: Run,
    node: Kubelet,
    namespace: str,
    unavailable: int,
    drained: bool,
) -> None:
    helm("install", "aegis-sink", str(CHART), "-n", namespace, "--set=podDisruptionBudget.enabled=true",
         f"--set=podDisruptionBudget.maxUnavailable={unavailable}")  # fmt: skip

    async def pod() -> dict[str, Any] | None:
        return next(iter(await api.list("Pod", namespace)), None)

    one = await api.until(pod)
    await api.bind(namespace, one["metadata"]["name"], "node-1")
    ready = {"type": "Ready", "status": "True"}
    await api.status("Pod", one["metadata"], {"phase": "Running", "conditions": [ready]})

    async def counted() -> dict[str, Any] | None:
        budget = await api.get("PodDisruptionBudget", namespace, "aegis-sink")
        return budget if budget.get("status", {}).get("currentHealthy") == 1 else None

    assert (await api.until(counted))["status"]["disruptionsAllowed"] == unavailable
    assert await api.may_evict(namespace, one["metadata"]["name"]) is drained
    helm("uninstall", "aegis-sink", "-n", namespace)


async def test_the_longest_name_of_a_release_has_a_pod(api: Api, helm: Run, namespace: str) -> None:
    helm("install", "a" * 53, str(CHART), "-n", namespace)

    async def pod() -> dict[str, Any] | None:
        return next(iter(await api.list("Pod", namespace)), None)

    assert await api.until(pod)
    helm("uninstall", "a" * 53, "-n", namespace)


def test_an_upgrade_can_be_taken_back(helm: Run, kubectl: Run, namespace: str) -> None:
    def group_wait() -> str:
        path = (
            "jsonpath={.spec.template.spec.containers[0].env[?(@.name=='AEGIS_GROUP_WAIT')].value}"
        )
        return kubectl("get", "statefulset", "aegis-sink", "-n", namespace, "-o", path)

    helm("install", "aegis-sink", str(CHART), "-n", namespace)
    helm("upgrade", "aegis-sink", str(CHART), "-n", namespace, "--set=settings.group_wait=30s")
    assert group_wait() == "30s"
    helm("rollback", "aegis-sink", "1", "-n", namespace)
    assert group_wait() == ""
    helm("uninstall", "aegis-sink", "-n", namespace)


def test_a_volume_that_comes_or_goes_says_what_to_type(
    helm: Run, kubectl: Run, namespace: str
) -> None:
    """Kubernetes says "updates to statefulset spec for fields other than … are forbidden"."""
    chart = ("aegis-sink", str(CHART), "-n", namespace)
    delete = ("delete", "statefulset", "aegis-sink", "-n", namespace)
    without, small = "--set=persistence.enabled=false", "--set=persistence.size=1024Mi"

    def upgrade_is_refused(*values: str) -> None:
        with pytest.raises(AssertionError) as told:
            helm("upgrade", *chart, *values)
        assert f"kubectl -n {namespace} delete statefulset aegis-sink" in str(told.value)

    helm("install", *chart, without)
    upgrade_is_refused(small)
    kubectl(*delete)
    helm("upgrade", *chart, small)
    helm("upgrade", *chart, small, "--set=settings.group_wait=30s")
    upgrade_is_refused("--set=persistence.size=2Gi")
    upgrade_is_refused(without)
    helm("uninstall", "aegis-sink", "-n", namespace)


def test_uninstall_leaves_only_the_volume_claim(helm: Run, kubectl: Run, namespace: str) -> None:
    helm("install", "aegis-sink", str(CHART), "-n", namespace)
    helm("uninstall", "aegis-sink", "-n", namespace, "--wait")
    kinds = "statefulset,service,networkpolicy,role,rolebinding"
    assert kubectl("get", kinds, "-n", namespace, "-o", "name") == ""
    assert f"{namespace}-aegis-sink" not in kubectl("get", "clusterrole", "-o", "name")


def handed_over(pod: dict[str, Any], namespace: str, kubectl: Run) -> dict[str, str]:
    """The environment that a kubelet would give the container, Secrets read as it reads them."""
    (container,) = pod["spec"]["containers"]
    environment = {}
    for variable in container["env"]:
        if "value" in variable:
            environment[variable["name"]] = variable["value"]
            continue
        ref = variable["valueFrom"]["secretKeyRef"]
        read = kubectl("get", "secret", ref["name"], "-n", namespace, "-o", "json")
        value = json.loads(read)["data"][ref["key"]]
        environment[variable["name"]] = b64decode(value).decode()
    return environment


def result(name: str, text: str) -> dict[str, Any]:
    return {
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "kind": "Result",
        "metadata": {"name": name.replace("-", "").replace("/", ""), "namespace": "k8sgpt"},
        "spec": {"kind": "Service", "name": name, "error": [{"text": text}],
                 "details": "", "backend": "", "parentObject": "", "autoRemediationStatus": {}},
    }  # fmt: skip


LIMITED = {"rbac": {"namespaces": ["PLACE"]}, "settings": {"results_namespace": "PLACE"}}
UNSLACKED = {"secrets": {"slack_bot_token": None}}
WITHOUT_OTHERS_KINDS = {
    "serviceMonitor": {"enabled": False},
    "prometheusRule": {"enabled": False},
}


@pytest.mark.usefixtures("k8sgpt_operator")
@pytest.mark.parametrize(
    ("profile", "values"),
    [
        ("minimal", {}),
        ("standard", UNSLACKED),
        ("full", UNSLACKED | WITHOUT_OTHERS_KINDS),
        ("minimal", LIMITED),
        ("minimal", {**LIMITED, "rbac": {"namespaces": ["PLACE"], "clusterObjects": False}}),
    ],
    ids=["minimal", "standard", "full", "limited", "limited without cluster objects"],
)
async def test_the_pod_that_ships_run_as_a_process_has_the_rights_for_all_it_does(
    profile: str,
    values: dict[str, Any],
    api: Api,
    apiserver: ControlPlane,
    kubectl: Run,
    helm: Run,
    namespace: str,
    tmp_path: Path,
) -> None:
    """Command line, environment and probes as the API server keeps them, with the service
    account's own token; only the address, the volume's place and the pace are this machine's."""
    place = f"try-{secrets.token_hex(4)}"
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
    kubectl("create", "secret", "generic", "aegis-sink", "-n", namespace,
            "--from-literal=webhook-token=right", "--from-literal=api-token=reader")  # fmt: skip
    given_values = tmp_path / "values.yaml"
    given_values.write_text(json.dumps(values).replace("PLACE", place))
    helm("install", "aegis-sink", str(CHART), "-n", namespace,
         "-f", str(CHART / "profiles" / f"{profile}.yaml"), "-f", str(given_values),
         "--set=settings.llm_api=off", "--set=secrets.api_token.name=aegis-sink",
         "--set=secrets.api_token.key=api-token")  # fmt: skip
    stored = kubectl("get", "statefulset", "aegis-sink", "-n", namespace, "-o", "json")
    pod = json.loads(stored)["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["serviceAccountName"] == "aegis-sink"

    broken = (ROOT / "k8sgpt/incidents/service-selector.yaml").read_text()
    for one in yaml.safe_load_all(broken):
        await api.apply({**one, "metadata": {**one["metadata"], "namespace": place}})

    async def pods() -> dict[str, Any] | None:
        found = await api.list("Pod", place)
        return found[0] if found else None

    await api.until(pods)
    token = kubectl("create", "token", pod["spec"]["serviceAccountName"], "-n", namespace).strip()
    port = free_port()
    given = handed_over(pod, namespace, kubectl)
    assert given["AEGIS_WEBHOOK_TOKEN"] == "right"
    environment = {
        **given,
        "KUBECONFIG": str(apiserver.write_kubeconfig(f"sa-{place}", token)),
        "AEGIS_HOST": "127.0.0.1",
        "AEGIS_PORT": str(port),
        "AEGIS_DATABASE_URL": given["AEGIS_DATABASE_URL"].replace("//data", f"/{tmp_path}"),
        "AEGIS_GROUP_WAIT": "0s",
        "AEGIS_LEASE_NAMESPACE": namespace,  # a pod reads it from the token's directory
    }
    finding = result(f"{place}/catalog", "Service has no endpoints, expected label tier=web")
    reader = {"authorization": "Bearer reader"}
    async with (
        process([str(BIN / "aegis-sink"), *container["args"]], environment, tmp_path) as running,
        aiohttp.ClientSession(headers=reader) as web,
    ):
        base = f"http://127.0.0.1:{port}"
        await until_ready(running, base + container["startupProbe"]["httpGet"]["path"])
        for probe in ("livenessProbe", "readinessProbe"):
            async with web.get(base + container[probe]["httpGet"]["path"]) as answer:
                assert answer.status == 200, probe
        async with web.post(f"{base}/v1/findings?wait=30", json=finding) as answer:
            (incident,) = (await answer.json())["incidents"]

        await api.apply({**finding, "metadata": {**finding["metadata"], "namespace": place}})
        ready: dict[str, str] = {}
        async with asyncio.timeout(20):
            while not re.match(r"watched, [1-9]", ready.get("results", "")):
                async with web.get(f"{base}/readyz") as answer:
                    ready = await answer.json()
                await asyncio.sleep(0.1)
        running.terminate()
        _, log = await running.communicate()
    assert running.returncode == 0
    assert ready["kubernetes"].startswith("reachable")
    diagnosis = incident["diagnosis"]
    assert diagnosis["cause_id"] == "service-selector-mismatch", diagnosis
    assert "tier=web" in diagnosis["root_cause"]
    refused = re.compile("not allowed|forbidden|403", re.IGNORECASE)
    assert [line for line in diagnosis["missing"] if refused.search(line)] == []
    assert [line for line in log.decode().splitlines() if refused.search(line)] == []
    assert json.loads(kubectl("get", "lease", "aegis-sink", "-n", namespace, "-o", "json"))
    helm("uninstall", "aegis-sink", "-n", namespace)


@pytest.mark.usefixtures("k8sgpt_operator")
async def test_doctor_finds_every_right_that_ships(
    api: Api, apiserver: ControlPlane, kubectl: Run, installed: str, tmp_path: Path
) -> None:
    token = kubectl("create", "token", "aegis-sink", "-n", installed).strip()
    run = await asyncio.create_subprocess_exec(
        *(str(BIN / "aegis-sink"), "doctor", "--json"),
        env={
            "KUBECONFIG": str(apiserver.write_kubeconfig(f"doctor-{installed}", token)),
            "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
            "AEGIS_LLM_API": "off",
            "AEGIS_LEASE_NAME": "aegis-sink",
            "AEGIS_LEASE_NAMESPACE": installed,
            "PATH": "/usr/bin:/bin",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await asyncio.wait_for(run.communicate(), 60)
    checks = json.loads(told)["checks"]
    assert [check for check in checks if check["name"].startswith("right ")] == []
    (rights,) = [check for check in checks if check["name"] == "rights"]
    assert rights["health"] == "ok", rights
    assert f"system:serviceaccount:{installed}:aegis-sink" in rights["found"]
