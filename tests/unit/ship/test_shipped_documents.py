"""What the pages say exists: files, headings, settings."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from aegis_sink.diagnosis.prompt import PROMPT_CHARACTERS
from aegis_sink.notify.message import EVIDENCE_LINES
from aegis_sink.notify.thread import EVIDENCE_CHARACTERS, EVIDENCE_SHOWN
from aegis_sink.settings import CONFIG_VARIABLE, Settings, variable

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "k8sgpt", "helm/aegis-sink")
    for path in (ROOT / folder).glob("*.md")
)
TESTS_ONLY = re.compile("AEGIS_(TEST_|SINK_URL)")

per_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@per_document
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for link in re.findall(r"\]\(([^):]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        page = path.parent / file if file else path
        assert page.exists(), link
        assert not anchor or anchor in anchors(page), link


@per_document
def test_settings_are_those_of_the_program(path: Path) -> None:
    known = {variable(name) for name in Settings.model_fields} | {CONFIG_VARIABLE}
    named = set(re.findall(r"\bAEGIS_[A-Z_]+\b", path.read_text()))
    assert {n for n in named - known if not TESTS_ONLY.match(n)} == set()


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


def test_the_security_page_says_how_much_leaves() -> None:
    page = (ROOT / "docs/security.md").read_text()
    assert f"up to {EVIDENCE_SHOWN} pieces of {EVIDENCE_CHARACTERS:,} characters" in page
    assert f"at most {PROMPT_CHARACTERS:,} characters" in page
    assert ("three lines in the message" in page) == (EVIDENCE_LINES == 3)


def test_the_chart_page_names_every_secret_setting() -> None:
    page = (ROOT / "helm/aegis-sink/README.md").read_text()
    schema = yaml.safe_load((ROOT / "helm/aegis-sink/values.schema.json").read_text())
    secrets = schema["properties"]["secrets"]["properties"]
    assert {name for name in secrets if f"`{name}`" not in page} == set()


def test_the_walk_counts_its_incidents() -> None:
    numbers = {12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen"}
    count = len(list((ROOT / "k8sgpt/incidents").glob("*.yaml")))
    assert f"[{numbers[count]} incidents](incidents)" in (ROOT / "k8sgpt/README.md").read_text()


def test_the_chart_that_is_published_takes_the_image_that_is() -> None:
    workflow = (ROOT / ".github/workflows/image.yaml").read_text()
    (line,) = re.findall(r'sed -i "s#\^(.+?)\\\$#', workflow)
    assert f"\n{line}\n" in (ROOT / "helm/aegis-sink/values.yaml").read_text()
    assert "helm push" in workflow


def test_every_page_is_found_from_the_first() -> None:
    first = (ROOT / "README.md").read_text()
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if f"]({page}" not in first} == set()


def test_the_version_that_is_built_installed_and_told_is_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((ROOT / "helm/aegis-sink/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    for path in (*DOCUMENTS, ROOT / "Dockerfile"):
        named = re.findall(r"aegis-sink:(\d[\w.]+)|ARG VERSION=(.+)", path.read_text())
        assert {one or other for one, other in named} <= {version}, path.name
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
