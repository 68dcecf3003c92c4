"""Bodies for all tiers: what a K8sGPT operator really posts, and what people have at hand."""

import asyncio
import os
from pathlib import Path

import pytest

# Before Python 3.14 whoever asks for a loop where none was ever set gets a new one, and pytest-asyncio
# asks before its first test: nobody would close it.
asyncio.set_event_loop(None)


def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are processors: these tests wait half of their time."""
    return (os.cpu_count() or 1) * 2


FIXTURES = Path(__file__).parent / "fixtures" / "k8sgpt"


@pytest.fixture(scope="session")
def payloads() -> tuple[Path, ...]:
    """The operator's bodies."""
    return tuple(sorted((FIXTURES / "payloads").iterdir()))


@pytest.fixture(scope="session")
def results() -> tuple[Path, ...]:
    """Results, lists, watch streams and the answers of k8sgpt itself."""
    return tuple(sorted((FIXTURES / "results").iterdir()))
