"""Conditions of a node that checks on it have set, bad or good when True by their name."""

import pytest

from aegis_sink.cluster.collectors.node import pressures
from aegis_sink.cluster.document import Document


@pytest.mark.parametrize(
    ("kind", "status", "bad"),
    [
        ("MemoryPressure", "True", True),
        ("MemoryPressure", "False", False),
        ("KernelDeadlock", "True", True),
        ("KernelDeadlock", "False", False),
        # The EKS node monitoring agent names its conditions after the good state.
        ("StorageReady", "True", False),
        ("StorageReady", "False", True),
        ("Ready", "False", False),
    ],
)
def test_a_condition_speaks_of_a_problem_by_its_name_and_status(
    kind: str, status: str, bad: bool
) -> None:
    node = Document({"status": {"conditions": [{"type": kind, "status": status}]}})
    assert pressures(node) == ((kind,) if bad else ())
