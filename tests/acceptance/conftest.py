"""A timeline for each test."""

from pathlib import Path

import pytest

from tests.acceptance.timeline import Timeline


@pytest.fixture
def timeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Timeline:
    """Nothing happens in it yet."""
    return Timeline(tmp_path, monkeypatch)
