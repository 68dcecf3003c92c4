"""What a user applies is what K8sGPT and this program understand."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.diagnosis.playbooks import Playbooks

FOLDER = Path(__file__).parents[3] / "k8sgpt"
INCIDENTS = sorted((FOLDER / "incidents").glob("*.yaml"))

# Top-level keys of chart k8sgpt-operator 0.2.27 and 0.2.29, complete; below them what is known.
# None: not known in detail, or the user's own labels.
OPERATOR_VALUES: dict[str, Any] = {
    "interplex": {"enabled": None},
    "dynamicRBAC": {"enabled": None},
    "serviceMonitor": {"enabled": None, "additionalLabels": None, "namespace": None},
    "grafanaDashboard": {"enabled": None, "folder": None, "label": None, "grafanaOperator": None},
    "controllerManager": {
        "annotations": None,
        "kubeRbacProxy": None,
        "manager": {
            "sinkWebhookTimeout": None,
            "enableResultLogging": None,
            "image": None,
            "resources": None,
            "containerSecurityContext": None,
        },
        "replicas": None,
        "nodeSelector": None,
        "podSecurityContext": None,
    },
    "kubernetesClusterDomain": None,
    "metricsService": None,
    "nameOverride": None,
    "fullnameOverride": None,
}
CR_SPEC = {
    "repository", "version", "analysis", "filters", "ai", "sink", "noCache", "resources",
    "targetNamespace", "nodeSelector", "imagePullPolicy", "imagePullSecrets", "extraOptions",
    "customAnalyzers", "remoteCache", "integrations", "kubeconfig",
}  # fmt: skip
CR_AI = {
    "backend", "enabled", "model", "baseUrl", "anonymized", "language", "secret", "maxTokens",
    "topk", "customHeaders", "backOff", "autoRemediation", "region", "engine", "providerId",
}  # fmt: skip
CR_SINK = {"type", "webhook", "channel", "username", "icon_url", "secret"}
FILTERS = {
    "Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Service", "Ingress",
    "PersistentVolumeClaim", "Job", "CronJob", "Node", "ConfigMap", "HorizontalPodAutoscaler",
    "PodDisruptionBudget", "NetworkPolicy", "Log", "Gateway", "GatewayClass", "HTTPRoute",
    "Storage", "Security", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
}  # fmt: skip


def document(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return read


def unknown_keys(values: dict[str, Any], known: dict[str, Any], at: str = "") -> Iterator[str]:
    for key, value in values.items():
        if key not in known:
            yield at + key
        elif isinstance(below := known[key], dict):
            yield from unknown_keys(value, below, f"{at}{key}.")


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda p: p.name)
def test_every_file_parses_into_objects(path: Path) -> None:
    assert all(isinstance(d, dict) for d in yaml.safe_load_all(path.read_text()))


def test_every_helm_value_is_one_the_operators_chart_reads() -> None:
    assert list(unknown_keys(document("k8sgpt-values.yaml"), OPERATOR_VALUES)) == []


def test_a_value_the_chart_would_ignore_is_noticed() -> None:
    ignored = {"k8sgpt": {"baseUrl": "http://ollama"}}
    assert list(unknown_keys(ignored, OPERATOR_VALUES)) == ["k8sgpt"]


@pytest.mark.parametrize("name", ["k8sgpt-cr.yaml", "k8sgpt-cr-with-ai.yaml"])
def test_a_k8sgpt_object_has_only_fields_of_its_crd(name: str) -> None:
    spec = document(name)["spec"]
    assert set(spec) <= CR_SPEC
    assert set(spec["ai"]) <= CR_AI
    assert set(spec["sink"]) <= CR_SINK
    assert set(spec["filters"]) <= FILTERS
    assert re.fullmatch("[0-9]+[smh]", spec["analysis"]["interval"])
    assert spec["ai"]["backend"] == "localai"  # the CRD has no `ollama`


@pytest.mark.parametrize("name", ["k8sgpt-cr.yaml", "k8sgpt-cr-with-ai.yaml"])
def test_a_sink_has_both_webhook_and_secret_and_no_token_in_the_open(name: str) -> None:
    sink = document(name)["spec"]["sink"]
    assert sink["secret"]["name"]
    assert sink["secret"]["key"]
    assert "@" not in sink["webhook"]
    assert sink["webhook"].endswith("/webhook")


def test_ai_off_goes_with_the_one_format_that_carries_error_texts() -> None:
    spec = document("k8sgpt-cr.yaml")["spec"]
    assert (spec["ai"]["enabled"], spec["sink"]["type"]) == (False, "mattermost")


def test_a_local_model_is_not_anonymised_and_spoken_to_under_v1() -> None:
    ai = document("k8sgpt-cr-with-ai.yaml")["spec"]["ai"]
    assert (ai["enabled"], ai["anonymized"]) == (True, False)
    assert ai["baseUrl"].endswith(":11434/v1")


def test_the_chart_makes_the_same_k8sgpt_object_as_the_file() -> None:
    chart = yaml.safe_load((FOLDER.parent / "helm/aegis-sink/values.yaml").read_text())["k8sgpt"]
    made = document("k8sgpt-cr.yaml")
    assert chart["filters"] == made["spec"]["filters"]
    assert chart["version"] == made["spec"]["version"]
    assert chart["sinkSecret"] == made["spec"]["sink"]["secret"]
    assert (chart["name"], chart["namespace"]) == (
        made["metadata"]["name"],
        made["metadata"]["namespace"],
    )


@pytest.mark.parametrize("path", INCIDENTS, ids=lambda p: p.stem)
def test_an_incident_says_what_k8sgpt_finds_and_what_aegis_sink_will_say(
    path: Path, playbooks: Playbooks
) -> None:
    what, finds, says = path.read_text().split("\n")[:3]
    assert what.startswith("# ")
    kind = re.fullmatch(r"# K8sGPT \((\w+)\): .+", finds)
    assert kind
    assert kind[1] in document("k8sgpt-cr.yaml")["spec"]["filters"]
    told = re.fullmatch(r"# AEGIS Sink: ([a-z-]+): (.+)", says)
    assert told
    assert playbooks.causes[told[1]].title == told[2]


@pytest.mark.parametrize("path", INCIDENTS, ids=lambda p: p.stem)
def test_an_incident_stays_in_its_own_namespace(path: Path) -> None:
    for one in yaml.safe_load_all(path.read_text()):
        place = one["metadata"].get("namespace", one["metadata"]["name"])
        assert place.startswith("aegis-try")


def test_there_are_incidents_for_the_usual_kinds_of_trouble() -> None:
    assert len(INCIDENTS) >= 12
    causes = {p.read_text().split("\n")[2].split(": ")[1] for p in INCIDENTS}
    assert len(causes) == len(INCIDENTS)


def container(name: str) -> dict[str, Any]:
    workload = next(
        d
        for d in yaml.safe_load_all((FOLDER / "incidents" / f"{name}.yaml").read_text())
        if "template" in d.get("spec", {})
    )
    (one,) = workload["spec"]["template"]["spec"]["containers"]
    return {**one, "pod": workload["spec"]["template"], "spec": workload["spec"]}


def test_the_programs_that_should_fail_do_fail_and_say_so() -> None:
    api = container("crash-missing-setting")["command"]
    assert api[:2] == ["sh", "-c"]
    assert "DATABASE_URL is not set" in api[2]
    assert api[2].endswith("exit 1")
    assert container("job-back-off")["command"] == ["cat", "/data/orders.csv"]


def test_the_one_that_runs_out_of_memory_needs_more_than_its_limit() -> None:
    cache = container("oom")
    assert "bs=100M" in cache["command"]
    assert cache["resources"]["limits"]["memory"] == "32Mi"


def test_the_service_differs_from_its_pods_in_one_label() -> None:
    service, workload = yaml.safe_load_all(
        (FOLDER / "incidents" / "service-selector.yaml").read_text()
    )
    wanted = service["spec"]["selector"].items()
    carried = workload["spec"]["template"]["metadata"]["labels"].items()
    assert len(wanted - carried) == 1


def test_the_quota_is_less_than_the_replicas() -> None:
    _, quota, workload = yaml.safe_load_all((FOLDER / "incidents" / "quota.yaml").read_text())
    assert int(quota["spec"]["hard"]["pods"]) < workload["spec"]["replicas"]


def test_everything_the_incidents_refer_to_is_really_missing() -> None:
    made = {
        (d["kind"], d["metadata"]["name"])
        for path in INCIDENTS
        for d in yaml.safe_load_all(path.read_text())
    }
    assert not made & {
        ("ConfigMap", "orders-settings"),
        ("Secret", "billing-login"),
        ("StorageClass", "fast-ssd"),
        ("Service", "checkout-v2"),
    }
