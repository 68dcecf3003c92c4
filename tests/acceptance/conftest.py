"""A timeline for each test."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.acceptance.timeline import Timeline

MEMORY = Path("/dev/shm")


@pytest.fixture
def timeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Timeline]:
    """Nothing happens in it yet. Its database is in memory where that can be: a day has thousands
    of commits, and what a disk does is proved by the kills."""
    folder = MEMORY if os.access(MEMORY, os.W_OK) else None
    with TemporaryDirectory(dir=folder) as name:
        yield Timeline(Path(name), monkeypatch)
