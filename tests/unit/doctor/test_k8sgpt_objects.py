"""What doctor says of a K8sGPT object: one test a trap."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.cluster.document import Document
from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.k8sgpt import (
    OF_OBJECT,
    ServiceAddress,
    check_names,
    check_posts,
    check_service,
    check_settings,
    check_sink,
    service_of,
)
from aegis_sink.doctor.objects import own_door
from aegis_sink.doctor.operator import (
    Operator,
    check_analyzer,
    check_operator,
    check_sink_type,
    operators,
)

ROOT = Path(__file__).parents[3]
TOKEN = "right-token"
GOOD = "http://aegis-sink.aegis.svc:8080/webhook"
OLLAMA = "http://ollama.ollama.svc:11434/v1"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = {"name": "aegis-sink-url", "key": "url"}


def k8sgpt(**spec: Any) -> Document:
    ai = {"enabled": False, "backend": "localai"}
    return Document(
        {
            "metadata": {"name": "sample", "namespace": "k8sgpt"},
            "spec": {"version": "v0.4.32", "ai": ai, **spec},
        }
    )


def sink(**members: Any) -> Check:
    return sink_of(members, TOKEN)


def sink_of(members: dict[str, Any], token: str) -> Check:
    return check_sink(k8sgpt(sink={"type": "mattermost", **members}), token=token)


@pytest.mark.parametrize("file", ["k8sgpt-cr.yaml", "k8sgpt-cr-with-ai.yaml"])
def test_the_objects_that_ship_are_fine(file: str) -> None:
    shipped = Document(yaml.safe_load((ROOT / "k8sgpt" / file).read_text()))
    assert check_sink(shipped, token=TOKEN).health is Health.OK
    assert [c for c in check_settings(shipped) if c.health is not Health.OK] == []


@pytest.mark.parametrize(
    ("members", "health", "says"),
    [
        ({"webhook": GOOD, "secret": SECRET}, Health.OK, "not read"),
        ({"webhook": "noted", "secret": SECRET}, Health.OK, "in Secret aegis-sink-url, key url"),
        ({"webhook": "https://hooks.slack.com/x", "secret": SECRET}, Health.OK, "not read"),
        ({"webhook": GOOD, "secret": {"name": "s"}}, Health.FAILED, "(s) names no key"),
        ({"secret": SECRET}, Health.FAILED, "posted again at every analysis"),
        ({}, Health.FAILED, "no sink is set"),
        ({"webhook": "https://hooks.slack.com/services/T0/B0/x"}, Health.FAILED, "straight to"),
        ({"webhook": "http://localhost:8080/webhook"}, Health.FAILED, "operator's own pod"),
        ({"webhook": "http://aegis-sink.aegis.svc:8080/"}, Health.FAILED, "the door is /webhook"),
        ({"webhook": f"{GOOD.replace('http:', 'https:')}/{TOKEN}"}, Health.FAILED, "plain HTTP"),
        ({"webhook": GOOD}, Health.FAILED, "without the token"),
        ({"webhook": f"{GOOD}/wrong-token"}, Health.FAILED, "another token"),
        ({"webhook": f"{GOOD}/{TOKEN}"}, Health.WARNING, "into every Result"),
        ({"webhook": f"{GOOD}/{TOKEN}", "secret": SECRET}, Health.WARNING, "carries a token"),
        ({"webhook": f"{GOOD}\n"}, Health.FAILED, "a line end"),
        ({"webhook": "ftp://x"}, Health.FAILED, "no web address"),
        ({"webhook": "http://[::1"}, Health.FAILED, "no web address"),
    ],
)
def test_each_sink_gets_its_verdict_and_a_fix(
    members: dict[str, Any], health: Health, says: str
) -> None:
    check = sink(**members)
    assert check.health is health, check
    assert says in check.found
    assert bool(check.fix) is (health is not Health.OK)


def test_the_fix_names_the_door_of_this_very_pod() -> None:
    assert own_door("", "my-laptop-7", 8080) == GOOD
    assert own_door("watching", "sink", 8080) == GOOD
    here = own_door("watching", "sink-0", 8080)
    assert here == "http://sink.watching.svc:8080/webhook"
    check = check_sink(k8sgpt(sink={"type": "slack", "secret": SECRET}), token=TOKEN, here=here)
    assert here in check.fix


@pytest.mark.parametrize("secret", [None, SECRET, {"name": "s"}])
@pytest.mark.parametrize("token", [TOKEN, "another-one", ""])
@pytest.mark.parametrize(
    "place",
    [
        "http://aegis:{}@aegis-sink.aegis.svc:8080/webhook",
        "https://aegis:{}@aegis-sink.aegis.svc:8080/webhook",
        "https://aegis-sink.aegis.svc:8080/webhook/{}",
        "http://aegis:{}@aegis-sink.aegis.svc:8080/",
        "http://aegis-sink.aegis.svc:8080/wrong/{}",
        "http://aegis-sink.aegis.svc:8080/webhook?token={}",
        "http://aegis:{}@aegis-sink.aegis.svc:8080/webhook\n",
        "http://aegis:{}@localhost/webhook",
        "https://hooks.slack.com/services/T0/B0/{}",
        "aegis:{}@aegis-sink",
        "http://[::{}",
        GOOD + "/{}",
    ],
)
def test_no_check_of_a_sink_shows_a_token(
    place: str, token: str, secret: dict[str, str] | None
) -> None:
    members = {"webhook": place.format(TOKEN)} | ({"secret": secret} if secret else {})
    check = sink_of(members, token)
    assert TOKEN not in check.found + check.fix


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("https://sink.other.svc:9000/webhook", ""),
        ("http://aegis:secret@sink.other.svc:9000/", ""),
        ("http://sink.other.svc:9000/webhook ", ""),
        ("http://sink.other.svc:9000/webhook", TOKEN),
        ("http://sink.other.svc:9000/webhook/another", TOKEN),
        (f"http://sink.other.svc:9000/webhook/{TOKEN}", TOKEN),
    ],
)
def test_a_url_is_mended_and_leads_where_it_led(url: str, token: str) -> None:
    fix = sink_of({"webhook": url}, token).fix
    assert '"webhook":"http://sink.other.svc:9000/webhook"' in fix
    assert ("http://aegis:$TOKEN@sink.other.svc:9000/webhook" in fix) is bool(token)


@pytest.mark.parametrize(
    ("spec", "says", "fix"),
    [
        ({"ai": None}, "nil pointer", '"backend":"localai"'),
        (
            {"sink": {"type": "slack", "webhook": GOOD}},
            "empty text",
            '{"spec":{"sink":{"type":"mattermost"}}}',
        ),
        (
            {"ai": {"enabled": True, "backend": "localai", "baseUrl": OLLAMA}},
            "anonymized: true",
            '{"spec":{"ai":{"anonymized":false}}}',
        ),
        (
            {"ai": {"enabled": True, "backend": "openai", "model": "gpt"}},
            "asked, and paid, every time",
            '{"spec":{"ai":{"enabled":false},"sink":{"type":"mattermost"}}}',
        ),
        (
            {"ai": {"enabled": True, "backend": "localai", "anonymized": False}},
            "no `baseUrl`",
            '{"spec":{"ai":{"baseUrl":"http://ollama.ollama.svc:11434/v1"}}}',
        ),
        (
            {"ai": {"enabled": True, "backend": "localai", "baseUrl": "http://localhost:11434/v1"}},
            "K8sGPT's own pod",
            '"baseUrl"',
        ),
        (
            {"ai": {"enabled": True, "backend": "localai", "baseUrl": OLLAMA.removesuffix("/v1")}},
            "under /v1",
            '"baseUrl"',
        ),
        ({"extraOptions": {}}, "without `backstage`", "/spec/extraOptions"),
        ({"filters": ["Pod", "ConfigMap"]}, "ConfigMap", '{"spec":{"filters":["Pod"]}}'),
        ({"version": ""}, "`latest` is run", "version"),
    ],
)
def test_each_trap_of_an_object_is_named_with_its_fix(
    spec: dict[str, Any], says: str, fix: str
) -> None:
    found = [c for c in check_settings(k8sgpt(**spec)) if c.health is not Health.OK]
    assert len(found) == 1, found
    assert says in found[0].found
    assert fix in found[0].fix


def test_a_model_that_is_asked_without_masks_is_fine() -> None:
    for ai in (
        {"backend": "openai", "model": "gpt"},
        {"backend": "localai", "baseUrl": OLLAMA},
        {"backend": "localai", "baseUrl": "http://vllm.ml.svc:8000/openai"},
    ):
        spec = {"ai": {"enabled": True, "anonymized": False, **ai}}
        assert [c.health for c in check_settings(k8sgpt(**spec))] == [Health.OK]


def test_a_sink_is_set_with_its_secret_only_where_there_is_a_token() -> None:
    nothing = k8sgpt()
    with_token = check_sink(nothing, token=TOKEN).fix
    assert "create secret generic aegis-sink-url" in with_token
    assert '"type":"mattermost"' in with_token
    assert with_token.index("create secret") < with_token.index("patch k8sgpt")
    assert TOKEN not in with_token
    without = check_sink(nothing, token="").fix
    assert "secret" not in without
    assert without.endswith(f'{{"spec":{{"sink":{{"type":"mattermost","webhook":"{GOOD}"}}}}}}\'')


def test_objects_of_one_name_are_told_apart_by_nobody() -> None:
    here = k8sgpt()
    there = Document({"metadata": {"name": "sample", "namespace": "other"}})
    (check,) = check_names([here, there])
    assert check.health is Health.WARNING
    assert "k8sgpt, other" in check.found
    assert list(check_names([here])) == []


def result(minutes: int, webhook: str = "", labels: dict[str, str] | None = None) -> Document:
    created = (NOW - timedelta(minutes=minutes)).isoformat()
    metadata = {"creationTimestamp": created, "labels": labels or {}}
    return Document({"metadata": metadata, "status": {"webhook": webhook}})


@pytest.mark.parametrize(
    ("results", "health", "says"),
    [
        ([result(90, GOOD), result(1)], Health.OK, "2 Results, none waits"),
        ([result(90, GOOD), result(90), result(12)], Health.FAILED, "2 of 3 Results were never"),
        ([], Health.SKIPPED, "no Result"),
        ([result(90, labels={OF_OBJECT: "other"})], Health.SKIPPED, "no Result"),
        ([result(90, labels={OF_OBJECT: "sample"})], Health.FAILED, "1 of 1 Results were never"),
    ],
)
def test_results_that_were_never_posted_show_that_the_operator_does_not_get_through(
    results: list[Document], health: Health, says: str
) -> None:
    cr = k8sgpt(sink={"type": "mattermost", "webhook": GOOD, "secret": SECRET})
    (check,) = check_posts(cr, results, NOW, log="kubectl logs x")
    assert check.health is health
    assert says in check.found
    assert (health is Health.FAILED) is check.fix.startswith("kubectl logs x | grep")


def test_a_slow_analysis_may_take_its_time_to_post() -> None:
    spec = {"sink": {"type": "mattermost", "webhook": GOOD}, "analysis": {"interval": "1h"}}
    (check,) = check_posts(k8sgpt(**spec), [result(90)], NOW, log="")
    assert check.health is Health.OK
    secret_only = k8sgpt(sink={"type": "mattermost", "secret": SECRET})
    just_set = k8sgpt(sink={"type": "mattermost", "webhook": GOOD})
    assert isinstance(just_set.value, dict)
    changed = [{"time": (NOW - timedelta(minutes=9 * n)).isoformat()} for n in (0, 1)]
    just_set.value["metadata"]["managedFields"] = changed
    (check,) = check_posts(just_set, [result(90)], NOW, log="")
    assert check.health is Health.OK
    assert list(check_posts(secret_only, [result(90)], NOW, log="")) == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (GOOD, ServiceAddress("aegis-sink", "aegis", 8080)),
        ("http://s.n.svc.cluster.local/webhook", ServiceAddress("s", "n", 80)),
        ("http://s.n/webhook", ServiceAddress("s", "n", 80)),
        ("https://s/webhook", ServiceAddress("s", "k8sgpt", 443)),
        ("https://aegis.example.com/webhook", None),
        ("http://10.0.0.7:8080/webhook", None),
    ],
)
def test_a_services_address_is_read_from_the_url(url: str, found: ServiceAddress | None) -> None:
    assert service_of(url, "k8sgpt") == found


def service(name: str = "aegis-sink", port: int = 8080) -> Document:
    labels = {"app.kubernetes.io/name": name}
    return Document({"metadata": {"labels": labels}, "spec": {"ports": [{"port": port}]}})


@pytest.mark.parametrize(
    ("there", "ready", "health", "says"),
    [
        (service(), 1, Health.OK, "1 ready"),
        (Document(), 0, Health.FAILED, "no Service aegis/aegis-sink"),
        (service(port=80), 1, Health.FAILED, "the ports of Service aegis/aegis-sink are 80"),
        (service(), 0, Health.FAILED, "no ready pod"),
        (service("podinfo"), 1, Health.WARNING, "is not aegis-sink"),
    ],
)
def test_what_stands_behind_the_sink_is_looked_at(
    there: Document, ready: int, health: Health, says: str
) -> None:
    address = ServiceAddress("aegis-sink", "aegis", 8080)
    check = check_service(address, there, ready, "k8sgpt/sample")
    assert check.health is health
    assert says in check.found


def operator(image: str, *, replicas: int = 1, label: str = "", **env: str) -> Document:
    if "/" not in image:
        image = f"ghcr.io/k8sgpt-ai/k8sgpt-operator:v{image}"
    variables = [{"name": name, "value": value} for name, value in env.items()]
    proxy = {"image": "gcr.io/kubebuilder/kube-rbac-proxy:v0.19.0"}
    containers = [proxy, {"image": image, "env": variables}]
    labels = {"app.kubernetes.io/version": label} if label else {}
    return Document(
        {
            "metadata": {"name": "operator", "namespace": "k8sgpt", "labels": labels},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": containers}}},
            "status": {"readyReplicas": replicas},
        }
    )


def found(image: str, **more: Any) -> Operator:
    (one,) = operators((operator(image, **more), Document()))
    return one


@pytest.mark.parametrize(
    ("version", "health", "says"),
    [
        ("0.0.12", Health.FAILED, "no sinks"),
        ("0.0.19", Health.WARNING, "in other words"),
        ("0.1.1", Health.WARNING, "without details"),
        ("0.1.4", Health.FAILED, "targetNamespace"),
        ("0.2.7", Health.FAILED, "analyses once and then idles"),
        ("0.2.12", Health.FAILED, "analyses once and then idles"),
        ("0.2.22", Health.WARNING, "is not posted again"),
        ("0.2.24", Health.WARNING, "counts only with auto-remediation on"),
        ("0.2.29", Health.OK, "posts each new finding twice"),
        ("0.3.1", Health.OK, "newer than what was looked at"),
    ],
)
def test_an_operators_version_says_what_it_will_do(version: str, health: Health, says: str) -> None:
    checks = list(check_operator(found(version)))
    assert any(c.health is health and says in c.found for c in checks), checks
    assert all(c.fix for c in checks if c.health is not Health.OK)


def test_what_auto_remediation_cures_is_not_said_where_it_is_on() -> None:
    for version in ("0.2.10", "0.2.24"):
        said = " ".join(c.found for c in check_operator(found(version), remediating=True))
        assert "auto-remediation" not in said


@pytest.mark.parametrize(
    ("image", "label", "version"),
    [
        ("registry.corp:5000/mirror/k8sgpt-operator:0.2.27", "", (0, 2, 27)),
        ("ghcr.io/k8sgpt-ai/k8sgpt-operator:v0.2.27@sha256:abc", "", (0, 2, 27)),
        ("ghcr.io/k8sgpt-ai/k8sgpt-operator@sha256:abc", "0.2.26", (0, 2, 26)),
        ("ghcr.io/k8sgpt-ai/k8sgpt-operator:latest", "v0.2.26", (0, 2, 26)),
        ("registry.corp:5000/k8sgpt-operator", "", None),
    ],
)
def test_the_version_is_read_from_the_image_or_the_charts_label(
    image: str, label: str, version: tuple[int, int, int] | None
) -> None:
    one = found(image, label=label)
    assert one.version == version
    if version is None:
        (check,) = check_operator(one)
        assert check.health is Health.SKIPPED
        assert image in check.found


def test_an_operator_that_does_not_run_analyses_nothing() -> None:
    checks = list(check_operator(found("0.2.29", replicas=0)))
    assert checks[0].health is Health.FAILED
    assert checks[0].fix == "kubectl -n k8sgpt scale deployment/operator --replicas=1"
    waiting = operator("0.2.29")
    assert isinstance(waiting.value, dict)
    (one,) = operators([Document({**waiting.value, "status": {}})])
    assert "no pod of it is ready" in next(check_operator(one)).found


def test_an_impatient_operator_is_told_of() -> None:
    impatient = found("0.2.29", OPERATOR_SINK_WEBHOOK_TIMEOUT_SECONDS="2s")
    assert any("waits only 2 s" in c.found for c in check_operator(impatient))


@pytest.mark.parametrize(
    ("members", "ai", "version", "health", "says"),
    [
        ({"type": "mattermost"}, False, "0.0.27", Health.FAILED, "empty with AI off"),
        ({"type": "mattermost"}, True, "0.0.27", Health.WARNING, "posts in Slack's form"),
        ({"type": "mattermost"}, False, "0.0.28", None, ""),
        ({"type": "cloudevents"}, True, "0.2.22", Health.WARNING, "came with operator 0.2.23"),
        ({"type": "cloudevents"}, True, "0.2.23", None, ""),
        ({"type": "slack", "secret": SECRET}, True, "0.0.28", Health.FAILED, "posts to `webhook`"),
        ({"type": "slack", "secret": SECRET}, True, "0.1.0", None, ""),
        ({"type": "teams"}, True, "0.2.29", Health.FAILED, "no sink type teams"),
        ({}, True, "0.2.29", None, ""),
    ],
)
def test_a_sinks_type_is_held_against_the_operators_version(
    members: dict[str, Any], ai: bool, version: str, health: Health | None, says: str
) -> None:
    cr = k8sgpt(sink=members, ai={"enabled": ai, "backend": "localai"})
    checks = list(check_sink_type(cr, found(version)))
    assert [c.health for c in checks] == ([health] if health else [])
    assert all(says in c.found and c.fix for c in checks)
    known = [c for c in check_sink_type(cr, None) if "teams" not in c.found]
    assert known == []


@pytest.mark.parametrize(
    ("name", "ready", "health", "says"),
    [
        ("sample", 1, Health.OK, "runs"),
        ("sample", 0, Health.FAILED, "no pod of it is ready"),
        ("other", 1, Health.WARNING, "has made no Deployment sample"),
    ],
)
def test_the_analyzer_of_an_object_is_looked_at(
    name: str, ready: int, health: Health, says: str
) -> None:
    made = Document(
        {"metadata": {"name": name, "namespace": "k8sgpt"}, "status": {"readyReplicas": ready}}
    )
    check = check_analyzer(k8sgpt(), [made], found("0.2.29"))
    assert check.health is health
    assert says in check.found
    assert bool(check.fix) is (health is not Health.OK)
