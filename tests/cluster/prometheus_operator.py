"""The Prometheus operator's own CustomResourceDefinitions, out of its Go module (4 MB).

In Go's module cache, else fetched when Go modules may be fetched at all (BUILD).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.control_plane import BUILD, Unavailable

MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
DIGEST = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
GROUP = "monitoring.coreos.com"


def crd(plural: str) -> dict[str, Any]:
    """The definition as its release has it. Raises Unavailable with what to do."""
    path = _module() / "example" / "prometheus-operator-crd" / f"{GROUP}_{plural}.yaml"
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read


def _module() -> Path:
    if shutil.which("go") is None:
        raise Unavailable(f"no {MODULE}: no Go to fetch it with")
    offline = {} if os.environ.get(BUILD) == "1" else {"GOPROXY": "off"}
    done = subprocess.run(
        ["go", "mod", "download", "-json", MODULE],
        cwd="/",  # of no module
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and offline:
        raise Unavailable(f"{MODULE} is not in Go's cache: set {BUILD}=1 to fetch it (4 MB, once)")
    if done.returncode:
        raise Unavailable(f"{MODULE} cannot be fetched: {(done.stdout + done.stderr)[-300:]}")
    told = json.loads(done.stdout)
    assert told["Sum"] == DIGEST
    return Path(told["Dir"])
