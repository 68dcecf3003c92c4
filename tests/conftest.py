"""Bodies for all tiers: what a K8sGPT operator really posts, and what people have at hand."""

from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures" / "k8sgpt"


@pytest.fixture(scope="session")
def payloads() -> Path:
    """The operator's bodies."""
    return FIXTURES / "payloads"


@pytest.fixture(scope="session")
def results() -> Path:
    """Results, lists, watch streams and the answers of k8sgpt itself."""
    return FIXTURES / "results"
