"""What `make` sets up before anything else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.ship.conftest import ROOT


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_an_environment_that_could_not_be_finished_is_finished_the_next_time(
    tmp_path: Path,
) -> None:
    """As on Debian without python3-venv: Python makes the folder, then misses ensurepip."""
    half = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", half], check=True)
    made = ["make", "-C", str(ROOT), f"VENV={half}", f"PYTHON={sys.executable}", f"{half}/bin/pip"]
    subprocess.run(made, check=True, capture_output=True)
    assert (half / "bin/pip").exists()
