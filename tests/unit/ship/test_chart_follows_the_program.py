"""The chart's written parts are what the program has: settings, rights, metrics."""

import ast
import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import MetricWrapperBase

from aegis_sink.cluster.resources import KNOWN
from aegis_sink.metrics import Metrics

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "aegis-sink"
AGAIN = "run `python helm/generated.py` and commit what it writes"

generated: dict[str, Any] = runpy.run_path(str(ROOT / "helm" / "generated.py"))


def test_the_settings_and_secrets_of_the_schema_are_those_of_the_program() -> None:
    assert generated["schema"]() == (CHART / "values.schema.json").read_text(), AGAIN


def test_the_rights_are_those_of_the_kinds_the_program_asks_for() -> None:
    assert generated["rbac"]() == (CHART / "files" / "rbac.yaml").read_text(), AGAIN


def rules() -> list[dict[str, list[str]]]:
    read = yaml.safe_load((CHART / "files" / "rbac.yaml").read_text())
    return [rule for part in read.values() for rule in part]


def test_no_right_writes_and_none_touches_secrets() -> None:
    for rule in rules():
        assert set(rule["verbs"]) <= {"get", "list", "watch"}
        assert not {"secrets", "*"} & set(rule["resources"])
        assert "*" not in rule["apiGroups"]


def listed_kinds() -> Iterator[str]:
    """Kinds that stand as a literal in a call of `list` or `listing`, anywhere in the room."""
    for path in (ROOT / "aegis_sink" / "cluster").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("list", "listing"):
                yield from (
                    a.value
                    for a in node.args[:1]
                    if isinstance(a, ast.Constant) and isinstance(a.value, str)
                )


def test_every_kind_the_program_lists_may_be_listed() -> None:
    may = {
        (group, plural)
        for rule in rules()
        if "list" in rule["verbs"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }
    asked = set(listed_kinds())
    assert "Event" in asked
    # Kinds of others' CRDs are found by discovery; who wants them read lets them be read.
    known = asked & KNOWN.keys()
    assert {k for k in known if (KNOWN[k].group, KNOWN[k].plural) not in may} == set()


def exposed() -> set[str]:
    """Every series name of `/metrics`, with the suffixes Prometheus gives."""
    shown = set()
    for family in Metrics().registry.collect():
        shown |= (
            {family.name, f"{family.name}_total"} if family.type == "counter" else {family.name}
        )
        if family.type == "histogram":
            shown |= {f"{family.name}_{end}" for end in ("bucket", "count", "sum")}
    return shown


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    for path in (CHART / "files" / "alerts.yaml", CHART / "dashboards" / "aegis-sink.json"):
        asked = set(re.findall(r"aegis_sink_\w+", path.read_text()))
        assert len(asked) > 3
        assert asked - exposed() == set(), path.name


def questions() -> Iterator[str]:
    """Every PromQL expression of the alerts and of the dashboard."""
    yield from re.findall(r"expr: (.+)", (CHART / "files" / "alerts.yaml").read_text())
    board = json.loads((CHART / "dashboards" / "aegis-sink.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_alerts_and_dashboard_ask_for_labels_that_exist() -> None:
    labels = {
        collector._name: set(collector._labelnames)
        for collector in vars(Metrics()).values()
        if isinstance(collector, MetricWrapperBase)
    }
    for expression in questions():
        names = [name for name in labels if name in expression]
        has = {"le"}.union(*(labels[name] for name in names))
        groups = re.findall(r"by \(([^)]*)\)", expression)
        asked = {label.strip() for group in groups for label in group.split(",")}
        asked |= set(re.findall(r'(\w+)=~?"', expression))
        assert asked <= has, expression


def test_posts_that_an_alert_counts_are_at_zero_before_the_first() -> None:
    """`increase()` does not see a series begin at 1, and K8sGPT's next post may be 17 minutes
    away."""
    text = (CHART / "files" / "alerts.yaml").read_text()
    counted = set(re.findall(r'door="webhook",outcome="(\w+)"', text))
    assert counted
    at_first = Metrics().registry
    for outcome in counted:
        series = {"door": "webhook", "outcome": outcome}
        assert at_first.get_sample_value("aegis_sink_posts_total", series) == 0


def test_who_is_called_by_an_alert_finds_its_name_and_what_to_do_in_the_documents() -> None:
    alerts = re.findall(r"alert: (\w+)", (CHART / "files" / "alerts.yaml").read_text())
    assert len(alerts) > 3
    page = (ROOT / "docs" / "operations.md").read_text()
    told = re.findall(r"^- `(AegisSink\w+)`(?:, `(AegisSink\w+)`)?: ", page, re.MULTILINE)
    assert {name for names in told for name in names if name} == {*alerts}


def test_every_metric_is_on_the_dashboard() -> None:
    text = (CHART / "dashboards" / "aegis-sink.json").read_text()
    names = {family.name for family in Metrics().registry.collect()}
    assert {name for name in names if name not in text} <= {"aegis_sink_quarantine_bytes"}


def test_panels_do_not_overlap() -> None:
    panels = json.loads((CHART / "dashboards" / "aegis-sink.json").read_text())["panels"]
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}
    assert len(places) == len(panels)
