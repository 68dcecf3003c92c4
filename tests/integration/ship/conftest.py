"""The chart, rendered by the real helm."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.binaries import Binaries, NoBinaries, binaries

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "aegis-sink"

Render = Callable[..., list[dict[str, Any]]]


class Refused(Exception):
    """helm said no, in these words."""


@pytest.fixture(scope="session")
def programs() -> Binaries:
    try:
        return binaries()
    except NoBinaries as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def helm(programs: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs helm with a home of its own; Refused when it fails."""
    home = tmp_path_factory.mktemp("helm")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(programs.helm), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        )
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Render:
    """The objects of a release `aegis-sink` in namespace `aegis`, for a profile and values."""
    folder = tmp_path_factory.mktemp("values")

    def rendered(
        profile: str = "", values: dict[str, Any] | None = None, release: str = "aegis-sink"
    ) -> list[dict[str, Any]]:
        given = folder / f"{abs(hash(json.dumps(values, default=str)))}.yaml"
        given.write_text(json.dumps(values or {}, ensure_ascii=False))  # 1e3 stays a text
        chosen = ["-f", str(CHART / "profiles" / f"{profile}.yaml")] if profile else []
        text = helm("template", release, str(CHART), "-n", "aegis", *chosen, "-f", str(given))
        return [d for d in yaml.safe_load_all(text) if d]

    return rendered


def of(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The one object of a kind."""
    (one,) = (o for o in objects if o["kind"] == kind)
    return one
