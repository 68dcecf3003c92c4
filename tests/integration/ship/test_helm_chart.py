"""What the chart renders, and what it refuses."""

import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.settings import load
from tests.integration.ship.conftest import CHART, Refused, Render, of

PROFILES = ["minimal", "standard", "full"]
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
generated: dict[str, Any] = runpy.run_path(str(CHART.parent / "generated.py"))


def container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = of("StatefulSet", objects)["spec"]["template"]["spec"]["containers"]
    return dict(one)


def environment(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(objects)["env"]}


@pytest.mark.parametrize("profile", ["", *PROFILES])
def test_helm_finds_nothing_to_complain_of(helm: Callable[..., str], profile: str) -> None:
    chosen = ["-f", str(CHART / "profiles" / f"{profile}.yaml")] if profile else []
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), *chosen)


def test_each_profile_brings_its_kinds(render: Render) -> None:
    kinds = {p: {o["kind"] for o in render(p)} for p in PROFILES}
    always = {"StatefulSet", "Service", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"}
    always |= {"Role", "RoleBinding"}  # for the Lease
    assert kinds["minimal"] == always
    assert kinds["standard"] == always | {"NetworkPolicy"}
    assert kinds["full"] == kinds["standard"] | {
        "Ingress",
        "ServiceMonitor",
        "PrometheusRule",
        "ConfigMap",
        "K8sGPT",
        "PodDisruptionBudget",
    }


def test_a_disruption_budget_is_for_the_pod_and_blocks_no_drain_unless_asked(
    render: Render,
) -> None:
    pod = of("StatefulSet", render("full"))["spec"]["template"]["metadata"]["labels"]
    budget = of("PodDisruptionBudget", render("full"))["spec"]
    assert budget["selector"]["matchLabels"].items() <= pod.items()
    assert budget["maxUnavailable"] == 1
    strict = render("full", {"podDisruptionBudget": {"maxUnavailable": 0}})
    assert of("PodDisruptionBudget", strict)["spec"]["maxUnavailable"] == 0


def test_routes_in_the_values_are_the_programs_routes(render: Render) -> None:
    match = 'namespace="shop", severity="down"'
    route = {"match": match, "channel": "C0123456789", "mention": "here"}
    given = environment(render("standard", {"settings": {"routes": [route]}}))
    read = load({"AEGIS_ROUTES": given["AEGIS_ROUTES"]}).settings.routes
    assert [str(one) for one in read] == [f"{match} → C0123456789, calls here"]
    with pytest.raises(Refused):
        render("standard", {"settings": {"routes": [{**route, "chanel": "C0123456789"}]}})


@pytest.mark.parametrize("profile", PROFILES)
def test_the_pod_meets_the_restricted_standard(render: Render, profile: str) -> None:
    pod = of("StatefulSet", render(profile))["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (one,) = pod["containers"]
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {next(iter(set(v) - {"name"})) for v in pod.get("volumes", [])} <= {"emptyDir"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_secret_value_stands_in_what_is_rendered(render: Render, profile: str) -> None:
    objects = render(profile)
    assert all(o["kind"] != "Secret" for o in objects)
    for name, value in environment(objects).items():
        if re.search("TOKEN|SECRET|WEBHOOK_URL", name):
            assert set(value) == {"secretKeyRef"}, name


@pytest.mark.parametrize("profile", PROFILES)
def test_the_program_understands_the_environment_it_is_given(render: Render, profile: str) -> None:
    given = {
        name: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" if isinstance(value, dict) else value
        for name, value in environment(render(profile)).items()
    }
    loaded = load(given)
    assert {n for n, s in loaded.sources.items() if s == "environment"} == {
        n.removeprefix("AEGIS_").lower() for n in given
    }
    assert loaded.settings.webhook_token is not None
    assert loaded.settings.host == "::"


def test_rights_are_the_written_list_and_nothing_else(render: Render) -> None:
    written = yaml.safe_load((CHART / "files" / "rbac.yaml").read_text())
    expected = [*written["clusterObjects"], *written["namespaced"], *written["results"]]
    assert of("ClusterRole", render())["rules"] == expected


def test_a_list_of_namespaces_gives_roles_there_and_no_more_than_cluster_objects_elsewhere(
    render: Render,
) -> None:
    written = yaml.safe_load((CHART / "files" / "rbac.yaml").read_text())
    values = {
        "rbac": {"namespaces": ["shop", "billing"]},
        "settings": {"results_namespace": "k8sgpt-operator-system"},
    }
    objects = render(values=values)
    roles = {o["metadata"]["namespace"]: o["rules"] for o in objects if o["kind"] == "Role"}
    lease = roles.pop("aegis")
    assert lease[0]["resourceNames"] == [of("StatefulSet", objects)["metadata"]["name"]]
    assert [(rule["resources"], rule["verbs"]) for rule in lease] == [
        (["leases"], ["get", "update"]),
        (["leases"], ["create"]),
    ]
    assert roles == {
        "shop": written["namespaced"],
        "billing": written["namespaced"],
        "k8sgpt-operator-system": written["results"],
    }
    assert of("ClusterRole", objects)["rules"] == written["clusterObjects"]
    bindings = [o for o in objects if o["kind"] == "RoleBinding"]
    assert {b["metadata"]["namespace"] for b in bindings} == {*roles, "aegis"}
    assert all(b["subjects"][0]["namespace"] == "aegis" for b in bindings)


def test_cluster_objects_can_be_left_out(render: Render) -> None:
    values = {
        "rbac": {"namespaces": ["shop"], "clusterObjects": False},
        "settings": {"results_namespace": "shop"},
    }
    kinds = {o["kind"] for o in render(values=values)}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


def test_one_namespace_may_hold_workloads_and_results(render: Render) -> None:
    values = {"rbac": {"namespaces": ["shop"]}, "settings": {"results_namespace": "shop"}}
    objects = render(values=values)
    names = [(o["kind"], o["metadata"]["name"]) for o in objects]
    assert len(names) == len(set(names))


def test_without_a_cluster_there_are_no_rights_and_no_token(render: Render) -> None:
    objects = render(values={"settings": {"kubernetes": "off"}})
    assert not {o["kind"] for o in objects} & {"ClusterRole", "ClusterRoleBinding"}
    pod = of("StatefulSet", objects)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": 2}, "one SQLite file, which has one writer. Set replicas=1"),
        ({"replicas": "one"}, "got string, want integer"),
        ({"settings": {"llm_modle": "x"}}, "'llm_modle' not allowed"),
        ({"settings": {"webhook_token": "hunter2"}}, "'webhook_token' not allowed"),
        ({"settings": {"host": "127.0.0.1"}}, "'host' not allowed"),
        ({"settings": {"group_wait": "soon"}}, "/settings/group_wait"),
        ({"settings": {"llm_trust": "blind"}}, "/settings/llm_trust"),
        ({"settings": {"llm_num_ctx": 1}}, "/settings/llm_num_ctx"),
        ({"secrets": {"webhook_token": None}}, "webhook_token"),
        ({"secrets": {"api_token": "hunter2"}}, "/secrets/api_token"),
        ({"secrets": {"slack_bot_token": {"name": "s", "key": "t"}}}, "settings.slack_channel"),
        ({"rbac": {"namespaces": ["shop"]}}, "settings.results_namespace"),
        ({"ingress": {"enabled": True}}, "ingress.host"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name"),
        ({"typo": 1}, "'typo' not allowed"),
        ({"podLabels": {"app.kubernetes.io/name": "x"}}, "podLabels: the pod is found by"),
        ({"extraEnv": [{"name": "AEGIS_PORT", "value": "1"}]}, "AEGIS_PORT is set by the chart"),
        (
            {"settings": {"llm_url": "http://ollama.ai.svc:11434"}},
            "Set networkPolicy.modelNamespace",
        ),
        (
            {"ollama": {"create": True}, "settings": {"llm_url": "http://ollama.ollama.svc:11434"}},
            "settings.llm_url=null",
        ),
        ({"resources": {"limit": {"memory": "1Gi"}}}, "'limit' not allowed"),
        ({"extraEnv": [{"name": "A", "vlaue": "b"}]}, "'vlaue' not allowed"),
        ({"extraEnv": [{"name": "A", "value": 1}]}, "/extraEnv/0/value"),
        ({"tolerations": [{"keys": "a"}]}, "'keys' not allowed"),
        ({"affinity": {"podAntiAfinity": {}}}, "'podAntiAfinity' not allowed"),
        ({"extraVolumeMounts": [{"name": "a", "path": "/a"}]}, "missing property 'mountPath'"),
        ({"fullnameOverride": "Aegis"}, "/fullnameOverride"),
        ({"ingress": {"host": "https://aegis.example.com"}}, "/ingress/host"),
        ({"ingress": {"host": "aegis.example.com/aegis"}}, "/ingress/host"),
        ({"image": {"repository": "registry.example.com/aegis-sink:0.1.0"}}, "/image/repository"),
        ({"image": {"repository": "aegis-sink@sha256:00"}}, "/image/repository"),
        ({"image": {"tag": ":0.1.0"}}, "/image/tag"),
        ({"resources": {"limits": {"memory": "512MB"}}}, "/resources/limits/memory"),
        ({"ollama": {"resources": {"requests": {"cpu": "1 core"}}}}, "/requests/cpu"),
        ({"podLabels": {"team": "shop & co"}}, "/podLabels/team"),
        ({"podLabels": {"my team": "shop"}}, "'my team' does not match"),
        ({"nodeSelector": {"": "x"}}, "'' does not match"),
        ({"service": {"annotations": {"a b": "c"}}}, "'a b' does not match"),
        ({"dashboard": {"labels": {"grafana_dashboard": "-"}}}, "/dashboard/labels"),
        *(
            ({"rbac": {"extraRules": [{"apiGroups": [g], "resources": [r], "verbs": [v]}]}}, at)
            for g, r, v, at in [
                ("", "secrets", "get", "secrets is refused"),
                ("", "secrets/x", "get", "secrets/x is refused"),
                ("", "pods/exec", "get", "pods/exec is refused"),
                ("", "nodes/proxy", "get", "nodes/proxy is refused"),
                ("", "nodes/unheard-of", "get", "nodes/unheard-of is refused"),
                ("", "serviceaccounts/token", "get", "serviceaccounts/token is refused"),
                ("", "*", "get", "* is refused"),
                ("", "pods/*", "get", "pods/* is refused"),
                ("*", "widgets", "get", "apiGroups"),
                ("", "pods", "delete", "verbs"),
                ("", "pods", "*", "verbs"),
            ]
        ),
    ],
    ids=str,
)
def test_wrong_values_are_refused_with_words(
    render: Render, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused) as refused:
        render(values=values)
    assert words in str(refused.value)


def test_more_kinds_may_be_read(render: Render) -> None:
    resources = ["scaledobjects", "scaledobjects/status"]
    rule = {"apiGroups": ["keda.sh"], "resources": resources, "verbs": ["get"]}
    objects = render(values={"rbac": {"extraRules": [rule]}})
    assert of("ClusterRole", objects)["rules"][-1] == rule


def test_the_volume_is_claimed_named_or_forgotten(render: Render) -> None:
    own = of("StatefulSet", render())["spec"]
    assert own["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
    assert "volumes" not in own["template"]["spec"]
    named = of("StatefulSet", render(values={"persistence": {"existingClaim": "mine"}}))["spec"]
    assert "volumeClaimTemplates" not in named
    assert named["template"]["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}
    ]
    gone = of("StatefulSet", render(values={"persistence": {"enabled": False}}))["spec"]
    assert gone["template"]["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    none = of("StatefulSet", render(values={"persistence": {"storageClass": "-"}}))["spec"]
    assert none["volumeClaimTemplates"][0]["spec"]["storageClassName"] == ""


def test_own_environment_and_volumes_reach_the_pod(render: Render) -> None:
    objects = render(
        values={
            "settings": {"playbooks_dir": "/playbooks", "quarantine_max_bytes": 67108864},
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
            "extraVolumes": [{"name": "playbooks", "configMap": {"name": "ours"}}],
            "extraVolumeMounts": [{"name": "playbooks", "mountPath": "/playbooks"}],
        }
    )
    given = environment(objects)
    assert given["AEGIS_PLAYBOOKS_DIR"] == "/playbooks"
    assert given["AEGIS_QUARANTINE_MAX_BYTES"] == "67108864"
    assert given["HTTPS_PROXY"] == "http://proxy:3128"
    assert [m["name"] for m in container(objects)["volumeMounts"]] == ["data", "playbooks"]


def test_the_network_is_closed_but_for_what_is_used(render: Render) -> None:
    policy = of("NetworkPolicy", render("standard"))["spec"]
    (door,) = policy["ingress"]
    assert [f["namespaceSelector"]["matchLabels"] for f in door["from"]] == [
        {"kubernetes.io/metadata.name": "k8sgpt-operator-system"}
    ]
    ports = [sorted({p["port"] for p in rule["ports"]}) for rule in policy["egress"]]
    assert ports == [[53, 5353], [443, 6443, 8443], [11434]]
    # No selector fits the API server, Slack, or a DNS cache that has the node's network.
    assert ["to" in rule for rule in policy["egress"]] == [False, False, True]
    off = of("NetworkPolicy", render(values={"settings": {"llm_api": "off"}}))["spec"]
    assert [11434] not in [[p["port"] for p in rule["ports"]] for rule in off["egress"]]


def test_a_trial_ollama_is_where_the_program_asks(render: Render) -> None:
    objects = render(values={"ollama": {"create": True}})
    assert environment(objects)["AEGIS_LLM_URL"] == "http://aegis-sink-ollama:11434"
    service = next(o for o in objects if o["metadata"]["name"] == "aegis-sink-ollama")
    assert service
    pod = of("Deployment", objects)["spec"]["template"]
    policy = of("NetworkPolicy", objects)["spec"]["egress"][-1]["to"][0]["podSelector"]
    assert policy["matchLabels"].items() <= pod["metadata"]["labels"].items()
    sink = of("StatefulSet", objects)["spec"]["selector"]["matchLabels"]
    assert not sink.items() <= pod["metadata"]["labels"].items()


def test_a_setting_is_not_taken_for_another_variable(render: Render) -> None:
    """Kubernetes replaces $(NAME), and makes $(NAME) of $$(NAME)."""
    given = environment(render(values={"settings": {"cluster_name": "$(AEGIS_HOST)"}}))
    assert given["AEGIS_CLUSTER_NAME"] == "$$(AEGIS_HOST)"


def test_a_service_named_aegis_does_not_change_settings(render: Render) -> None:
    objects = render(values={"fullnameOverride": "aegis"})
    assert of("Service", objects)["metadata"]["name"] == "aegis"
    assert of("StatefulSet", objects)["spec"]["template"]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("profile", PROFILES)
def test_the_notes_print_the_sink_that_works(
    helm: Callable[..., str], profile: str, tmp_path: Path
) -> None:
    values = str(CHART / "profiles" / f"{profile}.yaml")
    notes = helm(
        "install", "aegis-sink", str(CHART), "-n", "aegis", "--dry-run=client", "-f", values
    ).partition("NOTES:")[2]
    url = "http://aegis:${TOKEN}@aegis-sink.aegis.svc:8080/webhook"
    assert f'--from-literal=url="{url}"' in notes
    keys = {"minimal": 1, "standard": 2, "full": 3}[profile]
    assert len(re.findall(r"^  aegis-sink: [a-z-]+$", notes, re.MULTILINE)) == keys
    if profile != "full":
        sink = yaml.safe_load(notes[notes.index("  sink:") :].partition("\n\n")[0])["sink"]
        file = yaml.safe_load((CHART.parents[1] / "k8sgpt" / "k8sgpt-cr.yaml").read_text())
        assert sink == file["spec"]["sink"]


def test_the_notes_name_each_namespace_that_the_network_policy_lets_in(
    helm: Callable[..., str],
) -> None:
    """A Prometheus elsewhere is not let in, and all it says is that AEGIS Sink is away."""

    def notes(profile: str) -> str:
        values = str(CHART / "profiles" / f"{profile}.yaml")
        told = helm(
            "install", "aegis-sink", str(CHART), "-n", "aegis", "--dry-run=client", "-f", values
        )
        return told.partition("NOTES:")[2]

    network = {
        "k8sgptNamespace": "posts of K8sGPT's operator, from the namespace k8sgpt-operator-system",
        "ingressNamespace": "the ingress controller, from the namespace ingress-nginx",
        "monitoringNamespace": "Prometheus, from the namespace monitoring",
    }
    full, standard, minimal = notes("full"), notes("standard"), notes("minimal")
    assert [f"{words} ({name})" in full for name, words in network.items()] == [True] * 3
    assert "posts of K8sGPT's operator" in standard
    assert "Prometheus, from" not in standard
    assert "NetworkPolicy" not in minimal


@pytest.mark.parametrize(
    "release", ["aegis.one", "a" * 53, f"{'a' * 50}.b", f"{'a' * 50}--b", "123", "1-aegis-sink"]
)
def test_any_name_of_a_release_gives_names_that_the_api_server_takes(
    render: Render, release: str
) -> None:
    name = of("StatefulSet", render(release=release))["metadata"]["name"]
    assert re.fullmatch("[a-z]([-a-z0-9]{0,50}[a-z0-9])?", name)


def test_releases_in_a_namespace_with_a_long_name_have_cluster_roles_of_their_own(
    helm: Callable[..., str],
) -> None:
    names = set()
    for release in ("one", "two"):
        text = helm("template", release, str(CHART), "-n", "n" * 63)
        role = of("ClusterRole", [d for d in yaml.safe_load_all(text) if d])
        names.add(role["metadata"]["name"])
    assert len(names) == 2


COMMAND = re.compile(r"^helm (?:install|upgrade) aegis-sink ((?:.*\\\n)*.*)", re.MULTILINE)


@pytest.mark.parametrize("page", ["k8sgpt/README.md", "helm/aegis-sink/README.md"])
def test_every_helm_command_of_the_documents_renders(helm: Callable[..., str], page: str) -> None:
    root = CHART.parents[1]
    commands = COMMAND.findall((root / page).read_text())
    assert commands
    for command in commands:
        words = shlex.split(command.replace("\\\n", " "))
        given = [str(root / w) if w.startswith("helm/") else w for w in words]
        rendered = helm("template", "aegis-sink", *(w for w in given if w != "--reuse-values"))
        assert "kind: StatefulSet" in rendered


def places(section: dict[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    """The path of every section of values.yaml and of every value that is not empty there."""
    for name, value in section.items():
        if value and name not in generated["OWN"]:
            yield (*above, name)
            if isinstance(value, dict) and name != "settings":  # these have defaults below them
                yield from places(value, *above, name)


@pytest.mark.parametrize("place", [*places(DEFAULTS)], ids=".".join)
def test_an_empty_value_is_refused_with_its_name(render: Render, place: tuple[str, ...]) -> None:
    """`networkPolicy:` with every line below commented out is null, and null takes a default
    away in helm."""
    values: Any = None
    for name in reversed(place):
        values = {name: values}
    with pytest.raises(Refused) as refused:
        render(values=values)
    assert f"missing property '{place[-1]}'" in str(refused.value)


def test_what_a_profile_sets_can_be_taken_away(render: Render) -> None:
    """`--set secrets.slack_bot_token=null`"""
    none = {"slack_channel": None, "llm_url": None}
    objects = render("standard", {"settings": none, "secrets": {"slack_bot_token": None}})
    assert environment(objects).keys() & {"AEGIS_LLM_URL", "AEGIS_SLACK_BOT_TOKEN"} == set()
    render("standard", {"settings": {"llm_url": None}, "ollama": {"create": True}})


def test_what_is_empty_by_default_may_be_empty(render: Render) -> None:
    def empty(section: dict[str, Any]) -> dict[str, Any]:
        return {
            name: empty(value) if value else None
            for name, value in section.items()
            if not value or (isinstance(value, dict) and name not in generated["OWN"])
        }

    assert render(values=empty(DEFAULTS)) == render()


def test_defaults_of_the_users_own_maps_may_be_taken_away(render: Render) -> None:
    objects = render("full", {"resources": None, "dashboard": {"labels": None}})
    assert container(objects)["resources"] is None
    assert "grafana_dashboard" not in of("ConfigMap", objects)["metadata"]["labels"]


TEXTS = ["2024", "1e3", "true", "null", "0x1f", "off", "2024-10-01"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_looks_like_a_number_stays_a_text(render: Render, text: str) -> None:
    """Every name and text a user may give, at once: each object differs in texts alone."""

    def types(value: object) -> object:
        if isinstance(value, dict):
            return {k if isinstance(k, str) else type(k): types(v) for k, v in value.items()}
        if isinstance(value, list):
            return [types(v) for v in value]
        return type(value)

    def rendered(text: str, name: str) -> list[dict[str, Any]]:
        secret = {"name": text, "key": text}
        values = {
            "image": {"repository": text, "tag": text},
            "imagePullSecrets": [{"name": text}],
            "nameOverride": name,
            "fullnameOverride": name,
            "settings": {
                "cluster_name": text,
                "llm_url": None,
                "llm_model": text,
                "results_namespace": text,
            },
            "secrets": {"webhook_token": secret, "api_token": secret},
            "persistence": {"storageClass": text},
            "serviceAccount": {"name": text},
            "rbac": {"namespaces": [text]},
            "ingress": {"className": text, "host": text, "tlsSecretName": text},
            "networkPolicy": {
                f"{who}Namespace": text for who in ("k8sgpt", "ingress", "monitoring", "model")
            },
            "priorityClassName": text,
            "k8sgpt": {"name": name, "namespace": text, "version": text, "sinkSecret": secret},
            "ollama": {"create": True, "image": text},
        }
        return [
            *render("full", values, text),
            *render(values={"persistence": {"existingClaim": text}}),
        ]

    assert types(rendered(text, "true")) == types(rendered("plain", "plain"))


HOSTILE = [
    '"',
    "'",
    "a: b",
    "x\ny: z",
    "*.example.com",
    "- ",
    "{{ .Values }}",
    "#",
    "ünïcödé 🙂",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_cannot_become_structure(render: Render, text: str) -> None:
    objects = render(
        "full",
        {
            "settings": {"cluster_name": text, "runbook_url": text},
            "extraEnv": [{"name": "NO_PROXY", "value": text}],
            "podAnnotations": {"a": text},
            "ingress": {"annotations": {"a": text}},
            "k8sgpt": {"version": text},
        },
    )
    assert environment(objects)["AEGIS_CLUSTER_NAME"] == text
    assert environment(objects)["NO_PROXY"] == text
    assert of("StatefulSet", objects)["spec"]["template"]["metadata"]["annotations"]["a"] == text
    assert of("Ingress", objects)["metadata"]["annotations"]["a"] == text
    assert of("K8sGPT", objects)["spec"]["version"] == text


NAMES = [
    ("ingress", "host"),
    ("ingress", "className"),
    ("ingress", "tlsSecretName"),
    ("persistence", "storageClass"),
    ("persistence", "existingClaim"),
    ("serviceAccount", "name"),
    ("priorityClassName",),
]


@pytest.mark.parametrize("place", NAMES, ids="/".join)
@pytest.mark.parametrize("text", ["A_B", "x\ny: z", "x" * 254], ids=["upper", "lines", "long"])
def test_what_cannot_be_a_name_is_refused_with_its_place(
    render: Render, place: tuple[str, ...], text: str
) -> None:
    values: Any = text
    for name in reversed(place):
        values = {name: values}
    with pytest.raises(Refused, match=f"/{'/'.join(place)}"):
        render(values=values)


def test_a_registry_with_a_port_and_every_form_of_a_quantity_are_taken(render: Render) -> None:
    limits = {"cpu": 1.5, "memory": "1e9", "ephemeral-storage": "10Gi", "example.com/gpu": 1}
    objects = render(
        values={
            "image": {
                "repository": "registry.example.com:5000/team/aegis-sink",
                "tag": "v1_0.2-rc",
            },
            "resources": {"limits": limits, "requests": {"cpu": "250m", "memory": "100M"}},
        }
    )
    pod = container(objects)
    assert pod["image"] == "registry.example.com:5000/team/aegis-sink:v1_0.2-rc"
    assert pod["resources"]["limits"]["memory"] == "1e9"
