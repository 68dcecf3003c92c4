from typing import Protocol

import pytest

from aegis_sink.model import ObjectRef, Severity
from aegis_sink.triage.severity import severity


class Template(Protocol):
    ref: ObjectRef
    text: str
    severity: Severity


def test_every_text_of_k8sgpt_has_its_severity(template: Template) -> None:
    assert severity(template.ref, (template.text,)) is template.severity


def test_the_worst_of_several_errors_counts() -> None:
    node = ObjectRef("Node", "worker-1")
    texts = (
        "worker-1 has condition of type KernelDeadlock, reason X: fine",
        "worker-1 has condition of type Ready, reason KubeletNotReady: no",
    )
    assert severity(node, texts) is Severity.DOWN
    assert severity(node, texts[:1]) is Severity.RISK


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Pod", Severity.DEGRADED),
        ("Service", Severity.DEGRADED),
        ("StatefulSet", Severity.DEGRADED),
        ("Node", Severity.DOWN),
        ("ConfigMap", Severity.HINT),
        ("Security/Pod", Severity.HINT),
        ("A custom analyzer", Severity.DEGRADED),
    ],
)
def test_without_error_texts_the_kind_decides(kind: str, expected: Severity) -> None:
    assert severity(ObjectRef(kind, "x", "shop"), ()) is expected


def test_a_security_kind_that_is_not_known_yet_is_a_hint() -> None:
    assert severity(ObjectRef("Security/Secret", "x", "shop"), ("anything",)) is Severity.HINT
