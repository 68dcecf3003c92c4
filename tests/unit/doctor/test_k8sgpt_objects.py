"""What doctor says of a K8sGPT object: one test a trap."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.cluster.document import Document
from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.examination import own_door
from aegis_sink.doctor.k8sgpt import (
    ServiceAddress,
    check_service,
    check_settings,
    check_sink,
    service_of,
)
from aegis_sink.doctor.operator import check_operator, operators

ROOT = Path(__file__).parents[3]
TOKEN = "right-token"
GOOD = "http://aegis-sink.aegis.svc:8080/webhook"
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
    return check_sink(k8sgpt(sink={"type": "mattermost", **members}), token=TOKEN)


def test_the_object_that_ships_is_fine() -> None:
    shipped = Document(yaml.safe_load((ROOT / "k8sgpt/k8sgpt-cr.yaml").read_text()))
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


def test_the_fix_names_the_door_of_this_very_pod(tmp_path: Path) -> None:
    namespace = tmp_path / "namespace"
    assert own_door(namespace, "my-laptop-7", 8080) == GOOD
    namespace.write_text("watching")
    here = own_door(namespace, "sink-0", 8080)
    assert here == "http://sink.watching.svc:8080/webhook"
    check = check_sink(k8sgpt(sink={"type": "slack", "secret": SECRET}), token=TOKEN, here=here)
    assert here in check.fix


@pytest.mark.parametrize(
    "place", ["http://aegis:{}@aegis-sink.aegis.svc:8080/webhook", GOOD + "/{}"]
)
def test_no_check_of_a_sink_shows_the_token(place: str) -> None:
    for token in (TOKEN, "another-one"):
        check = check_sink(
            k8sgpt(sink={"type": "slack", "webhook": place.format(TOKEN)}), token=token
        )
        assert TOKEN not in check.found + check.fix


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
            {"ai": {"enabled": True, "backend": "localai"}},
            "anonymized: true",
            '{"spec":{"ai":{"anonymized":false}}}',
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


def test_a_hosted_model_may_be_asked_with_masked_names() -> None:
    spec = {"ai": {"enabled": True, "backend": "openai", "model": "gpt"}}
    assert [c.health for c in check_settings(k8sgpt(**spec))] == [Health.OK]


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


def operator(version: str, **env: str) -> Document:
    image = f"ghcr.io/k8sgpt-ai/k8sgpt-operator:v{version}"
    variables = [{"name": name, "value": value} for name, value in env.items()]
    proxy = {"image": "gcr.io/kubebuilder/kube-rbac-proxy:v0.19.0"}
    containers = [proxy, {"image": image, "env": variables}]
    return Document(
        {
            "metadata": {"name": "operator", "namespace": "k8sgpt"},
            "spec": {"template": {"spec": {"containers": containers}}},
        }
    )


@pytest.mark.parametrize(
    ("version", "health", "says"),
    [
        ("0.0.12", Health.FAILED, "no sinks"),
        ("0.2.10", Health.FAILED, "analyses once and then idles"),
        ("0.2.22", Health.WARNING, "is not posted again"),
        ("0.2.24", Health.WARNING, "auto-remediation"),
        ("0.2.29", Health.OK, "posts each new finding twice"),
        ("0.3.1", Health.OK, "newer than what was looked at"),
    ],
)
def test_an_operators_version_says_what_it_will_do(version: str, health: Health, says: str) -> None:
    ((deployment, number),) = operators((operator(version), Document()))
    found = list(check_operator(deployment, number))
    assert any(c.health is health and says in c.found for c in found), found
    assert all(c.fix for c in found if c.health is not Health.OK)


def test_an_impatient_operator_is_told_of() -> None:
    impatient = operator("0.2.29", OPERATOR_SINK_WEBHOOK_TIMEOUT_SECONDS="2s")
    ((deployment, number),) = operators((impatient,))
    assert any("waits only 2 s" in c.found for c in check_operator(deployment, number))
