"""Every body that K8sGPT's own code made, and every object it stored, becomes the right finding."""

import json
from pathlib import Path

import pytest

from aegis_sink.dialects.errors import DialectError, InvalidBody, UnknownShape
from aegis_sink.dialects.table import TABLE, read, read_document, read_documents, schemas
from aegis_sink.model import Finding, ObjectRef

SAMPLES = Path(__file__).parents[2] / "fixtures" / "k8sgpt"
CR = "k8sgpt-sample"
OOM_POD = ObjectRef("Pod", "payments-api-66959989c5-d222p", "demo-apps")
BROKEN_POD = ObjectRef("Pod", "broken-image-8896f7cf4-vf47k", "default")
NODE = ObjectRef("Node", "ip-10-0-3-17.eu-west-1.compute.internal")


def findings_of(name: str) -> list[Finding]:
    text = (SAMPLES / name).read_text("utf-8")
    return [
        finding
        for document in read_documents(text)
        for finding in read_document(document, cluster="here").findings
    ]


@pytest.mark.parametrize(
    ("name", "dialect", "k8sgpt", "ref", "container"),
    [
        ("01-slack-pod-oomkilled", "slack", CR, OOM_POD, ""),
        (
            "02-slack-deployment-replicas",
            "slack",
            CR,
            ObjectRef("Deployment", "checkout", "shop"),
            "",
        ),
        ("03-slack-service-multi-error", "slack", CR, ObjectRef("Service", "checkout", "shop"), ""),
        ("04-slack-node-cluster-scoped", "slack", "prod-eu-1", NODE, ""),
        ("05-slack-ai-disabled-empty-details", "slack", CR, BROKEN_POD, ""),
        ("06-slack-markdown-codefence-localai", "slack", "k8sgpt-local-ai", BROKEN_POD, ""),
        (
            "08-slack-log-filter-three-segments",
            "slack",
            CR,
            ObjectRef("Pod", "api-7d9c5b6f4-zq2lm", "default"),
            "api",
        ),
        (
            "10-slack-unicode-markdown-html",
            "slack",
            "k8sgpt-staging-de",
            ObjectRef("PersistentVolumeClaim", "pg-data-postgres-0", "donnees"),
            "",
        ),
        (
            "12-slack-huge-130kb",
            "slack",
            CR,
            ObjectRef("Pod", "etl-nightly-28765430-x7k2p", "batch"),
            "",
        ),
        (
            "13-mattermost-ai-disabled-multi-error",
            "mattermost",
            CR,
            ObjectRef("Ingress", "web", "shop"),
            "",
        ),
        (
            "14-mattermost-ai-enabled-minimal",
            "mattermost",
            CR,
            ObjectRef("CronJob", "backup", "ops"),
            "",
        ),
        (
            "16-cloudevents-pod-crashloop",
            "cloudevents",
            CR,
            ObjectRef("Pod", "failing-pod", "default"),
            "",
        ),
        (
            "20-slack-replicaset-quota-quotes",
            "slack",
            CR,
            ObjectRef("ReplicaSet", "web-7c5ddbdf54", "team-a"),
            "",
        ),
    ],
)
def test_each_body_of_the_operator_is_understood(
    name: str, dialect: str, k8sgpt: str, ref: ObjectRef, container: str
) -> None:
    recognised = read((SAMPLES / "payloads" / f"{name}.json").read_bytes(), cluster="here")
    assert recognised.dialect == dialect
    (finding,) = recognised.findings
    assert (finding.cluster, finding.k8sgpt, finding.object, finding.container) == (
        "here",
        k8sgpt,
        ref,
        container,
    )
    assert finding.needs_completion is (dialect != "mattermost" or not finding.errors)


def test_the_thirteen_bodies_are_all_there() -> None:
    assert len(list((SAMPLES / "payloads").glob("*.json"))) == 13


def test_with_ai_off_the_mattermost_body_carries_the_error_texts() -> None:
    (finding,) = findings_of("payloads/13-mattermost-ai-disabled-multi-error.json")
    assert finding.errors == (
        "Ingress uses the ingress class nginx-internal which does not exist.",
        "Ingress uses the service shop/web-v2 which does not exist.",
        "Ingress uses the secret shop/web-tls as a TLS certificate which does not exist.",
    )
    assert finding.details == ""


def test_with_ai_on_the_mattermost_text_is_details() -> None:
    (finding,) = findings_of("payloads/14-mattermost-ai-enabled-minimal.json")
    assert finding.errors == ()
    assert finding.details.startswith("Error: The schedule has 6 fields")


def test_details_ping_nobody_and_hide_nothing() -> None:
    (finding,) = findings_of("payloads/10-slack-unicode-markdown-html.json")
    assert "<!channel>" not in finding.details
    assert "[!channel]" in finding.details
    assert "[@U123456]" in finding.details
    assert "\u2028" not in finding.details
    assert "解决方案" in finding.details


def test_130_kilobytes_of_details_are_cut_with_a_note() -> None:
    (finding,) = findings_of("payloads/12-slack-huge-130kb.json")
    assert len(finding.details) < 17_000
    assert finding.details.endswith("characters")
    assert "… cut 1" in finding.details[-40:]


def test_a_result_tells_where_it_was_read_from() -> None:
    (finding,) = findings_of("results/01-pod-oomkilled-just-created.yaml")
    assert finding.dialect == "result"
    assert finding.k8sgpt == CR
    assert finding.errors == (
        "the last termination reason is OOMKilled container=payments-api "
        "pod=payments-api-66959989c5-d222p",
    )
    assert finding.result is not None
    assert finding.result.name == "demoappspaymentsapi66959989c5d222p"
    assert finding.result.namespace == "k8sgpt-operator-system"
    assert finding.result.uid == "a6a3a450-6513-470e-a69e-0d37f2a74de4"
    assert finding.result.resource_version == "419563"


@pytest.mark.parametrize("state", ["01", "02", "03", "04"])
def test_the_states_of_one_result_say_the_same(state: str) -> None:
    (path,) = (SAMPLES / "results").glob(f"{state}-*.yaml")
    (finding,) = findings_of(f"results/{path.name}")
    assert (finding.object, len(finding.errors)) == (OOM_POD, 1)


def test_two_kinds_in_one_result_name_stay_two_objects() -> None:
    (deployment,) = findings_of("results/05-deployment-sensitive.yaml")
    (service,) = findings_of("results/06-service-multi-error-collides-with-05.yaml")
    assert deployment.result is not None
    assert service.result is not None
    assert deployment.result.name == service.result.name
    assert deployment.object != service.object
    assert len(service.errors) == 3


def test_a_list_gives_each_of_its_results() -> None:
    found = findings_of("results/20-resultlist-api-response.json")
    assert [finding.object for finding in found] == [OOM_POD, NODE, BROKEN_POD]


def test_a_watch_stream_ends_with_the_problem_gone_and_a_clear_refusal() -> None:
    lines = (SAMPLES / "results" / "21-watch-stream-lifecycle.ndjson").read_text().splitlines()
    seen: list[str] = []
    for line in lines:
        kind = json.loads(line)["type"]
        if kind == "ERROR":
            with pytest.raises(InvalidBody, match="the watch broke off") as refused:
                read(line.encode(), cluster="here")
            assert refused.value.path == "$.type"
            continue
        findings = read(line.encode(), cluster="here").findings
        assert [finding.gone for finding in findings] == (
            [] if kind == "BOOKMARK" else [kind == "DELETED"]
        )
        seen.append(kind)
    assert {"ADDED", "MODIFIED", "DELETED"} <= set(seen)


def test_the_cli_capitalises_keys_and_tells_the_parent() -> None:
    deployment, pod = findings_of("results/30-k8sgpt-cli-analyze-o-json.json")
    assert deployment.errors == (
        "Deployment shop/checkout has 3 replicas but 1 are available with status running",
    )
    assert (pod.dialect, pod.parent) == ("analyze", "Deployment/broken-image")


def test_a_healthy_cluster_gives_no_findings() -> None:
    body = (SAMPLES / "results" / "31-k8sgpt-cli-analyze-o-json-healthy.json").read_bytes()
    assert read(body, cluster="here").findings == ()


def test_the_server_answers_in_lower_case() -> None:
    deployment, pod = findings_of("results/32-k8sgpt-serve-http-v1-analyze.json")
    assert (deployment.dialect, pod.errors) == (
        "serve",
        ('Back-off pulling image "nginx:invalid-tag"',),
    )


def test_every_dialect_has_a_schema_that_names_itself() -> None:
    assert list(schemas()) == [dialect.name for dialect in TABLE]
    for name, schema in schemas().items():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"].endswith(f"/{name}.json")
        assert schema["title"]
        assert schema["description"]


def test_an_item_of_quarantine_is_what_its_body_is() -> None:
    body = (SAMPLES / "payloads" / "01-slack-pod-oomkilled.json").read_text("utf-8")
    item = {"id": "q1", "door": "webhook", "reason": "unknown", "size": 7, "body": body}
    found = read(json.dumps(item).encode(), cluster="here")
    assert found.dialect == "quarantine"
    assert found.findings == read(body.encode(), cluster="here").findings


def test_an_item_of_quarantine_within_another_is_not_opened() -> None:
    item = {"door": "webhook", "reason": "?", "body": "{}"}
    twice = {"door": "webhook", "reason": "?", "body": json.dumps(item)}
    with pytest.raises(InvalidBody, match="itself"):
        read(json.dumps(twice).encode(), cluster="here")
    with pytest.raises(DialectError, match="an object with nothing"):
        read(json.dumps(item).encode(), cluster="here")


def test_an_object_that_k8sgpt_may_have_looked_at_is_not_what_k8sgpt_says() -> None:
    """Who has not read that k8sgpt/incidents are to be applied replays one."""
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {}}
    with pytest.raises(UnknownShape, match="a Deployment, not K8sGPT's finding about it; known"):
        read(json.dumps(workload).encode(), cluster="here")


def test_a_models_numbered_advice_is_no_list_of_errors() -> None:
    title = ">*[cr] K8sGPT analysis of the Pod shop/api*"
    text = "1. Error: the container ran out of memory\n2. **Solution**: raise the limit\n"
    body = {"text": title, "attachments": [{"text": text, "title": "Report"}]}
    [finding] = read(json.dumps(body).encode(), cluster="here").findings
    assert finding.errors == ()
    assert "raise the limit" in finding.details
