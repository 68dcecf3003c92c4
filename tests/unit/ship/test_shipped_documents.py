"""What the documents of this part say exists: files, settings, commands."""

import re
from pathlib import Path

import pytest
import yaml

from aegis_sink.cli import app
from aegis_sink.settings import CONFIG_VARIABLE, Settings, variable

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    ROOT / name
    for name in (
        "k8sgpt/README.md",
        "helm/aegis-sink/README.md",
        "docs/security.md",
        "docs/k8sgpt-traps.md",
        "docs/comparison.md",
        "docs/concepts.md",
        "docs/doctor.md",
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
    )
]
TESTS_ONLY = re.compile("AEGIS_(TEST_|SINK_URL)")

per_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))


@per_document
def test_links_lead_to_files(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


@per_document
def test_settings_are_those_of_the_program(path: Path) -> None:
    known = {variable(name) for name in Settings.model_fields} | {CONFIG_VARIABLE}
    named = set(re.findall(r"\bAEGIS_[A-Z_]+\b", path.read_text()))
    assert {n for n in named - known if not TESTS_ONLY.match(n)} == set()


@per_document
def test_commands_are_those_of_the_program(path: Path) -> None:
    known = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    lines = re.findall(r"(?:`|-- |bin/)aegis-sink ([a-z]+)", path.read_text())
    assert set(lines) <= known


@per_document
def test_files_named_in_commands_exist(path: Path) -> None:
    named = re.findall(r"(?:-f |run |python )((?:k8sgpt|helm)/[\w./-]+)", path.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_security_page_names_every_kind_that_may_be_read() -> None:
    page = (ROOT / "docs/security.md").read_text()
    rules = yaml.safe_load((ROOT / "helm/aegis-sink/files/rbac.yaml").read_text())
    kinds = {r for part in rules.values() for rule in part for r in rule["resources"]}
    kinds -= {"validatingwebhookconfigurations"}  # written together with the mutating ones
    assert {kind for kind in kinds if kind not in page} == set()


def test_the_chart_page_names_every_secret_setting() -> None:
    page = (ROOT / "helm/aegis-sink/README.md").read_text()
    schema = yaml.safe_load((ROOT / "helm/aegis-sink/values.schema.json").read_text())
    secrets = schema["properties"]["secrets"]["properties"]
    assert {name for name in secrets if f"`{name}`" not in page} == set()


def test_the_walk_counts_its_incidents() -> None:
    numbers = {12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen"}
    count = len(list((ROOT / "k8sgpt/incidents").glob("*.yaml")))
    assert f"[{numbers[count]} incidents](incidents)" in (ROOT / "k8sgpt/README.md").read_text()
