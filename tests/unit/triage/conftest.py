"""The table of all error texts of K8sGPT, for the tests that go through it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from aegis_sink.model import ObjectRef, Severity


@dataclass(frozen=True)
class Template:
    """One error text with what is to be made of it."""

    ref: ObjectRef
    text: str
    severity: Severity
    title: str


def _template(row: list[str]) -> Template:
    named, text, severity, title = row
    kind, _, path = named.rpartition(" ")
    namespace, _, name = path.rpartition("/")
    return Template(ObjectRef(kind, name, namespace), text, Severity(severity), title)


TEMPLATES = [
    _template(row) for row in yaml.safe_load((Path(__file__).parent / "templates.yaml").read_text())
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "template" in metafunc.fixturenames:
        ids = [f"{t.ref.kind}: {t.text[:40]}" for t in TEMPLATES]
        metafunc.parametrize("template", TEMPLATES, ids=ids)
